"""One client of the userdb socket. Each look-up is a task of its own, so that a slow one delays none: answers come as they are ready, ids
tell them apart. A list is long, and sent by the session itself, at the pace of the client.

A database that does not answer is FAIL, never "no such user". What was asked is answered before the connection ends.
Must not know: sockets, databases.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
from collections.abc import Awaitable, Callable
from typing import Final

from mas import logs
from mas.auth.userdb import make_user
from mas.errors import AuthUnavailable, ConfigError, MasError, UserUnknown
from mas.protocols.auth_socket.connection import Broken, Closed
from mas.protocols.auth_socket.userdb import replies
from mas.protocols.auth_socket.userdb.connection import Event, List, Pass, User, UserdbConnection
from mas.protocols.session import Channel, Peer, Woken
from mas.services import Services
from mas.user import User as Account

_log = logs.get_logger("userdb")
_IDLE_FOREVER: Final = 365 * 86400.0
_BATCH: Final = 500
"""Names of a list before the client must have taken them."""


def open_session(services: Services, _: Peer) -> tuple[UserdbConnection, Callable[[Channel[Event]], Awaitable[None]]]:
    """Connection and session of one client."""
    connection = UserdbConnection(services.config.auth.max_line)

    async def run(channel: Channel[Event]) -> None:
        tasks: set[asyncio.Task[None]] = set()
        try:
            await _converse(services, channel, tasks)
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()

    return connection, run


async def _converse(services: Services, channel: Channel[Event], tasks: set[asyncio.Task[None]]) -> None:
    channel.write(replies.handshake(os.getpid()))
    while True:
        event = await channel.next_event(_IDLE_FOREVER)
        match event:
            case User() | Pass() if len(tasks) >= services.config.auth.max_requests:
                limit = services.config.auth.max_requests
                _log.warning(f"auth.max_requests = {limit} is exceeded", session=channel.peer.session_id)
                channel.write(replies.fail(event.id))
            case User() | Pass():
                task = asyncio.get_running_loop().create_task(_answer(services, channel, event))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            case List():
                await _list(services, channel, event)
            case Broken(text=text):
                _log.error(f"userdb client disconnected: {text}", session=channel.peer.session_id)
                return
            case Closed():
                return
            case Woken.WOKEN if channel.draining:
                return


async def _answer(services: Services, channel: Channel[Event], request: User | Pass) -> None:
    try:
        reply = await _look_up(services, request)
    except Exception:
        _log.error("internal error", exc_info=True, user=request.name, session=channel.peer.session_id)
        reply = replies.fail(request.id)
    channel.write(reply)
    channel.flush()


async def _look_up(services: Services, request: User | Pass) -> bytes:
    try:
        account = await services.auth.lookup(request.name, request.service)
    except UserUnknown:
        return replies.not_found(request.id)
    except AuthUnavailable as error:
        _log.warning(f"temporary failure: {error}", user=request.name)
        return replies.fail(request.id)
    if isinstance(request, Pass):
        return replies.passed(request.id, {"user": account.name})
    return replies.user(request.id, account.name, _fields(account, services.config.mail.location))


async def _list(services: Services, channel: Channel[Event], request: List) -> None:
    number, matches = request.id, request.matches
    count = 0
    try:
        async for name in services.auth.users():
            if not matches(name):
                continue
            channel.write(replies.listed(number, name))
            count += 1
            if count % _BATCH == 0:
                await channel.drain()
    except (AuthUnavailable, ConfigError) as error:
        _log.warning(f"the users cannot be listed: {error}")
        channel.write(replies.done(number, failed=True))
    else:
        channel.write(replies.done(number))


def _fields(account: Account, location: str) -> dict[str, str]:
    """Of an account, what its userdb said. ``mail`` is there when it is not what ``mail.location`` makes of the home."""
    rest = dict(account.fields)
    found: dict[str, str] = {}
    for key, number_of in (("uid", _uid), ("gid", _gid)):
        if value := rest.pop(key, ""):
            found[key] = number_of(value)
    found["home"] = str(account.home)
    with contextlib.suppress(MasError):
        usual = make_user(account.name, {"home": str(account.home)}, location, "").location
        if account.location != usual:
            found["mail"] = account.location
    return found | rest | dict(account.quota_rules)


def _uid(name: str) -> str:
    """A number, as clients want it; a name that this host does not know stays."""
    try:
        return name if name.isdigit() else str(pwd.getpwnam(name).pw_uid)
    except KeyError:
        return name


def _gid(name: str) -> str:
    try:
        return name if name.isdigit() else str(grp.getgrnam(name).gr_gid)
    except KeyError:
        return name
