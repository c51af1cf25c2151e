"""SEARCH and UID SEARCH, ESEARCH, the saved result.  [RFC9051 6.4.4] [RFC3501 7.2.5] [RFC4731] [RFC5182] [RFC7162 3.1.5]

The store answers uids as its index stands now; what the client is told of them is what its own view holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from mas.errors import MasError
from mas.protocols.imap.commands import Search, SearchReturn
from mas.protocols.imap.encode import encode_esearch, encode_search
from mas.protocols.imap.numset import SequenceSet, resolve, to_ranges
from mas.protocols.imap.responses import EsearchData
from mas.protocols.imap.search_program import resolve_search
from mas.protocols.imap.state import Done, Session
from mas.protocols.imap.view import View
from mas.storage.interface import Selection
from mas.storage.query import Key, Uids


async def handle_search(session: Session, command: Search) -> Done:
    """Search, answer in the form that was asked for, keep the result when RETURN (SAVE) says so."""
    selection, view = session.selected()
    if command.modseq:
        session.enable_condstore()
    returns = command.returns
    try:
        await selection.refresh()
        # What has come is told first, so that it can be found.
        session.announce(expunge=False, uid=command.uid)
        found = await selection.search(_key(command, selection, view))
    except MasError:
        if returns is not None and returns.save:
            view.saved = ()  # [RFC5182 2.1]: after a NO the result is empty
        raise
    view.absorb(selection.take_changes())
    uids = view.told(found)
    if returns is not None and returns.save:
        view.saved = _saved(uids, returns)
        if not (returns.min or returns.max or returns.all or returns.count):
            return Done(b"Search completed.", expunge=command.uid, uid=command.uid)
    numbers: Sequence[int] = uids if command.uid else view.seqnums_of(uids)
    modseq = view.highest_modseq(uids) if command.modseq else 0
    if returns is None and not session.rev2:
        session.channel.write(encode_search(numbers, modseq or None))
    else:
        asked = returns or SearchReturn(all=True)
        if modseq and not asked.all and not asked.count:
            modseq = view.highest_modseq(_ends(uids, asked))
        session.channel.write(_esearch(command, asked, numbers, modseq))
    return Done(b"Search completed.", expunge=command.uid, uid=command.uid)


def _key(command: Search, selection: Selection, view: View) -> Key:
    """The search program with every set of numbers as uids. Sequence numbers that are no message match nothing."""
    uids = view.uids

    def seqnums(numbers: SequenceSet) -> Uids:
        if numbers.saved:
            return Uids(tuple(to_ranges(view.saved)))
        ranges = resolve(numbers, view.exists)
        return Uids(
            tuple((uids[low - 1], uids[min(high, view.exists) - 1]) for low, high in ranges if low <= view.exists)
        )

    def uid_set(numbers: SequenceSet) -> Uids:
        if numbers.saved:
            return Uids(tuple(to_ranges(view.saved)))
        return Uids(resolve(numbers, uids[-1] if uids else 0))

    def recent() -> Uids:
        return Uids(((selection.recent_from, (1 << 32) - 1),))

    return resolve_search(command.key, seqnums, uid_set, recent)


def _saved(uids: Sequence[int], returns: SearchReturn) -> Sequence[int]:
    """What ``$`` becomes [RFC5182 2.4]: with MIN or MAX and neither ALL nor COUNT, only those messages."""
    if (returns.min or returns.max) and not (returns.all or returns.count) and uids:
        ends = {uids[0]} if returns.min else set()
        return sorted(ends | ({uids[-1]} if returns.max else set()))
    return list(uids)


def _ends(uids: Sequence[int], returns: SearchReturn) -> Sequence[int]:
    """With only MIN or MAX asked, MODSEQ is the highest of these messages [RFC7162 3.1.10]."""
    ends = [uids[0]] if returns.min else []
    return ends + ([uids[-1]] if returns.max else [])


def _esearch(command: Search, returns: SearchReturn, numbers: Sequence[int], modseq: int) -> bytes:
    """ESEARCH [RFC9051 7.3.4]: MIN, MAX and ALL are left out when nothing was found."""
    data = EsearchData(
        tag=command.tag,
        uid=command.uid,
        min=numbers[0] if returns.min and numbers else None,
        max=numbers[-1] if returns.max and numbers else None,
        all=numbers if returns.all and numbers else None,
        count=len(numbers) if returns.count else None,
        modseq=modseq or None,
    )
    return encode_esearch(data)
