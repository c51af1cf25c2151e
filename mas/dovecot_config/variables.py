"""Dovecot's %variables in MAS's spelling. Pure.

2.3 and MAS share letters, modifiers and ranges (``%Lu``, ``%2.1n``); 2.4 writes ``%{user | username | lower}``, which is ``%Ln``. What
MAS has no value for raises ValueError with the variable's name: a template is carried over as a whole or not at all.
"""

from __future__ import annotations

import re

from mas import variables as mas_variables

_LETTER = {"user": "u", "username": "n", "domain": "d", "home": "h", "service": "s", "rip": "r", "lip": "l"}
_ALIASES = {
    **{name: name for name in _LETTER},
    "protocol": "service",
    "remote_ip": "rip",
    "local_ip": "lip",
}
_FILTERS = {"lower": "L", "upper": "U", "reverse": "R"}
_TOKEN = re.compile(r"%(?:%|(?P<before>[-.0-9A-Z]*)(?:\{(?P<long>[^{}]*)\}|(?P<letter>[a-z])))", re.ASCII)


def template(text: str) -> str:
    """``text`` as a template of MAS. Raises ValueError."""
    out, at = "", 0
    while (percent := text.find("%", at)) >= 0:
        out += text[at:percent]
        match = _TOKEN.match(text, percent)
        if not match:
            raise ValueError(f"{text[percent : percent + 12]!r} is no variable")
        at = match.end()
        if match[0] == "%%":
            out += "%%"
        elif match["letter"]:
            if match["letter"] not in mas_variables.NAMES:
                raise ValueError(f"there is no {match[0]} in MAS")
            out += match[0]
        else:
            out += _long(match["before"], match["long"])
    out += text[at:]
    mas_variables.parse(out)
    return out


def literal(text: str) -> str:
    """``text`` where MAS expands nothing: ``%%`` is a percent sign. Raises ValueError for a variable."""
    if re.search(r"(?<!%)(?:%%)*%(?![%\s]|$)", text):
        raise ValueError(f"a variable in {text!r}: MAS expands none here")
    return text.replace("%%", "%")


def _long(before: str, inner: str) -> str:
    """``%{user | domain | lower}``, also with 2.3's modifiers in front of the brace."""
    name, *filters = (part.strip() for part in inner.split("|"))
    known = _ALIASES.get(name)
    if known is None:
        raise ValueError(f"there is no %{{{inner}}} in MAS")
    modifiers = before
    for each in filters:
        if each in ("username", "domain") and known == "user" and "R" not in modifiers:
            known = each
        elif each in _FILTERS:
            modifiers += _FILTERS[each]
        else:
            raise ValueError(f"there is no filter {each!r} in MAS")
    return f"%{modifiers}{_LETTER[known]}"
