"""THREAD: messages to trees, from the links that are kept of each.  [RFC5256 3] and THREAD=REFS as Dovecot does it.

    thread-data  = "THREAD" [SP 1*thread-list]
    thread-list  = "(" (thread-members / thread-nested) ")"
    thread-members = nz-number *(SP nz-number) [SP thread-nested]
    thread-nested  = 2*thread-list

All three algorithms work on values, never recurse (a thread may be as deep as the mailbox is long), and take about n log n steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple


class Threaded(NamedTuple):
    """What is asked of a message.

    number: uid or sequence number, for the answer. time: seconds UTC of the Date field, or of the internal date when there is none.
    arrival: internal date. message_id, references, base_subject, is_reply: of ``ParsedMessage``.
    """

    number: int
    time: int
    arrival: int
    message_id: str
    references: Sequence[str]
    base_subject: str
    is_reply: bool


class Thread:
    """A message (or, with ``message`` None, a place where one is missing) and the answers to it, in order."""

    __slots__ = ("answers", "children", "message", "order", "parent", "set")

    def __init__(self, message: Threaded | None = None) -> None:
        self.message = message
        self.children: list[Thread] = []
        self.parent: Thread | None = None
        self.answers = 0  # how many children there will be
        self.set: Thread | None = None  # union-find: upwards in the set of nodes that were in one tree; None at its top
        self.order: tuple[int, int] = (0, 0)


def thread_orderedsubject(messages: Iterable[Threaded]) -> list[Thread]:
    """THREAD=ORDEREDSUBJECT: one thread for each base subject, its first message above all others."""
    ordered = sorted(messages, key=lambda m: (m.base_subject, m.time, m.number))
    roots: list[Thread] = []
    for _, group in groupby(ordered, key=lambda m: m.base_subject):
        first, *others = group
        root = Thread(first)
        root.children = [Thread(message) for message in others]
        roots.append(root)
    roots.sort(key=_own_order)
    return roots


def thread_references(messages: Iterable[Threaded]) -> list[Thread]:
    """THREAD=REFERENCES: by the ids in the messages, and then roots of one base subject together."""
    roots = _sorted(_pruned(_linked(messages)))
    return _sorted(_merged_by_subject(roots))


def thread_refs(messages: Iterable[Threaded]) -> list[Thread]:
    """THREAD=REFS: by the ids alone; threads in the order of their newest messages."""
    roots = _sorted(_pruned(_linked(messages)))
    newest = {id(root): max((m.time, m.number) for m in _members(root)) for root in roots}
    roots.sort(key=lambda root: newest[id(root)])
    return roots


def _own_order(thread: Thread) -> tuple[int, int]:
    message = thread.message
    return (message.time, message.number) if message is not None else (0, 0)


def _members(root: Thread) -> Iterable[Threaded]:
    waiting = [root]
    while waiting:
        thread = waiting.pop()
        if thread.message is not None:
            yield thread.message
        waiting += thread.children


# Step 1: links


def _linked(messages: Iterable[Threaded]) -> list[Thread]:
    """Every message in its tree; the roots, in no order.

    A message whose id another one has already counts as one without an id. An id that a message names as its parent wins over what
    other messages say of it. No link is made that would close a circle.
    """
    by_id: dict[str, Thread] = {}
    every: list[Thread] = []
    for message in messages:
        node = by_id.get(message.message_id) if message.message_id else None
        if node is None:
            node = Thread()
            every.append(node)
            if message.message_id:
                by_id[message.message_id] = node
        elif node.message is not None:
            node = Thread()
            every.append(node)
        node.message = message
        above: Thread | None = None
        for reference in message.references:
            ancestor = by_id.get(reference)
            if ancestor is None:
                ancestor = by_id[reference] = Thread()
                every.append(ancestor)
            if above is not None and ancestor.parent is None and not _circle(above, ancestor):
                _link(above, ancestor)
            above = ancestor
        previous = node.parent
        if above is previous:
            continue
        if previous is not None:
            # What others say of it does not count any more: it names another parent, or says that it answers nothing.
            node.parent = None
            previous.answers -= 1
        if above is not None and not _circle(above, node):
            _link(above, node)
    roots: list[Thread] = []
    for thread in every:
        if thread.parent is None:
            roots.append(thread)
        else:
            thread.parent.children.append(thread)
            thread.parent = None  # no cycles: a tree is gone at once when it is done
    return roots


def _link(parent: Thread, child: Thread) -> None:
    child.parent = parent
    parent.answers += 1
    top, below = _set(parent), _set(child)
    if top is not below:
        below.set = top


def _set(thread: Thread) -> Thread:
    top = thread
    while top.set is not None:
        top = top.set
    while thread is not top and thread.set is not None:
        above = thread.set
        thread.set = top
        thread = above
    return top


def _circle(parent: Thread, child: Thread) -> bool:
    """Whether ``child`` is ``parent``, or above it."""
    if parent is child:
        return True
    if not child.answers or _set(parent) is not _set(child):
        return False
    above = parent.parent
    while above is not None:
        if above is child:
            return True
        above = above.parent
    return False


# Steps 2 and 3: places without a message


def _pruned(roots: list[Thread]) -> list[Thread]:
    """Missing messages are left out, and their children put in their place; only a missing root with several children stays."""
    kept: list[Thread] = []
    for root in roots:
        for thread in reversed(_preorder(root)):
            if any(child.message is None for child in thread.children):
                # Children were pruned before: one without a message has only children with one.
                thread.children = [
                    grown for child in thread.children for grown in ([child] if child.message else child.children)
                ]
        if root.message is not None or len(root.children) > 1:
            kept.append(root)
        else:
            kept += root.children
    return kept


def _preorder(root: Thread) -> list[Thread]:
    found = [root]
    for thread in found:
        found += thread.children
    return found


# Steps 4 and 6: order


def _sorted(roots: list[Thread]) -> list[Thread]:
    """Siblings by date, then number; a missing message counts as its first child."""
    for root in roots:
        for thread in reversed(_preorder(root)):
            if len(thread.children) > 1:
                thread.children.sort(key=_order)
            thread.order = _own_order(thread) if thread.message is not None else thread.children[0].order
    roots.sort(key=_order)
    return roots


def _order(thread: Thread) -> tuple[int, int]:
    return thread.order


# Step 5: subjects


def _subject(root: Thread) -> tuple[str, bool]:
    message = root.message or root.children[0].message
    return (message.base_subject, message.is_reply) if message is not None else ("", False)


def _merged_by_subject(roots: list[Thread]) -> list[Thread]:
    table: dict[str, Thread] = {}
    for root in roots:
        subject, is_reply = _subject(root)
        if not subject:
            continue
        known = table.get(subject)
        if (
            known is None
            or (root.message is None and known.message is not None)
            or (known.message is not None and root.message is not None and known.message.is_reply and not is_reply)
        ):
            table[subject] = root
    merged: list[Thread] = []
    replaced: dict[int, Thread] = {}
    for root in roots:
        subject, is_reply = _subject(root)
        known = table.get(subject) if subject else None
        if known is None or known is root:
            merged.append(root)
        elif known.message is None:
            known.children += root.children if root.message is None else [root]
        elif is_reply and not known.message.is_reply:
            known.children.append(root)
        else:
            # Neither answers the other: both below a missing message, which stands where the known one stood.
            both = Thread()
            both.children = [known, root]
            table[subject] = both
            replaced[id(known)] = both
    return [replaced.get(id(root), root) for root in merged]


# Wire


def encode_threads(roots: Sequence[Thread]) -> bytes:
    """The thread-lists of an untagged THREAD response, without the word and the space before them."""
    out: list[bytes] = []
    for root in roots:
        out.append(b"(")
        waiting: list[Thread | bytes] = [root]
        fresh = True  # nothing was written in this list yet
        while waiting:
            thread = waiting.pop()
            if isinstance(thread, bytes):
                out.append(thread)
                fresh = True
                continue
            if thread.message is not None:
                out.append(b"%d" % thread.message.number if fresh else b" %d" % thread.message.number)
                fresh = False
            if len(thread.children) == 1:
                waiting.append(thread.children[0])
            elif thread.children:
                if not fresh:
                    out.append(b" ")
                for child in reversed(thread.children):
                    waiting += (b")", child, b"(")
        out.append(b")")
    return b"".join(out)
