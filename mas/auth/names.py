"""Whose secret a login is about, and whose mail: a user's own, or a master's who acts as the user.

Must not know: databases, mechanisms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mas.auth.service import Accounts


@dataclass(frozen=True, slots=True)
class Names:
    """Whose secret is judged and whose mail it is about.

    given: what the client wrote, for the log. name: whose secret, formatted; None when it can be nobody's. target: the user to act as,
    formatted; empty when that is the same.
    """

    given: str
    name: str | None
    target: str = ""


def names_of(accounts: Accounts, given: str, authzid: str, separator: str | None = None) -> Names:
    """``user*master`` is split at the first separator (None: the configured one). Names that can be nobody's, two different users to act
    as, and masters where there is no passdb of masters: name None."""
    separator = accounts.master_user_separator if separator is None else separator
    user, found, master = given.partition(separator) if separator else (given, "", "")
    name = accounts.name_of(master if found else user)
    wanted = accounts.name_of(user) if found else name
    if authzid:
        other = accounts.name_of(authzid)
        if other is None or (found and other != wanted):
            return Names(given, None)
        wanted = other
    if name is None or wanted is None:
        return Names(given, None)
    if wanted == name:
        return Names(given, name)
    if not any(passdb.master for passdb in accounts.passdbs):
        return Names(given, None)
    return Names(given, name, wanted)
