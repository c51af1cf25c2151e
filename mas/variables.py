"""%variables in the operator's texts: paths, SQL queries, commands.

    template = *(text / "%%" / variable)
    variable = "%" [range] *modifier (letter / "{" name "}")
    range    = ["-"] [number "."] number    ; "%2n" first two characters, "%2.1n" skip two and take one, "%-2.1n" from the end

The letters are those of Dovecot 2.3, the long names those of 2.3 and 2.4. Pure: values come from the caller, and whether they
are put into a text, a path or a bound SQL parameter is the caller's as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

NAMES = {
    "u": "user",
    "n": "username",
    "d": "domain",
    "h": "home",
    "s": "service",
    "r": "rip",
    "l": "lip",
}
"""Letter -> long name. ``expand`` looks values up by the long name."""

_ALIASES = {"protocol": "service", "remote_ip": "rip", "local_ip": "lip"}
_MODIFIERS = "LUTREM"
_VARIABLE = re.compile(
    r"%(?P<sign>-?)(?P<first>\d{0,4})(?P<dot>\.\d{1,4})?(?P<modifiers>[A-Z]*)(?:(?P<letter>[a-z])|\{(?P<name>[a-z_]+)\})"
)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of a template. ``name`` is a value of NAMES; ``skip`` may be negative (from the end); ``width`` 0 = all."""

    name: str
    modifiers: str = ""
    skip: int = 0
    width: int = 0

    def of(self, values: Mapping[str, str]) -> str:
        """The variable's text after its modifiers; empty when ``values`` has no such name."""
        text = values.get(self.name, "")
        for modifier in self.modifiers:
            text = _modify(modifier, text)
        text = text[self.skip :]
        return text[: self.width] if self.width else text


def parse(template: str) -> list[str | Variable]:
    """Texts and variables in order. Raises ValueError that names the unknown variable or modifier."""
    parts: list[str | Variable] = []
    text = ""
    at = 0
    while at < len(template):
        percent = template.find("%", at)
        if percent < 0:
            text += template[at:]
            break
        text += template[at:percent]
        if template.startswith("%%", percent):
            text += "%"
            at = percent + 2
            continue
        match = _VARIABLE.match(template, percent)
        if not match:
            raise ValueError(f'"{template[percent : percent + 8]}" is no variable; a percent sign is written %%')
        if text:
            parts.append(text)
            text = ""
        parts.append(_variable(match))
        at = match.end()
    if text:
        parts.append(text)
    return parts


def expand(template: str, values: Mapping[str, str]) -> str:
    """The template with its variables replaced. ``values`` has long names (``user``, ``username``, ``domain``, …)."""
    return "".join(part if isinstance(part, str) else part.of(values) for part in parse(template))


def values_of(
    user: str, *, home: str = "", service: str = "", remote_ip: str = "", local_ip: str = ""
) -> dict[str, str]:
    """The values of a user, in the form that ``expand`` takes."""
    local_part, _, domain = user.partition("@")
    return {
        "user": user,
        "username": local_part,
        "domain": domain,
        "home": home,
        "service": service,
        "rip": remote_ip,
        "lip": local_ip,
    }


def _variable(match: re.Match[str]) -> Variable:
    letter, long_name = match["letter"], match["name"]
    name = NAMES.get(letter) if letter else _ALIASES.get(long_name, long_name)
    if name is None or name not in NAMES.values():
        known = " ".join(f"%{known}" for known in NAMES)
        raise ValueError(f'"%{letter or "{" + long_name + "}"}" is no known variable; there are {known}')
    for modifier in match["modifiers"]:
        if modifier not in _MODIFIERS:
            raise ValueError(f'"{modifier}" in "{match[0]}" is no known modifier; there are {" ".join(_MODIFIERS)}')
    first = int(match["first"] or 0)
    skip, width = (first, int(match["dot"][1:])) if match["dot"] else (0, first)
    return Variable(name, match["modifiers"], -skip if match["sign"] else skip, width)


def _modify(modifier: str, text: str) -> str:
    match modifier:
        case "L":
            return text.lower()
        case "U":
            return text.upper()
        case "T":
            return text.strip()
        case "R":
            return text[::-1]
        case "E":
            return re.sub(r"([\\\"'])", r"\\\1", text)
        case "M":
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    raise AssertionError(modifier)
