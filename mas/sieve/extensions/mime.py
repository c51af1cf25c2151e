"""mime, foreverypart, extracttext, enclose, replace. [RFC5703]

``header``, ``address`` and ``exists`` with ``:mime`` look at the MIME headers of the part at hand (inside foreverypart) or of the whole
message's part, with ``:anychild`` at all parts below it as well.

Parts are known by their place, child by child from the root: a replacement leaves the places of all others as they are, and an enclosure
puts them all below the place ``ENCLOSED``. So a loop goes on over the parts that it has begun with while the message changes under it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import collapse_rfc2231_value, decode_params, getaddresses
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from mas.sieve.compiler import Checker
from mas.sieve.definition import Asking, BlockUse, Extension, Kind, Parameter, Role, TagRule, command
from mas.sieve.extensions.base import addresses, check_field_name, indexed, is_address
from mas.sieve.extensions.body import everything
from mas.sieve.extensions.variables import MODIFIER_TAGS, NAME, modified, set_variable
from mas.sieve.interpreter import LeaveLoop
from mas.sieve.matching import match
from mas.sieve.message import MessageView, PartView
from mas.sieve.program import Call
from mas.sieve.questions import EncloseMessage, ReplacePart
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

ENCLOSED = (1, 0)
"""The place of an enclosed message: the root of the message that is the second part."""


@dataclass(slots=True)
class _Loop:
    """A foreverypart that runs. prefix: where the message that it began with lies in the one of now. gone: places in that message whose
    parts were replaced, with all below them."""

    prefix: tuple[int, ...] = ()
    gone: list[tuple[int, ...]] = field(default_factory=list)

    def lost(self, path: tuple[int, ...]) -> bool:
        """Whether a part is no more."""
        return any(len(path) > len(above) and path[: len(above)] == above for above in self.gone)


def _loops(run: Run) -> list[_Loop]:
    loops: list[_Loop] = run.state.setdefault("foreverypart", [])
    return loops


def _walk(part: PartView, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], PartView]]:
    """The part and all below it, in order, with their places."""
    pending = [(path, part)]
    while pending:
        path, part = pending.pop()
        yield path, part
        pending.extend(reversed([((*path, number), child) for number, child in enumerate(part.children)]))


def run_foreverypart(run: Run, call: Call) -> Asking:
    """foreverypart [RFC5703 3]: the block runs for each part, in depth-first order; nested, for each part below the one at hand."""
    loops = _loops(run)
    if len(loops) >= run.limits.max_foreverypart_depth:
        raise RunError(f"foreverypart is nested more than {run.limits.max_foreverypart_depth} deep", call.line)
    outer, outer_path = run.part, run.state.get("part", ())
    root = outer if outer is not None else (yield from run.body())
    name = run.tagged(call, "name") or ""
    loop = _Loop(loops[-1].prefix if loops else ())
    loops.append(loop)
    try:
        for path, part in _walk(root, outer_path):
            if part is outer or loop.lost(path):
                continue
            run.part, run.state["part"] = part, path
            yield from run.block(call.block)
    except LeaveLoop as leave:
        if leave.name and leave.name != name:
            raise
    finally:
        loops.pop()
        run.part, run.state["part"] = outer, outer_path


def run_replace(run: Run, call: Call) -> Asking:
    """replace [RFC5703 5]: the part at hand, outside foreverypart the whole message."""
    loops = _loops(run)
    path: tuple[int, ...] = (*loops[-1].prefix, *run.state["part"]) if run.part is not None else ()
    sender = run.tagged(call, "from") or ""
    if sender and not is_mailbox_list(sender):
        raise RunError(f"replace: {sender!r} is not a list of addresses", call.line)
    message = yield ReplacePart(
        path,
        run.argument(call, "replacement"),
        "mime" in call.tags,
        run.tagged(call, "subject") or "",
        sender,
        run.edits(),
    )
    if message is None:
        raise RunError("replace: the part cannot be found any more", call.line)
    run.rewritten(message)
    for loop in loops:
        loop.gone.append(path[len(loop.prefix) :])
    if run.part is not None:
        found: PartView | None = yield from run.body()
        for number in path:
            children = found.children if found is not None else ()
            found = children[number] if number < len(children) else None
        run.part = found or run.part


def run_enclose(run: Run, call: Call) -> Asking:
    """enclose [RFC5703 6]; a redirect sends the message without its enclosure."""
    message = yield EncloseMessage(
        run.argument(call, "text"),
        run.tagged(call, "subject") or "",
        run.tagged_list(call, "headers") or (),
        run.edits(),
    )
    run.rewritten(message, enclosing=True)
    for loop in _loops(run):
        loop.prefix = (*ENCLOSED, *loop.prefix)


def is_mailbox_list(text: str) -> bool:
    """mailbox-list [RFC5322 3.4], of addresses that mail can be sent to."""
    found = getaddresses([text])
    return bool(found) and all(is_address(address) for _, address in found) and not any(char in text for char in "\r\n")


def _check_from(checker: Checker, text: str, offset: int) -> None:
    if not is_mailbox_list(text):
        checker.note(offset, f"{text!r} is not a list of addresses")


def _check_replace(checker: Checker, call: Call) -> None:
    """An entity brings its own header [RFC5703 5]."""
    for name in ("subject", "from"):
        if "mime" in call.tags and name in call.offsets:
            checker.note(call.offsets[name], f":{name} does not go with :mime")


def run_break(run: Run, call: Call) -> None:
    """break [RFC5703 3.2]"""
    raise LeaveLoop(run.tagged(call, "name") or "")


def _loops_around(checker: Checker) -> list[Call]:
    return [outer for outer in checker.enclosing if outer.definition.name == "foreverypart"]


def _check_foreverypart(checker: Checker, call: Call) -> None:
    """Too deep a nest is found before it runs [RFC5703 3]."""
    if len(_loops_around(checker)) >= checker.limits.max_foreverypart_depth:
        checker.note(call.offset, f"foreverypart is nested more than {checker.limits.max_foreverypart_depth} deep")


def _check_break(checker: Checker, call: Call) -> None:
    """break stands in a foreverypart, the one of its name when it has one [RFC5703 3.2]."""
    name = call.values.get("name")
    if not any(name in (None, loop.values.get("name")) for loop in _loops_around(checker)):
        checker.note(call.offset, f"break is not inside a foreverypart{f' named {name!r}' if name else ''}")


def run_mime_header(run: Run, call: Call) -> Asking:
    """header, address and exists with ``:mime`` [RFC5703 4]"""
    # Outside of foreverypart the outermost header is that which editheader may have changed [RFC5293 3].
    parts: list[PartView | MessageView] = [run.message if run.part is None else run.part]
    if "anychild" in call.tags:
        parts += list(everything(run.part if run.part is not None else (yield from run.body())))[1:]
    names = run.arguments(call, "header-names")
    if call.definition.name == "exists":
        return all(any(one.header(name.lower()) for one in parts) for name in names)
    if call.definition.name == "address":
        written = indexed(call, [value for name in names for one in parts for value in one.encoded(name.lower())])
        values = addresses(run, call.tags.get("address-part", "all"), written)
    else:
        fields = [
            (name, value.strip()) for name in map(str.lower, names) for one in parts for value in one.header(name)
        ]
        found = indexed(call, fields)
        if option := call.tags.get("mime-option"):
            wanted = run.tagged_list(call, "mime-option") or ()
            values = [piece for name, value in found for piece in _pieces(name, value, option, wanted)]
        else:
            values = [value for _, value in found]
    outcome = match(run, call, values, names)
    if outcome.__class__ is GeneratorType:
        outcome = yield from outcome
    return outcome


_TYPED = frozenset({"content-type", "content-disposition"})


def _pieces(name: str, value: str, option: str, wanted: tuple[str, ...]) -> list[str]:
    """What ``:type``, ``:subtype``, ``:contenttype`` or ``:param`` look at in a field's value [RFC5703 4.1].

    A disposition has an empty subtype; fields other than Content-Type and Content-Disposition have nothing but parameters."""
    main, *parameters = _split(value)
    if option == "param":
        names = {name.lower() for name in wanted}
        pairs = [parameter.partition("=") for parameter in parameters]
        given = [(name.strip(), _unquote(text.strip())) for name, equals, text in pairs if equals]
        return [collapse_rfc2231_value(text) for name, text in _joined(given) if name.lower() in names]
    if name not in _TYPED:
        return [""]
    kind, _, subtype = main.strip().partition("/")
    if option == "type":
        return [kind.strip()]
    if option == "subtype":
        return [subtype.strip()]
    return [main.strip()]


def _joined(given: list[tuple[str, str]]) -> list[tuple[str, Any]]:
    """Parameters in pieces, or with a charset, made whole [RFC2231 3, 4]."""
    if not any("*" in name for name, _ in given):
        return list(given)
    try:
        return [(name, _without_quotes(value)) for name, value in decode_params([("", ""), *given])[1:]]
    except (ValueError, LookupError):
        return list(given)


def _without_quotes(value: Any) -> Any:
    """decode_params puts what it has joined in quotes."""
    return _unquote(value) if isinstance(value, str) else (*value[:2], _unquote(value[2]))


def _split(value: str) -> list[str]:
    """At semicolons outside quotes."""
    pieces, start, quoted, at = [], 0, False, 0
    while at < len(value):
        char = value[at]
        if quoted and char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif char == ";" and not quoted:
            pieces.append(value[start:at])
            start = at + 1
        at += 1
    return [*pieces, value[start:]]


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text


_NO_TEXT = frozenset({"multipart", "message", "image", "audio", "video"})
"""Types of media whose content is no text."""


def run_extracttext(run: Run, call: Call) -> None:
    """extracttext [RFC5703 7]: the content of the part at hand, as it is written: HTML with its tags. Empty for what is no text."""
    part = run.part
    assert part is not None  # the compiler wants a loop around it
    text = "" if part.content_type.partition("/")[0] in _NO_TEXT else part.text()
    first = run.tagged_number(call, "first")
    set_variable(run, run.argument(call, "variable"), modified(call, text if first is None else text[:first]))


def _check_extracttext(checker: Checker, call: Call) -> None:
    """It stands in a loop, and there are variables."""
    if not _loops_around(checker):
        checker.note(call.offset, "extracttext is not inside a foreverypart")
    if not checker.allows("variables"):
        checker.note(call.offset, "extracttext needs require 'variables'")


def check_variable(checker: Checker, text: str, offset: int) -> None:
    """variable-name"""
    if not NAME.match(text):
        checker.note(offset, f"{text!r} is not a variable name")


_OPTIONS = (
    TagRule("mime", needs="mime", plain=False),
    TagRule("anychild", needs="mime", beside="mime"),
)
_HEADER_OPTIONS = (
    *_OPTIONS,
    TagRule("type", group="mime-option", needs="mime", beside="mime"),
    TagRule("subtype", group="mime-option", needs="mime", beside="mime"),
    TagRule("contenttype", group="mime-option", needs="mime", beside="mime"),
    TagRule("param", Kind.STRINGS, group="mime-option", needs="mime", beside="mime"),
)
MIME = Extension(
    "mime",
    tags={(Role.TEST, "header"): _HEADER_OPTIONS, (Role.TEST, "address"): _OPTIONS, (Role.TEST, "exists"): _OPTIONS},
    mime_header=run_mime_header,
)
FOREVERYPART = Extension(
    "foreverypart",
    definitions=(
        command(
            "foreverypart",
            run_foreverypart,
            tags=(TagRule("name", Kind.STRING, constant=True),),
            block=BlockUse.REQUIRED,
            needs="foreverypart",
            check=_check_foreverypart,
        ),
        command(
            "break",
            run_break,
            tags=(TagRule("name", Kind.STRING, constant=True),),
            needs="foreverypart",
            check=_check_break,
        ),
    ),
)
EXTRACTTEXT = Extension(
    "extracttext",
    definitions=(
        command(
            "extracttext",
            run_extracttext,
            Parameter("variable", Kind.STRING, constant=True, check=check_variable),
            tags=(TagRule("first", Kind.NUMBER), *MODIFIER_TAGS),
            needs="extracttext",
            check=_check_extracttext,
        ),
    ),
)
REPLACE = Extension(
    "replace",
    definitions=(
        command(
            "replace",
            run_replace,
            Parameter("replacement", Kind.STRING),
            tags=(TagRule("mime"), TagRule("subject", Kind.STRING), TagRule("from", Kind.STRING, check=_check_from)),
            needs="replace",
            check=_check_replace,
        ),
    ),
)
ENCLOSE = Extension(
    "enclose",
    definitions=(
        command(
            "enclose",
            run_enclose,
            Parameter("text", Kind.STRING),
            tags=(TagRule("subject", Kind.STRING), TagRule("headers", Kind.STRINGS, check=check_field_name)),
            needs="enclose",
        ),
    ),
)
