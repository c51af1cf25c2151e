"""Which capabilities are told, when.  One table: name, RFC, the stages of a connection where it is offered, what it needs.

The order is the table's: IMAP4rev1 and IMAP4rev2 first (some readers look at the first words only), then as Dovecot has them.
``imap.capability`` changes the list as Dovecot's ``imap_capability`` does: a plain list replaces what is told, ``+X -Y`` adds and
removes; before the login as well.

Must not know: configuration objects, connections.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache


class Stage(enum.Enum):
    """How far a connection has come."""

    PLAIN = "before TLS"
    TLS = "after TLS, before login"
    LOGGED_IN = "after login"


_BEFORE = (Stage.PLAIN, Stage.TLS)
_ALWAYS = (Stage.PLAIN, Stage.TLS, Stage.LOGGED_IN)
_AFTER = (Stage.LOGGED_IN,)


@dataclass(frozen=True, slots=True)
class Offered:
    """What the configuration makes possible.

    starttls: there is a certificate and TLS has not started. mechanisms: SASL, in order.
    append_limit: octets of a message, 0 = no limit. quota: there are quota roots.
    metadata: annotations are kept. imapsieve: where clients put scripts for IMAP events (``sieve://…``), empty where they cannot.
    """

    starttls: bool = False
    mechanisms: tuple[str, ...] = ()
    append_limit: int = 0
    quota: bool = True
    metadata: bool = False
    imapsieve: str = ""


# name, where it is defined, stages
TABLE: tuple[tuple[str, str, tuple[Stage, ...]], ...] = (
    ("IMAP4rev1", "RFC3501", _ALWAYS),
    ("IMAP4rev2", "RFC9051", _ALWAYS),
    ("SASL-IR", "RFC4959", _BEFORE),
    ("STARTTLS", "RFC9051", (Stage.PLAIN,)),
    ("LOGINDISABLED", "RFC9051", _BEFORE),
    ("AUTH=", "RFC9051", (Stage.TLS,)),
    ("LITERAL+", "RFC7888", _ALWAYS),
    ("ID", "RFC2971", _ALWAYS),
    ("ENABLE", "RFC5161", _ALWAYS),
    ("IDLE", "RFC2177", _ALWAYS),
    ("MULTIAPPEND", "RFC3502", _AFTER),
    ("UNSELECT", "RFC3691", _AFTER),
    ("CHILDREN", "RFC3348", _AFTER),
    ("NAMESPACE", "RFC2342", _AFTER),
    ("UIDPLUS", "RFC4315", _AFTER),
    ("LIST-EXTENDED", "RFC5258", _AFTER),
    ("LIST-STATUS", "RFC5819", _AFTER),
    ("SPECIAL-USE", "RFC6154", _AFTER),
    ("CREATE-SPECIAL-USE", "RFC6154", _AFTER),
    ("CONDSTORE", "RFC7162", _AFTER),
    ("QRESYNC", "RFC7162", _AFTER),
    ("ESEARCH", "RFC4731", _AFTER),
    ("SEARCHRES", "RFC5182", _AFTER),
    ("WITHIN", "RFC5032", _AFTER),
    ("BINARY", "RFC3516", _AFTER),
    ("MOVE", "RFC6851", _AFTER),
    ("STATUS=SIZE", "RFC8438", _AFTER),
    ("SAVEDATE", "RFC8514", _AFTER),
    ("OBJECTID", "RFC8474", _AFTER),
    ("QUOTA", "RFC9208", _AFTER),
    ("QUOTA=RES-STORAGE", "RFC9208", _AFTER),
    ("QUOTA=RES-MESSAGE", "RFC9208", _AFTER),
    ("METADATA", "RFC5464", _AFTER),
    ("APPENDLIMIT", "RFC7889", _AFTER),
    ("IMAPSIEVE=", "RFC6785", _AFTER),
)


@lru_cache(maxsize=64)
def capabilities(stage: Stage, offered: Offered, setting: str = "") -> bytes:
    """The names to tell at a stage, joined by SP. ``setting`` is ``imap.capability``."""
    names: list[str] = []
    for name, _, stages in TABLE:
        if stage in stages:
            names += _expanded(name, offered, stage)
    words = setting.split()
    if not words:
        return " ".join(names).encode("ascii")
    if not any(word[0] in "+-" for word in words):
        # A full list says what is told after the login; what keeps a password from the open wire is never the operator's to leave out
        guard = [name for name in names if name in ("STARTTLS", "LOGINDISABLED") or name.startswith("AUTH=")]
        names = [*words, *(name for name in guard if name not in words)]
    for word in words:
        if word[0] == "-":
            names = [name for name in names if name.upper() != word[1:].upper() or name == "LOGINDISABLED"]
        elif word[0] == "+" and word[1:].upper() not in [name.upper() for name in names]:
            names.append(word[1:])
    return " ".join(names).encode("ascii", "ignore")


def _expanded(name: str, offered: Offered, stage: Stage) -> list[str]:
    match name:
        case "AUTH=":
            return [f"AUTH={mechanism}" for mechanism in offered.mechanisms]
        case "LOGINDISABLED":
            # Who does not offer PLAIN does not want the password on that way by another name.
            return [] if stage is Stage.TLS and "PLAIN" in offered.mechanisms else [name]
        case "STARTTLS":
            return [name] if offered.starttls else []
        case "APPENDLIMIT":
            return [f"APPENDLIMIT={offered.append_limit}"] if offered.append_limit else []
        case "METADATA":
            return [name] if offered.metadata else []
        case "IMAPSIEVE=":
            return [f"IMAPSIEVE={offered.imapsieve}"] if offered.imapsieve else []
        case "QUOTA" | "QUOTA=RES-STORAGE" | "QUOTA=RES-MESSAGE":
            return [name] if offered.quota else []
        case _:
            return [name]
