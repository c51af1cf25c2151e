"""A search over the index and the message files of one mailbox. Runs in a worker thread.

``search`` says what is asked of whom; here it is asked. Files are read for one key at a time, and for those messages only that the other
keys have left; a message whose file is gone does not match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mas.storage import bodies, contents, disk, query, reader
from mas.storage.engine import Engine
from mas.storage.mime.casemap import casemap
from mas.storage.mime.header import header_holds, header_text, served
from mas.storage.mime.section import Section, SectionText, section_octets
from mas.storage.mime.text import search_texts
from mas.storage.model import Snapshot
from mas.storage.search import Condition, Search

MAX_TEXT = 16 << 20
"""Octets of one text part that are searched."""


class Searching:
    """One search. ``snapshot`` is a copy that nobody changes."""

    def __init__(self, engine: Engine, mailbox_id: int, directory: str, snapshot: Snapshot) -> None:
        self._engine = engine
        self._mailbox_id = mailbox_id
        self._directory = directory
        self._snapshot = snapshot
        self._limits = contents.mime_limits(engine.config.mail)

    def run(self, key: query.Key) -> Sequence[int]:
        """Ascending uids."""
        return Search(self._snapshot, self._rows, self._files).run(key)

    def _rows(self, condition: Condition, uids: Sequence[int]) -> Sequence[int]:
        every = len(uids) == len(self._snapshot.uids)
        return reader.matching(self._engine, self._mailbox_id, condition, uids, every)

    def _files(self, key: query.Key, uids: Sequence[int]) -> Iterable[int]:
        located = reader.locate(self._engine, self._mailbox_id, uids, False)
        if isinstance(key, query.Body | query.Text) and not key.text:
            return [message.uid for message in located]
        return [message.uid for message in located if self._holds(key, message)]

    def _holds(self, key: query.Key, message: bodies.Located) -> bool:
        if message.parts is None:
            return False
        path = self._engine.path(self._directory, message.file)
        try:
            with disk.reading(), bodies.opened(path, message.size) as data:
                if isinstance(key, query.Header):
                    header = section_octets(data, message.parts, Section(text=SectionText.HEADER))
                    return header_holds(header_text(served(header)), key.name, casemap(key.text))
                if isinstance(key, query.Body | query.Text):
                    wanted, headers = casemap(key.text), isinstance(key, query.Text)
                    texts = search_texts(data, message.parts, self._limits, headers=headers, limit=MAX_TEXT)
                    return any(wanted in text for text in texts)
        except FileNotFoundError:
            return False
        raise TypeError(f"{key!r} is not asked of files")
