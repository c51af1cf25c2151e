"""What the index keeps of a message's octets: parsed once, shared by its copies. Runs in worker threads.

Deliveries and APPENDs bring it with them. Messages that another program put into the Maildir, or that lost their index, are parsed when
they are first asked for, and in the background after a SELECT: ``fill`` a bounded number at a time, outside of the account's lock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from mas.config import Mail
from mas.errors import StorageUnavailable
from mas.storage import compressed, disk
from mas.storage.engine import Engine
from mas.storage.index import Transaction, fetch_all
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.parse import ParsedMessage, parse

_log = structlog.get_logger(area="storage")

MAPPED = 1 << 20
"""Files above this are mapped, not read: the parser looks at windows of them."""


@dataclass(frozen=True, slots=True)
class Content:
    """``digest`` is the EMAILID [RFC8474 5.1]: of the octets, so that it survives a new index."""

    digest: bytes
    parsed: ParsedMessage


def mime_limits(mail: Mail) -> MimeLimits:
    """The configured limits: how everybody here, and Sieve, looks at a message."""
    return MimeLimits(
        max_depth=mail.mime_max_depth,
        max_parts=mail.mime_max_parts,
        max_header_size=mail.max_header,
        max_parameters=mail.mime_max_parameters,
        max_addresses=mail.mime_max_addresses,
    )


def content_of(data: bytes, limits: MimeLimits) -> Content:
    """Of octets in memory."""
    return Content(hashlib.blake2b(data, digest_size=16).digest(), parse(data, limits))


def content_of_file(path: str, limits: MimeLimits) -> Content:
    """Of a file, without ever holding a large one in memory. Raises FileNotFoundError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if size <= MAPPED and not compressed.is_compressed(os.pread(fd, compressed.LONGEST_MAGIC, 0)):
            return content_of(disk.read_file(path), limits)
        with compressed.mapped(fd) as mapped:
            digest = hashlib.blake2b(digest_size=16)
            for offset in range(0, len(mapped), 256 << 10):
                digest.update(mapped[offset : offset + (256 << 10)])
            return Content(digest.digest(), parse(mapped, limits))
    finally:
        os.close(fd)


def insert_content(transaction: Transaction, content: Content) -> int:
    """Into the three content tables. Returns the content id."""
    p = content.parsed
    transaction.execute(
        "INSERT INTO content (digest, envelope, body, bodystructure, parts, header_size) VALUES (?, ?, ?, ?, ?, ?)",
        (content.digest, p.envelope, p.body, p.bodystructure, p.parts, p.header_size),
    )
    number = transaction.database.last_insert_rowid()
    texts = p.texts
    transaction.execute(
        "INSERT INTO content_text (id, sent_day, sent_time, subject, sender, recipient, cc, bcc, base_subject, is_reply, sort_from,"
        " sort_to, sort_cc, display_from, display_to, message_id, parents)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            p.sent_day,
            p.sent_time,
            texts["subject"],
            texts["from"],
            texts["to"],
            texts["cc"],
            texts["bcc"],
            p.base_subject,
            int(p.is_reply),
            p.sort_from,
            p.sort_to,
            p.sort_cc,
            p.display_from,
            p.display_to,
            p.message_id,
            "\n".join(p.references),
        ),
    )
    transaction.execute(
        "INSERT INTO content_header (id, fields, kept, folded) VALUES (?, ?, ?, ?)",
        (number, p.field_table, p.kept_header, p.header_text),
    )
    return number


Unparsed = list[tuple[int, str]]
"""``(uid, file)`` of messages without content."""


def unparsed(engine: Engine, mailbox_id: int, limit: int, after: int = 0) -> Unparsed:
    """The next messages above uid ``after`` that have to be parsed."""
    with engine.reading() as database:
        found = database.execute(
            "SELECT uid, file FROM message WHERE mailbox_id = ? AND content_id IS NULL AND uid > ? ORDER BY uid LIMIT ?",
            (mailbox_id, after, limit),
        )
        return [(uid, file) for uid, file in found]


def parse_files(engine: Engine, directory: str, waiting: Unparsed) -> list[tuple[int, str, Content]]:
    """Read and parse, outside of the lock. Files that are gone or were renamed meanwhile are left out."""
    limits = mime_limits(engine.config.mail)
    parsed = []
    for uid, file in waiting:
        try:
            with disk.reading():
                parsed.append((uid, file, content_of_file(engine.path(directory, file), limits)))
        except FileNotFoundError:
            continue
        except StorageUnavailable as error:
            # One message that cannot be read must not keep the others from being shown.
            _log.warning("message cannot be read", user=engine.user, mailbox=directory, uid=uid, error=str(error))
    return parsed


def fill(engine: Engine, mailbox_id: int, parsed: Sequence[tuple[int, str, Content]]) -> None:
    """Give the messages their contents; inside ``exclusive``. Hard links of one file that were parsed apart share nothing: that costs
    space, and only for copies that a new index has met."""
    if mailbox_id not in engine.rows or not parsed:
        return
    with engine.transaction(durable=False) as transaction:
        for uid, _, content in parsed:
            number = insert_content(transaction, content)
            values = (mailbox_id, uid)
            for flags, size in fetch_all(
                transaction.database,
                "SELECT flags, size FROM message WHERE mailbox_id = ? AND uid = ? AND content_id IS NULL",
                values,
            ):
                if size != content.parsed.size:
                    # The file's name said something else.
                    row = transaction.touch(engine.rows[mailbox_id])
                    row.count(flags, size, -1)
                    row.count(flags, content.parsed.size, 1)
                transaction.execute(
                    "UPDATE message SET content_id = ?, size = ? WHERE mailbox_id = ? AND uid = ?",
                    (number, content.parsed.size, *values),
                )


def collect(engine: Engine) -> None:
    """Remove contents that no message has any more; inside ``exclusive``."""
    with engine.transaction(durable=False) as transaction:
        for table in ("content", "content_text", "content_header"):
            transaction.execute(
                f"DELETE FROM {table} WHERE id NOT IN (SELECT content_id FROM message WHERE content_id IS NOT NULL)"
            )
        transaction.execute("UPDATE account SET garbage = 0")
