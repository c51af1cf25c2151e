"""What a string of a script may hold beyond its characters: encoded characters and variable references.

[RFC5228 2.4.2.4]  encoded-arb-octets = "${hex:" hex-pair-seq "}"   encoded-unicode-char = "${unicode:" unicode-hex-seq "}"
[RFC5229 3]        variable-ref = "${" [namespace] variable-name "}"   variable-name = num-variable / identifier
                   namespace = identifier "." *sub-namespace

What looks like a reference and is none (``${}``, ``${a b}``) stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from mas.sieve.program import Template

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_ENCODED = re.compile(
    r"\$\{(?:hex:([ \t\r\n]*[0-9a-f]{1,2}(?:[ \t\r\n]+[0-9a-f]{1,2})*[ \t\r\n]*)"
    r"|unicode:([ \t\r\n]*[0-9a-f]+(?:[ \t\r\n]+[0-9a-f]+)*[ \t\r\n]*))\}",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{((?:[A-Za-z_][A-Za-z0-9_]*\.)*(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+))\}")
_MAX_CODE_POINT = 0x10FFFF


def decode_characters(text: str) -> str:
    """Replace encoded characters. Raises ValueError for a code point outside Unicode or octets that are not UTF-8."""

    def decode(match: re.Match[str]) -> str:
        if match[1] is not None:
            octets = bytes(int(pair, 16) for pair in match[1].split())
            return octets.decode("utf-8", "surrogateescape")
        out = []
        for digits in match[2].split():
            point = int(digits.lstrip("0")[:9] or "0", 16)
            if point > _MAX_CODE_POINT or 0xD800 <= point <= 0xDFFF:
                raise ValueError(f"${{unicode:{digits}}} is not a Unicode character")
            out.append(chr(point))
        return "".join(out)

    decoded = _ENCODED.sub(decode, text)
    try:
        return decoded.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("${hex:...} does not give valid UTF-8") from None


def namespaces(text: str) -> list[str]:
    """The namespaces that the references in ``text`` name, in lower case."""
    return [name.partition(".")[0].lower() for name in _VARIABLE.findall(text) if "." in name]


def template(text: str) -> Template | str:
    """A Template when ``text`` refers to variables, the text otherwise."""
    parts: list[str | Callable[[Run], str]] = []
    at = 0
    for match in _VARIABLE.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        parts.append(reference(match[1]))
        at = match.end()
    if not parts:
        return text
    if at < len(text):
        parts.append(text[at:])
    if not any(callable(part) for part in parts):
        return text
    return Template(text, tuple(parts))


def reference(name: str) -> Callable[[Run], str]:
    """The function that gives a variable's value in a run."""
    if name.isdigit():
        # One that no match can have set is the empty string [RFC5229 3.2].
        number = int(name[:9])
        return lambda run: run.match_values[number] if number < len(run.match_values) else ""
    namespace, dot, rest = name.lower().partition(".")
    if not dot:
        return lambda run: run.variables.get(namespace, "")
    return lambda run: run.namespace(namespace, rest)
