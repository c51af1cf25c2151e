"""%variables in the operator's texts: paths, SQL queries, commands.

    template = *(text / "%%" / variable)
    variable = "%" [range] *modifier (letter / "{" name "}")
    range    = ["-"] [number "."] ["0"] ["-"] number

``%2n`` is the first two characters, ``%2.1n`` skips two and takes one, ``%-3.2n`` takes two of the last three, ``%3.-1n`` leaves out the
last, ``%08u`` fills up with zeros. ``%2.256Nu`` is a hash below 256, two digits wide: directories of big hosts are made so.
The letters, modifiers and corners are those of Dovecot 2.3 (the tests hold what it answered), the long names those of 2.3 and 2.4.

Pure: values come from the caller, and whether they are put into a text, a path or a bound SQL parameter is the caller's as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

NAMES: Mapping[str, str] = {
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
_VARIABLE = re.compile(
    r"%(?:(?P<sign>-?)0?(?P<skip>\d{1,4})\.)?(?P<zero>0?)(?P<back>-?)(?P<width>\d{0,4})"
    r"(?P<modifiers>[A-Z]{0,10})(?:(?P<letter>[a-z])|\{(?P<name>[a-z_]+)\})"
)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of a template. ``name`` is a value of NAMES.

    skip: characters to leave out, negative: where to start from the end. width: characters to take (negative: to leave out at the
    end; 0 = all), or with ``zero_filled`` the least width.
    """

    name: str
    modifiers: str = ""
    skip: int = 0
    width: int = 0
    zero_filled: bool = False

    def of(self, values: Mapping[str, str]) -> str:
        """The variable's text after its modifiers; empty when ``values`` has no such name."""
        text = values.get(self.name, "")
        skip, width = self.skip, self.width
        for modifier in self.modifiers:
            if modifier in _HASHES:
                # The range belongs to the hash here: digits and modulus.
                text = f"{_HASHES[modifier](text, width) & 0xFFFFFFFF:x}".rjust(max(skip, 0), "0")
                skip = width = 0
            else:
                text = _MODIFIERS[modifier](text)
        text = text[skip:]
        if self.zero_filled:
            return text.rjust(width, "0")
        return text[:width] if width else text


def parse(template: str) -> list[str | Variable]:
    """Texts and variables in order. Raises ValueError that names the unknown variable or modifier."""
    parts: list[str | Variable] = []
    text = ""
    at = 0
    while (percent := template.find("%", at)) >= 0:
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
    text += template[at:]
    if text:
        parts.append(text)
    return parts


@lru_cache(256)
def _parsed(template: str) -> tuple[str | Variable, ...]:
    """``parse``, remembered: a host has a few templates and expands them at every login and delivery."""
    return tuple(parse(template))


def expand(template: str, values: Mapping[str, str]) -> str:
    """The template with its variables replaced. ``values`` has long names (``user``, ``username``, ``domain`` …): see ``values_of``."""
    return "".join([part if isinstance(part, str) else part.of(values) for part in _parsed(template)])


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
        if modifier not in _MODIFIERS and modifier not in _HASHES:
            known = " ".join([*_MODIFIERS, *_HASHES])
            raise ValueError(f'"{modifier}" in "{match[0]}" is no known modifier; there are {known}')
    skip = int(match["skip"] or 0)
    width = int(match["width"] or 0)
    if match["back"] and match["skip"]:  # a sign without a skip says nothing: "%-3n" is "%3n"
        width = -width
    return Variable(name, match["modifiers"], -skip if match["sign"] else skip, width, bool(match["zero"]))


def _new_hash(text: str, modulus: int) -> int:
    """The first 64 bits of MD5."""
    value = int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big")
    return value % modulus if modulus > 0 else value


def _old_hash(text: str, modulus: int) -> int:
    """The hash of ELF symbol tables, in 32 bits."""
    value = 0
    for octet in text.encode():
        value = ((value << 4) + octet) & 0xFFFFFFFF
        high = value & 0xF0000000
        value ^= (high >> 24) ^ high
    return value % modulus if modulus > 0 else value


def _hex(text: str) -> str:
    return f"{int(text):x}" if re.fullmatch(r"[0-9]{1,19}", text) else "0"


_HASHES: Mapping[str, Callable[[str, int], int]] = {"N": _new_hash, "H": _old_hash}
_MODIFIERS: Mapping[str, Callable[[str], str]] = {
    "L": str.lower,
    "U": str.upper,
    "T": str.rstrip,
    "R": lambda text: text[::-1],
    "E": lambda text: re.sub(r"([\\\"'])", r"\\\1", text),
    "X": _hex,
    "M": lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
    "D": lambda text: text.replace(".", ",dc="),
}
