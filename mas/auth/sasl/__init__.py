"""SASL mechanisms, one file each, and their table. Pure: no database, no socket, no base64, no clock. [RFC4422]

A mechanism is a generator of challenges. Where it needs to know something it yields a question instead, and is sent the answer; its
return value is the claim that is then judged (``steps``). ``mas.auth.exchange`` drives it, the same way for IMAP, ManageSieve and the
auth socket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mas.auth.sasl.cram_md5 import cram_md5
from mas.auth.sasl.external import external
from mas.auth.sasl.login import login
from mas.auth.sasl.oauth import oauthbearer, xoauth2
from mas.auth.sasl.plain import plain
from mas.auth.sasl.scram import scram
from mas.auth.sasl.steps import Context, SaslError, Steps

__all__ = ["MECHANISMS", "Context", "Mechanism", "SaslError"]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism.

    server_first: the client has no first word [RFC4422 5]; ``initial`` says whether one is taken all the same, as the answer to the first
    challenge.
    """

    start: Callable[[Context], Steps]
    server_first: bool = False
    initial: bool = True


MECHANISMS: Final[dict[str, Mechanism]] = {
    "PLAIN": Mechanism(plain),
    "LOGIN": Mechanism(login, server_first=True),
    "SCRAM-SHA-256": Mechanism(scram("SCRAM-SHA-256")),
    "SCRAM-SHA-256-PLUS": Mechanism(scram("SCRAM-SHA-256", plus=True)),
    "SCRAM-SHA-1": Mechanism(scram("SCRAM-SHA-1")),
    "SCRAM-SHA-1-PLUS": Mechanism(scram("SCRAM-SHA-1", plus=True)),
    "OAUTHBEARER": Mechanism(oauthbearer),
    "XOAUTH2": Mechanism(xoauth2),
    "EXTERNAL": Mechanism(external),
    "CRAM-MD5": Mechanism(cram_md5, server_first=True, initial=False),
}
