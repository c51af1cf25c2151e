"""mime, foreverypart, extracttext, enclose, replace. [RFC5703]

``header``, ``address`` and ``exists`` with ``:mime`` look at the MIME headers of the part at hand (inside foreverypart) or of the whole
message's part, with ``:anychild`` at all parts below it as well.
"""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING

from mas.sieve.compiler import Checker
from mas.sieve.definition import Asking, BlockUse, Extension, Kind, Parameter, Role, TagRule, command
from mas.sieve.extensions.base import match_addresses
from mas.sieve.extensions.body import everything
from mas.sieve.extensions.variables import NAME, set_variable
from mas.sieve.interpreter import LeaveLoop
from mas.sieve.matching import match
from mas.sieve.program import Call
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def run_foreverypart(run: Run, call: Call) -> Asking:
    """foreverypart [RFC5703 3]: the block runs for each part, in depth-first order; nested, for each part below the one at hand."""
    depth = run.state.get("foreverypart", 0)
    if depth >= run.limits.max_foreverypart_depth:
        raise RunError(f"foreverypart is nested more than {run.limits.max_foreverypart_depth} deep", call.line)
    outer = run.part
    root = outer if outer is not None else (yield from run.body())
    parts = list(everything(root))
    name = run.tagged(call, "name") or ""
    run.state["foreverypart"] = depth + 1
    try:
        for part in parts[1:] if outer is not None else parts:
            run.part = part
            yield from run.block(call.block)
    except LeaveLoop as leave:
        if leave.name and leave.name != name:
            raise
    finally:
        run.part = outer
        run.state["foreverypart"] = depth


def run_break(run: Run, call: Call) -> None:
    """break [RFC5703 3.2]"""
    raise LeaveLoop(run.tagged(call, "name") or "")


def _check_break(checker: Checker, call: Call) -> None:
    """break stands in a foreverypart, the one of its name when it has one [RFC5703 3.2]."""
    name = call.values.get("name")
    loops = [outer for outer in checker.enclosing if outer.definition.name == "foreverypart"]
    if not any(name in (None, loop.values.get("name")) for loop in loops):
        checker.note(call.offset, f"break is not inside a foreverypart{f' named {name!r}' if name else ''}")


def run_mime_header(run: Run, call: Call) -> Asking:
    """header, address and exists with ``:mime`` [RFC5703 4]"""
    part = run.part if run.part is not None else (yield from run.body())
    parts = list(everything(part)) if "anychild" in call.tags else [part]
    names = run.arguments(call, "header-names")
    if call.definition.name == "exists":
        return all(any(one.header(name.lower()) for one in parts) for name in names)
    values = [value.strip() for one in parts for name in names for value in one.header(name.lower())]
    if call.definition.name == "address":
        outcome = match_addresses(run, call, values, ", ".join(names))
    else:
        option = call.tags.get("mime-option")
        if option:
            wanted = run.tagged_list(call, "mime-option") or ()
            values = [piece for value in values for piece in _pieces(value, option, wanted)]
        outcome = match(run, call, values, ", ".join(names))
    if outcome.__class__ is GeneratorType:
        outcome = yield from outcome
    return outcome


def _pieces(value: str, option: str, wanted: tuple[str, ...]) -> list[str]:
    """What ``:type``, ``:subtype``, ``:contenttype`` or ``:param`` look at in a Content-Type or Content-Disposition value."""
    main, *parameters = _split(value)
    if option == "param":
        names = {name.lower() for name in wanted}
        found = []
        for parameter in parameters:
            name, equals, text = parameter.partition("=")
            if equals and name.strip().lower() in names:
                found.append(_unquote(text.strip()))
        return found
    kind, _, subtype = main.strip().partition("/")
    if option == "type":
        return [kind.strip()]
    if option == "subtype":
        return [subtype.strip()] if subtype else []
    return [main.strip()]


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


def run_extracttext(run: Run, call: Call) -> None:
    """extracttext [RFC5703 7]"""
    if run.part is None:
        raise RunError("extracttext is only for use inside foreverypart", call.line)
    text = run.part.text()
    first = run.tagged_number(call, "first")
    set_variable(run, run.argument(call, "variable"), text if first is None else text[:first])


def check_variable(checker: Checker, text: str, offset: int) -> None:
    """variable-name"""
    if not NAME.match(text):
        checker.note(offset, f"{text!r} is not a variable name")


_OPTIONS = (
    TagRule("mime", needs="mime"),
    TagRule("anychild", needs="mime"),
)
_HEADER_OPTIONS = (
    *_OPTIONS,
    TagRule("type", group="mime-option", needs="mime"),
    TagRule("subtype", group="mime-option", needs="mime"),
    TagRule("contenttype", group="mime-option", needs="mime"),
    TagRule("param", Kind.STRINGS, group="mime-option", needs="mime"),
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
            tags=(TagRule("first", Kind.NUMBER),),
            needs="extracttext",
        ),
    ),
)
