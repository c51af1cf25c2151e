"""body: ``:raw``, ``:content``, ``:text``. [RFC5173]"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mas.sieve.definition import Asking, Extension, Kind, Parameter, TagRule, test
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.message import PartView
from mas.sieve.program import Call

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def leaves(part: PartView) -> Iterator[PartView]:
    """All parts that hold content, in order; multiparts and messages hold parts."""
    pending = [part]
    while pending:
        part = pending.pop()
        if part.children:
            pending.extend(reversed(part.children))
        else:
            yield part


def everything(part: PartView) -> Iterator[PartView]:
    """The part and all below it, in order."""
    pending = [part]
    while pending:
        part = pending.pop()
        yield part
        pending.extend(reversed(part.children))


def has_type(part: PartView, wanted: str) -> bool:
    """Whether a part is of a media type as ``:content`` names it: ``""`` any, ``text`` a type, ``text/html`` both [RFC5173 5.2]."""
    wanted = wanted.lower()
    if not wanted:
        return True
    if wanted.startswith("/") or wanted.endswith("/") or wanted.count("/") > 1:
        return False
    return part.content_type == wanted if "/" in wanted else part.content_type.partition("/")[0] == wanted


def _contents(part: PartView) -> list[str]:
    """What ``:content`` looks at of one part: of a multipart what stands before and behind its parts, of a message its header, of others
    all of it; parts within are looked at by their own types [RFC5173 5.2]."""
    if part.content_type.startswith("multipart/"):
        return _around(part)
    if part.content_type == "message/rfc822":
        header, blank, _ = part.text().replace("\r\n", "\n").partition("\n\n")
        return [(header + "\n" if blank else header).replace("\n", "\r\n")]
    return [part.text()]


def _around(part: PartView) -> list[str]:
    """The prologue and the epilogue of a multipart, where there are any."""
    boundary = next((value for name, value in part.parameters if name == "boundary"), "")
    if not boundary:
        return []
    text = "\n" + part.raw().replace("\r\n", "\n")
    prologue, first, rest = text.partition(f"\n--{boundary}")
    _, last, epilogue = rest.partition(f"\n--{boundary}--")
    pieces = [prologue.removeprefix("\n") if first else "", epilogue.partition("\n")[2] if last else ""]
    return [piece.replace("\n", "\r\n") for piece in pieces if piece]


def run_body(run: Run, call: Call) -> Asking:
    """body [RFC5173 4]; the values of wildcards are not set [RFC5173 6]."""
    root = yield from run.body()
    transform = call.tags.get("transform", "text")
    if transform == "raw":
        values = [root.raw()]
    elif transform == "content":
        wanted = run.tagged_list(call, "transform") or ()
        found = [part for part in everything(root) if any(has_type(part, kind) for kind in wanted)]
        values = [value for part in found for value in _contents(part)]
    else:
        values = [part.text() for part in leaves(root) if part.content_type.startswith("text/")]
    before = run.match_values
    outcome = match(run, call, values, [f":{transform}"])
    if outcome.__class__ is not bool:
        outcome = yield from outcome
    run.match_values = before
    return outcome


BODY = Extension(
    "body",
    definitions=(
        test(
            "body",
            run_body,
            Parameter("keys", Kind.STRINGS),
            tags=(
                *MATCH_TAGS,
                TagRule("raw", group="transform"),
                TagRule("content", Kind.STRINGS, group="transform"),
                TagRule("text", group="transform"),
            ),
            matches=True,
            needs="body",
        ),
    ),
)
