"""FETCH and UID FETCH.  [RFC9051 6.4.5] [RFC7162 3.1.4, 3.2.6]

The items are compiled once a command (``FetchPlan``); what a message's line is made of then comes as columns, not as objects:

- UID, FLAGS and MODSEQ from the shared snapshot, without an await. A fetch of nothing else is one comprehension.
- what the index knows (``Selection.fetch``) and header fields (``Selection.header_fields``), in batches.
- sections that need the message's file (``Selection.octets``), in batches of about a megabyte; large ones are streamed in pieces.

A batch waits for room before it is written, not behind it: the last one, mostly the only one, goes out in one write with the tagged line.

One of these sources leads and its batches are the batches of the answer; the others are asked for the same uids. A message that was
expunged, or whose file vanished, since the command was read is missing from a source: it is left out and the command ends with
``OK [EXPUNGEISSUED]`` [RFC5530 3], as Dovecot's does: Thunderbird shows a NO to the user, who has done nothing wrong. Uids that were no
message in the first place are nothing [RFC9051 6.4.9].

\\Seen is set in one commit when everything is sent, so that a line that breaks in the middle leaves the message unread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence

from mas.errors import MessageGone
from mas.protocols.imap.commands import Att, Fetch, FetchAtt
from mas.protocols.imap.encode import encode_vanished_earlier
from mas.protocols.imap.encode_fetch import END, FetchPlan, clip, compile_fetch, literal_head, without_nul
from mas.protocols.imap.flag_events import flags_before, tell_flags_changed
from mas.protocols.imap.numset import resolve
from mas.protocols.imap.responses import EXPUNGEISSUED
from mas.protocols.imap.state import RECENT, BrokenStream, Done, Refused, Session
from mas.protocols.imap.view import Messages, View
from mas.storage.interface import Octets, Selection
from mas.storage.model import SEEN, Flags, Modseq, Snapshot, StoreOp

PIECE = 4096
"""Messages encoded in a row before the transport, and other sessions, get their turn."""

Rows = Sequence[tuple[object, ...]]
Values = Sequence[tuple[int, "bytes | Octets"]]


async def handle_fetch(session: Session, command: Fetch) -> Done:
    """Send what is asked of each message, then set \\Seen."""
    selection, view = session.selected()
    if command.vanished and not (session.qresync and command.uid):
        raise Refused("VANISHED needs UID FETCH and QRESYNC enabled.", bad=True)  # [RFC7162 3.2.6]
    if command.modseq:
        session.enable_condstore()
    messages = session.resolve(view, command.messages, command.uid)
    if command.changed_since is not None:
        messages = _changed(messages, selection.snapshot, command.changed_since)
        if command.vanished:
            await _tell_vanished(session, selection, view, command)
    if messages:
        plan = compile_fetch(command.items, command.uid or session.qresync)
        if plan.flags:
            session.tell_new_keywords()
        if plan.files:
            sent = await _fetch_files(session, plan, messages)
        elif plan.columns or plan.headers:
            sent = await _fetch_index(session, plan, messages)
        else:
            sent = await _fetch_flags(session, plan, messages)
        if command.sets_seen and not selection.read_only:
            await _set_seen(session, selection, view, command, messages)
        if sent < len(messages):
            text = b"Some of the requested messages no longer exist."
            return Done(text, EXPUNGEISSUED, expunge=command.uid, uid=command.uid)
    return Done(b"Fetch completed.", expunge=command.uid, uid=command.uid)


# Where values come from


async def _fetch_flags(session: Session, plan: FetchPlan, messages: Messages) -> int:
    """Nothing but what the snapshot holds."""
    batch = _Batch(session, messages.uids, messages.seqnums)
    if plan.flags:
        assert session.view is not None
        session.view.forget_changes(batch.uids)
    # All of it is copied: what other sessions do between two pieces does not touch it.
    for start in range(0, len(batch.uids), PIECE):
        session.channel.write(plan.lines(*batch.columns(plan, start, start + PIECE)))
        if start + PIECE < len(batch.uids):
            await session.channel.drain()
    return len(batch.uids)


async def _fetch_index(session: Session, plan: FetchPlan, messages: Messages) -> int:
    """What the index answers without a message's file."""
    selection = session.selection
    assert selection is not None
    sent = place = 0
    async for uids, rows, headers in _index_batches(selection, plan, messages.uids):
        if sent:
            await session.channel.drain()
        numbers, place = messages.numbers(uids, place)
        batch = _Batch(session, uids, numbers, rows, headers)
        session.channel.write(plan.lines(*batch.columns(plan), batch.rows, batch.headers))
        sent += len(batch.uids)
    return sent


async def _index_batches(
    selection: Selection, plan: FetchPlan, uids: Sequence[int]
) -> AsyncIterator[tuple[Sequence[int], Rows, list[Sequence[bytes]]]]:
    """Batches ``(uids, rows of the index, octets of each header item)``, the three in step."""
    if plan.columns:
        async for rows in selection.fetch(uids, plan.columns):
            here = [row[0] for row in rows]
            headers, kept = await _headers(selection, plan, here)  # type: ignore[arg-type]
            if len(kept) < len(here):
                wanted = set(kept)
                rows = [row for row in rows if row[0] in wanted]
            yield kept, rows, headers
        return
    first = plan.headers[0].section
    assert first is not None
    async for values in selection.header_fields(uids, first):
        here_uids = [uid for uid, _ in values]
        if len(plan.headers) == 1:
            yield here_uids, (), [[octets for _, octets in values]]
        else:
            headers, kept = await _headers(selection, plan, here_uids)
            yield kept, (), headers


async def _headers(
    selection: Selection, plan: FetchPlan, uids: Sequence[int]
) -> tuple[list[Sequence[bytes]], Sequence[int]]:
    """The octets of every header item for ``uids``, and the uids that have them all."""
    found: list[list[tuple[int, bytes]]] = []
    for item in plan.headers:
        assert item.section is not None
        pairs: list[tuple[int, bytes]] = []
        async for batch in selection.header_fields(uids, item.section):
            pairs += batch
        found.append(pairs)
    if all(len(pairs) == len(uids) for pairs in found):
        return [[octets for _, octets in pairs] for pairs in found], uids
    values = [dict(pairs) for pairs in found]
    uids = [uid for uid in uids if all(uid in known for known in values)]
    return [[known[uid] for uid in uids] for known in values], uids


async def _fetch_files(session: Session, plan: FetchPlan, messages: Messages) -> int:
    """Sections of the messages themselves; the first one leads."""
    selection, channel = session.selection, session.channel
    assert selection is not None
    leader, *others = plan.files
    assert leader.section is not None
    sent = place = 0
    async for batch in selection.octets(messages.uids, leader.section):
        if sent:
            await channel.drain()
        uids: Sequence[int] = [uid for uid, _ in batch]
        sections: list[dict[int, bytes | Octets]] = [dict(batch)]
        for item in others:
            assert item.section is not None
            values: dict[int, bytes | Octets] = {}
            async for more in selection.octets(uids, item.section):
                values.update(more)
            sections.append(values)
        if others:
            uids = [uid for uid in uids if all(uid in values for values in sections)]
        rows: Rows = ()
        headers: list[Sequence[bytes]] = []
        if plan.columns or plan.headers:
            asked, uids, rows = uids, [], []
            async for some, some_rows, some_headers in _index_batches(selection, plan, asked):
                uids = [*uids, *some]
                rows = [*rows, *some_rows]
                headers = [[*a, *b] for a, b in zip(headers, some_headers, strict=True)] if headers else some_headers
        numbers, place = messages.numbers(uids, place)
        here = _Batch(session, uids, numbers, rows, headers)
        heads = plan.heads(*here.columns(plan), here.rows, here.headers)
        gathered: list[bytes] = []
        for uid, head in zip(here.uids, heads, strict=True):
            line = [head]
            begun = False
            for item, octets in zip(plan.files, sections, strict=True):
                value = octets[uid]
                if isinstance(value, bytes):
                    line.append(plan.section(item, value))
                elif item.att is Att.BINARY_SIZE:
                    line.append(plan.name(item) + b"%d" % value.size)
                elif not clip(item, value.size)[1]:
                    line.append(plan.section(item, b""))
                else:
                    stream = _Stream(item, value)
                    try:
                        await stream.open()
                    except MessageGone:
                        if begun:
                            raise BrokenStream("a message file vanished while it was sent") from None
                        break
                    channel.write(b"".join([*gathered, *line, plan.name(item), stream.head]))
                    gathered, line, begun = [], [], True
                    await stream.send(session)
            else:
                gathered += line
                gathered.append(END)
                sent += 1
        channel.write(b"".join(gathered))
    return sent


class _Stream:
    """A large section on its way out in pieces. Its file is open once ``open`` has read the first: what goes wrong later is found when
    the literal is announced already, and then the connection cannot go on."""

    __slots__ = ("_chunks", "_first", "_item", "_left", "head")

    def __init__(self, item: FetchAtt, octets: Octets) -> None:
        first, self._left = clip(item, octets.size)
        self._item = item
        self._chunks = octets.chunks(first)
        self._first = b""
        self.head = literal_head(item, self._left)

    async def open(self) -> None:
        """Read the first piece. Raises MessageGone."""
        async for chunk in self._chunks:
            self._first = chunk
            break

    async def send(self, session: Session) -> None:
        """Write the octets. Raises BrokenStream."""
        session.in_literal = True
        chunk = self._first
        try:
            while True:
                piece = chunk if len(chunk) <= self._left else chunk[: self._left]
                session.channel.write(without_nul(self._item, piece))
                self._left -= len(piece)
                await session.channel.drain()
                if not self._left:
                    break
                chunk = await anext(self._chunks)
        except (MessageGone, StopAsyncIteration):
            raise BrokenStream("a message file vanished while it was sent") from None
        session.in_literal = False


# Columns of a batch


class _Batch:
    """The values of a batch of messages, in step. Messages that are not in the snapshot any more are dropped."""

    __slots__ = ("flags", "headers", "modseqs", "numbers", "rows", "session", "uids")

    def __init__(
        self,
        session: Session,
        uids: Sequence[int],
        numbers: Sequence[int],
        rows: Rows = (),
        headers: Sequence[Sequence[bytes]] = (),
    ) -> None:
        assert session.selection is not None
        snapshot = session.selection.snapshot
        places = _places(snapshot, uids)
        if isinstance(places, slice):
            self.flags: Sequence[int] = snapshot.flags[places]
            self.modseqs: Sequence[int] = snapshot.modseqs[places]
        else:
            here = [n for n, at in enumerate(places) if at >= 0]
            self.flags = [snapshot.flags[places[n]] for n in here]
            self.modseqs = [snapshot.modseqs[places[n]] for n in here]
            if len(here) < len(uids):
                uids = [uids[n] for n in here]
                numbers = [numbers[n] for n in here]
                rows = [rows[n] for n in here] if rows else rows
                headers = [[column[n] for n in here] for column in headers]
        self.session = session
        self.uids = uids
        self.numbers = numbers
        self.rows = rows
        self.headers = headers

    def columns(
        self, plan: FetchPlan, start: int = 0, end: int | None = None
    ) -> tuple[Sequence[int], Sequence[int], Sequence[bytes], Sequence[int]]:
        """Sequence numbers, uids, texts of flags, modseqs: what a plan's lines begin with."""
        uids = self.uids[start:end]
        flags = self._flag_texts(uids, self.flags[start:end]) if plan.flags else ()
        return self.numbers[start:end], uids, flags, self.modseqs[start:end]

    def _flag_texts(self, uids: Sequence[int], flags: Sequence[int]) -> list[bytes]:
        """Flags as text; \\Recent is the session's, from one uid on."""
        session = self.session
        texts = session.flag_texts
        assert session.selection is not None
        first = session.selection.recent_from
        if session.rev2 or not uids or uids[-1] < first:
            return [texts[each] for each in flags]
        recent = bisect_left(uids, first)
        return [texts[each] for each in flags[:recent]] + [texts[each | RECENT] for each in flags[recent:]]


def _places(snapshot: Snapshot, uids: Sequence[int]) -> slice | list[int]:
    """Where the snapshot has these uids now: a slice when they lie together (ascending, same ends, same length: the same list), else
    positions, -1 for a uid that is gone."""
    if not uids:
        return slice(0, 0)
    there = snapshot.uids
    start = bisect_left(there, uids[0])
    end = start + len(uids)
    if end <= len(there) and there[start] == uids[0] and there[end - 1] == uids[-1]:
        return slice(start, end)
    places = []
    at, count = start, len(there)
    for uid in uids:
        at = bisect_left(there, uid, at)
        places.append(at if at < count and there[at] == uid else -1)
    return places


# CHANGEDSINCE, VANISHED, \Seen


def _changed(messages: Messages, snapshot: Snapshot, since: int) -> Messages:
    """Those with a modseq above ``since`` [RFC7162 3.1.4.1]."""
    places = _places(snapshot, messages.uids)
    if isinstance(places, slice):
        chosen = [at - places.start for at in snapshot.newer(since, places.start, places.stop)]
    else:
        modseqs = snapshot.modseqs
        chosen = [n for n, at in enumerate(places) if at >= 0 and modseqs[at] > since]
    return Messages([messages.uids[n] for n in chosen], [messages.seqnums[n] for n in chosen])


async def _tell_vanished(session: Session, selection: Selection, view: View, command: Fetch) -> None:
    """VANISHED (EARLIER) of the uids asked for that went after CHANGEDSINCE [RFC7162 3.2.6]."""
    assert command.changed_since is not None
    if command.messages.saved:
        return
    uids = resolve(command.messages, max(selection.snapshot.uid_next - 1, 1))
    resync = await selection.resync(Modseq(command.changed_since), uids)
    view.absorb(selection.take_changes())
    if vanished := view.without_waiting(resync.vanished):
        session.channel.write(encode_vanished_earlier(vanished))


async def _set_seen(session: Session, selection: Selection, view: View, command: Fetch, messages: Messages) -> None:
    """\\Seen on what was not, in one commit, and told [RFC9051 6.4.5]."""
    snapshot = selection.snapshot
    unseen = []
    for uid in messages.uids:
        at = view.position(uid)
        if at is not None and not snapshot.flags[at] & SEEN:
            unseen.append(uid)
    if not unseen:
        return
    await session.channel.drain()  # the octets travel while the flags are committed
    before = flags_before(session, view, unseen)
    stored = await selection.store(unseen, StoreOp.ADD, Flags(SEEN))
    view.absorb(selection.take_changes(), {row.uid: row.modseq for row in stored.changed})
    numbers, _ = messages.numbers([row.uid for row in stored.changed])
    session.channel.write(
        b"".join(
            [
                session.flags_response(number, row.uid, row.flags, row.modseq, command.uid)
                for number, row in zip(numbers, stored.changed, strict=True)
            ]
        )
    )
    await tell_flags_changed(session, selection, before, stored.changed)
