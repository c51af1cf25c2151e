"""One login from its first question to yes or no, at its price.

The name is checked and formatted, the address's penalty waited for; passdbs are asked in order until one says yes (an unknown user and a
wrong password go on to the next, and so does a database that does not answer, but then "no" becomes "unavailable"); ``allow_nets``,
``nologin``, ``pass_expired``; the userdbs; a User. "No" is told at a time counted from the start of the step that decided, so how long it
took inside does not show. Who asks on the auth socket is told something within PATIENCE, be it that nobody knows.

Who logs in as another (``user*master``, or an authorization identity that is not the own name) is looked for in the passdbs with
``master = true`` and in no other; the others never see it. The master's own row says whether and from where it may; the user whose mail
it is must exist, and need not be able to log in: an administrator opens closed accounts as well.

SCRAM and CRAM-MD5 ask for a secret before anybody has proved anything. A user that does not exist, and one whose stored password cannot
serve the mechanism, get a salt that is always the same and a proof that is always wrong.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from mas.auth.counted import counted
from mas.auth.database import Row
from mas.auth.interface import Attempt
from mas.auth.names import Names, names_of
from mas.auth.passdb import Answer, SqlPassdb, Verdict, is_allowed, split_logged
from mas.auth.penalty import PATIENCE
from mas.auth.sasl.steps import (
    Bearer,
    Certificate,
    Claim,
    CramSecret,
    Password,
    Proof,
    Question,
    SaslError,
    ScramSalt,
    ScramSecret,
)
from mas.auth.schemes import SchemeError, Stored, cram_secret, scram_secret
from mas.auth.scram import ALGORITHMS, ScramKeys, made_up_salt, scram_keys
from mas.errors import (
    AddressNotAllowed,
    AuthFailed,
    AuthUnavailable,
    NotAuthorized,
    PasswordExpired,
    UserDisabled,
    UserUnknown,
)
from mas.user import User

if TYPE_CHECKING:
    from mas.auth.service import Accounts

log = structlog.get_logger(area="auth")

MAX_LOGGED_NAME: Final = 320


class Login:
    """Implements ``mas.auth.exchange.Judge`` over the account databases."""

    def __init__(self, accounts: Accounts, attempt: Attempt) -> None:
        self._accounts = accounts
        self._attempt = attempt
        self._names = Names("", None)
        self._answer: Answer | None = None
        self._secret: ScramKeys | bytes | None = None
        self._salted = ("", b"", 0)
        self._vouched = False
        self._pair = b""
        self._waited = False

    # Judge

    async def answer(self, question: Question) -> object:
        """See Judge."""
        async with self._in_time():
            match question:
                case ScramSalt(authcid=authcid, authzid=authzid, scheme=scheme):
                    return await self._salt(self._named(authcid, authzid), scheme)
                case ScramSecret():
                    return await self._keys()
                case CramSecret(authcid=authcid):
                    return await self._cram(self._named(authcid))
                case Bearer(token=token, authzid=authzid):
                    return await self._token(token, authzid)

    async def decide(self, claim: Claim) -> User:
        """See Judge."""
        match claim:
            case Password(authcid=authcid, password=password, authzid=authzid):
                return await self.password(authcid, password, authzid)
            case Proof(right=True):
                return await self._priced(self._pair, self._proven)
            case Proof(reason=reason):
                # A proof is different each time: that it is of the same wrong password cannot be seen. A token is the same.
                pair = self._pair or secrets.token_bytes(8)
                return await self._priced(pair, lambda: _fails(AuthFailed(reason)))
            case Certificate(authzid=authzid):
                return await self._certificate(authzid)

    async def refuse(self, error: SaslError) -> None:
        """See Judge."""
        try:
            await self._priced(str(error).encode(), lambda: _fails(error))
        except SaslError:
            return

    # Passwords

    async def password(self, authcid: str, password: bytes, authzid: str = "") -> User:
        """Judge a password. Raises as ``Authenticator.verify``."""
        names = self._named(authcid, authzid)

        async def judge() -> Answer:
            if names.name is None:
                await self._pretend()
                raise AuthFailed("user name or authorization identity is not acceptable")
            return await self._check(names.name, password)

        return await self._priced(password, judge, password)

    async def _pretend(self) -> None:
        """What asking every passdb in vain would burn."""
        for passdb in self._passdbs():
            await passdb.pretend()

    async def _check(self, name: str, password: bytes) -> Answer:
        """The first passdb's yes. Raises AuthFailed, AddressNotAllowed, AuthUnavailable."""
        failure: AuthFailed = AuthFailed("unknown user")
        unavailable: AuthUnavailable | None = None
        with self._accounts.working():
            for passdb in self._passdbs():
                try:
                    answer = await passdb.verify(name, password, self._attempt)
                except AuthUnavailable as error:
                    unavailable = error
                    continue
                if answer.verdict is Verdict.MISMATCH:
                    failure = AuthFailed("wrong password")
                elif answer.verdict is Verdict.MATCH:
                    if self._is_allowed(answer):
                        return answer
                    failure = _not_allowed(self._attempt)
        raise unavailable or failure

    # Secrets

    async def _salt(self, names: Names, scheme: str) -> tuple[bytes, int]:
        await self._wait(None)
        salt = made_up_salt(await self._accounts.host_key(), scheme, names.name or names.given)
        self._salted = (ALGORITHMS[scheme], salt, self._accounts.scram_iterations)
        self._answer, self._secret = await self._find(names, lambda stored: scram_secret(stored, scheme))
        if isinstance(self._secret, ScramKeys):
            return self._secret.salt, self._secret.iterations
        return self._salted[1:]

    async def _keys(self) -> ScramKeys | None:
        """After the salt. A password in the clear is made into keys now, when how long it takes is no news to anybody."""
        if isinstance(self._secret, bytes):
            return await self._accounts.pool.run(scram_keys, self._secret, *self._salted)
        return self._secret

    async def _cram(self, names: Names) -> bytes | None:
        await self._wait(None)
        self._answer, secret = await self._find(names, cram_secret)
        return secret if isinstance(secret, bytes) else None

    async def _find(
        self, names: Names, secret_of: Callable[[Stored], ScramKeys | bytes | None]
    ) -> tuple[Answer | None, ScramKeys | bytes | None]:
        """The first passdb that has a secret for the mechanism. Raises AuthUnavailable when there is none and one did not answer."""
        if names.name is None:
            return None, None
        unavailable: AuthUnavailable | None = None
        with self._accounts.working():
            for passdb in self._passdbs():
                try:
                    answer = await passdb.secret(names.name, self._attempt)
                    if answer is None or (text := answer.row.get("password")) is None:
                        continue
                    found = secret_of(split_logged(text, passdb.scheme, answer.user, passdb.key))
                except AuthUnavailable as error:
                    unavailable = error
                    continue
                except SchemeError as error:
                    log.error("stored password cannot be judged", passdb=passdb.key, user=names.name, reason=str(error))
                    unavailable = AuthUnavailable(f"{passdb.key}: {error}")
                    continue
                if found is not None:
                    return answer, found
                log.info(
                    "the stored password cannot serve this mechanism",
                    user=names.name,
                    mechanism=self._attempt.mechanism,
                    passdb=passdb.key,
                )
        if unavailable is not None:
            raise unavailable
        return None, None

    async def _proven(self) -> Answer:
        """The client has proved the secret that was found, or brought a good token."""
        answer = self._answer
        if self._vouched and self._names.name is not None:
            return await self._known(self._names.name)  # a token says who it is, and that is all it says
        if answer is None:
            raise AuthFailed("unknown user")
        if not self._is_allowed(answer):
            raise _not_allowed(self._attempt)
        return answer

    # Names that others vouch for

    async def _certificate(self, authzid: str) -> User:
        tls = self._attempt.tls
        name = tls.certificate_name(self._accounts.certificate_username) if tls is not None else None
        # What an authority has written is one name, whatever is in it: to act as another needs the authorization identity.
        names = self._names = names_of(self._accounts, name or "", authzid, separator="")

        async def judge() -> Answer:
            if names.name is None:
                raise AuthFailed("no client certificate with a name that is acceptable")
            return await self._known(names.name)

        return await self._priced((name or "").encode(), judge)

    async def _token(self, token: str, authzid: str) -> str | None:
        """Why a token is refused, as an OAuth error; None: it is good, and its user is known. Raises AuthUnavailable."""
        from mas.auth.tokens import BadToken  # slow to import, and few have it

        self._names = Names(authzid, None)
        self._pair = token.encode()
        await self._wait(None)
        try:
            if self._accounts.tokens is None:
                raise BadToken("no identity provider is configured")
            name = self._accounts.name_of(await self._accounts.tokens.user_of(token))
            if authzid and name != self._accounts.name_of(authzid):
                raise BadToken("of another user")
        except BadToken as error:
            log.info("token refused", user=authzid, reason=str(error), session=self._attempt.session_id)
            return error.code
        self._names = Names(authzid or name or "", name)
        self._vouched = True
        return None

    async def _known(self, name: str) -> Answer:
        """The row of a user that need not prove more. Raises AuthFailed, AddressNotAllowed, AuthUnavailable."""
        unavailable: AuthUnavailable | None = None
        failure: AuthFailed = AuthFailed("unknown user")
        with self._accounts.working():
            for passdb in self._passdbs():
                try:
                    answer = await passdb.secret(name, self._attempt)
                except AuthUnavailable as error:
                    unavailable = error
                    continue
                if answer is not None:
                    if self._is_allowed(answer):
                        return answer
                    failure = _not_allowed(self._attempt)
        raise unavailable or failure

    # The course of every login

    def _named(self, given: str, authzid: str = "") -> Names:
        self._names = names_of(self._accounts, given, authzid)
        return self._names

    def _passdbs(self) -> Sequence[SqlPassdb]:
        wanted = bool(self._names.target)
        return [passdb for passdb in self._accounts.passdbs if passdb.master is wanted]

    def _is_allowed(self, answer: Answer) -> bool:
        return self._row_allows(answer.row)

    def _row_allows(self, row: Row) -> bool:
        nets = row.get("allow_nets", "")
        return not nets or is_allowed(nets, self._attempt.remote)

    async def _wait(self, password: bytes | None) -> float:
        """The address's penalty, once a login; a pair that was right a moment ago does not pay. Returns the seconds."""
        if self._waited:
            return 0.0
        self._waited = True
        wait = await self._accounts.penalty.before(self._attempt)
        name = self._names.name
        if not wait or (
            password is not None and name and any(self._is_proven(passdb, name, password) for passdb in self._passdbs())
        ):
            return 0.0
        await self._accounts.sleep(wait)
        return wait

    def _is_proven(self, passdb: SqlPassdb, name: str, password: bytes) -> bool:
        """From an address that may not log in, a right password must take as long as a wrong one."""
        row = passdb.proven(name, password, self._attempt)
        return row is not None and self._row_allows(row)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Raises AuthUnavailable where the peer would give up."""
        if not self._attempt.hurried:
            yield
            return
        try:
            async with asyncio.timeout(PATIENCE):
                yield
        except TimeoutError:
            raise AuthUnavailable(f"no database answered in {PATIENCE:g} s, with the address's penalty") from None

    async def _priced(
        self, secret: bytes, judge: Callable[[], Awaitable[Answer]], password: bytes | None = None
    ) -> User:
        """Wait, judge, and make a failure known at its time. ``secret``: what a repeated failure is recognised by."""
        with counted(self._attempt.service):
            async with self._in_time():
                return await self._judged(secret, judge, password)

    async def _judged(self, secret: bytes, judge: Callable[[], Awaitable[Answer]], password: bytes | None) -> User:
        accounts, attempt, names = self._accounts, self._attempt, self._names
        started = accounts.clock()
        wait = await self._wait(password)
        try:
            answer = await judge()
            user = await self._user(answer)
        except AuthFailed as error:
            log.info(
                "login failed",
                user=names.given[:MAX_LOGGED_NAME].encode("utf-8", "replace").decode(),
                service=attempt.service,
                method=attempt.mechanism,
                address=attempt.remote,
                session=attempt.session_id,
                reason=str(error),
            )
            if not isinstance(error, NotAuthorized):
                await accounts.penalty.failed(attempt, names.name or names.given, secret)
            await accounts.sleep(max(0.0, started + wait + accounts.penalty.failure_delay - accounts.clock()))
            raise
        await accounts.penalty.succeeded(attempt)
        return user

    async def _user(self, answer: Answer) -> User:
        """The User of a login that is right. Raises UserDisabled, NotAuthorized, AuthUnavailable."""
        accounts, attempt, target = self._accounts, self._attempt, self._names.target
        if "nologin" in answer.row or "pass_expired" in answer.row:
            await accounts.penalty.succeeded(attempt)
            raise (UserDisabled if "nologin" in answer.row else PasswordExpired)(answer.row.get("reason", ""))
        if target:
            try:
                user = await accounts.user(target, attempt.service, None)
            except UserUnknown:
                raise NotAuthorized(target, answer.user) from None
            log.info("master user logs in", user=user.name, master=answer.user, session=attempt.session_id)
            return replace(user, fields={**user.fields, "master_user": answer.user})
        try:
            return await accounts.user(answer.user, attempt.service, answer)
        except UserUnknown:
            log.error("the password is right, but no userdb knows the user", user=answer.user)
            raise AuthUnavailable(f"{answer.user}: no userdb knows this user") from None


async def _fails(error: AuthFailed) -> Answer:
    raise error


def _not_allowed(attempt: Attempt) -> AddressNotAllowed:
    return AddressNotAllowed(f"address {attempt.remote or 'unknown'} is not in allow_nets")
