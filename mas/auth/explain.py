"""A login told step by step, for ``mas auth test USER``. Shows schemes and columns, never a password or a hash."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mas.auth.interface import Attempt
from mas.auth.passdb import Verdict, is_allowed
from mas.auth.schemes import SchemeError, split
from mas.auth.service import Accounts
from mas.errors import AuthUnavailable, MasError


async def explain(accounts: Accounts, given: str, password: bytes, attempt: Attempt) -> AsyncIterator[str]:
    """One line a step; the last one begins with ``OK`` or ``FAILED``. An empty ``password``: the user is looked up only."""
    name = accounts.name_of(given)
    if name is None:
        yield f"FAILED: {given!r} has characters outside auth.username_chars, is empty or too long"
        return
    yield f"user name {given!r} is looked up as {name!r}"
    accepted = False
    for passdb in accounts.passdbs:
        if passdb.master:
            continue
        yield f"{passdb.key}: asking {passdb.database}"
        try:
            answer = await (
                passdb.verify(name, password, attempt) if password else passdb.lookup(name, attempt.service)
            )
        except AuthUnavailable as error:
            yield f"{passdb.key}: temporary failure: {error}"
            continue
        if answer is None or answer.verdict is Verdict.UNKNOWN:
            yield f"{passdb.key}: unknown user"
            continue
        yield f"{passdb.key}: found as {answer.user!r}, columns {', '.join(sorted(answer.row)) or 'none'}"
        yield f"{passdb.key}: {_scheme(answer.row.get('password'), passdb.scheme)}"
        if not password:
            accepted = True
            break
        if answer.verdict is Verdict.MISMATCH:
            yield f"{passdb.key}: wrong password"
            continue
        yield f"{passdb.key}: the password is right"
        nets = answer.row.get("allow_nets", "")
        if nets and not is_allowed(nets, attempt.remote):
            yield f"{passdb.key}: address {attempt.remote or 'unknown'} is not in allow_nets {nets!r}"
            continue
        if "nologin" in answer.row:
            yield f"FAILED: nologin is set: {answer.row.get('reason') or 'no reason given'}"
            return
        if "pass_expired" in answer.row:
            yield "FAILED: pass_expired is set"
            return
        accepted = True
        break
    if not accepted:
        yield "FAILED: no passdb accepted the login"
        return
    try:
        user = await accounts.lookup(given, attempt.service)
    except MasError as error:
        yield f"FAILED: userdb: {type(error).__name__}: {error}"
        return
    yield f"home {user.home}"
    yield f"mail {user.location}"
    for key, rule in sorted(user.quota_rules.items()):
        yield f"{key} {rule}"
    for key, value in sorted(user.fields.items()):
        yield f"{key} {value}"
    yield f"OK: {user.name}"


def _scheme(text: str | None, default: str) -> str:
    if not text:
        return "no password is stored"
    try:
        return f"the stored password's scheme is {split(text, default).scheme}"
    except SchemeError as error:
        return str(error)
