"""A worker: one process, one loop, every protocol and every user.

It begins as root if the supervisor is, and is nobody's root before it reads the first octet. It hears one word at a time from the
supervisor over its control socket, and answers with a heartbeat:

    supervisor -> worker    "retire" (accept no more, finish the sessions), "drain" (end them), "dead <number>" (of another worker)
    worker -> supervisor    "ready", "beat <connections>"

A retired worker lives as long as its sessions: an IDLE of hours is not cut by a reload. The supervisor's end is a drain.

Must not know: how many workers there are, files of certificates, what a protocol says.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import random
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import uvloop

from mas import logs
from mas.config import Config
from mas.errors import ConfigError, MasError
from mas.metrics import health
from mas.metrics import table as metrics
from mas.protocols import proxy, tls
from mas.protocols.listener import Connections, Listener, Service, where
from mas.server.memory import map_large_blocks
from mas.server.sockets import Opened
from mas.sessions import FLUSH, KICK, Registry

log = logs.get_logger("worker")

BEAT = 1.0
"""Seconds between heartbeats."""
SESSIONS_SHARE = 0.8
"""Part of drain_timeout that sessions have to end; the rest is for stores and databases to close."""


@dataclass(frozen=True, slots=True)
class Job:
    """Periodic work of the host, done by one worker: first after a random part of ``interval`` seconds, or ``at_start``."""

    name: str
    interval: float
    run: Callable[[], Awaitable[object]]
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class Composition:
    """What a worker serves: protocols by service name (``imap``, ``sieve``, ``lmtp``, ``auth``), periodic jobs, how it ends, and how it
    forgets what it knows of an account (of all, for an empty name)."""

    services: Mapping[str, Service]
    close: Callable[[], Awaitable[None]]
    jobs: Sequence[Job] = ()
    flush: Callable[[str], object] = lambda _: None


@dataclass(frozen=True, slots=True)
class Birth:
    """What a worker is told of its generation: its place from 0, how many places there are, the generation's number, and when the
    certificates end."""

    place: int = 0
    places: int = 1
    generation: int = 0
    certificates: Sequence[tls.Expiry] = ()


Compose = Callable[[Config, Registry, Birth], Awaitable[Composition]]
"""Makes the composition inside a worker, on its loop. Raises MasError when the worker cannot serve."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is born with. ``number`` is never used twice; ``first``: this is the one that runs the jobs."""

    config: Config
    number: int
    first: bool
    opened: Sequence[Opened]
    context: ssl.SSLContext | None
    control: socket.socket
    compose: Compose
    birth: Birth = Birth()


def run(setup: Setup) -> int:
    """Serve until told to stop; the exit status. Called in the forked child, as the user that it is to be."""
    faulthandler.enable()  # the supervisor ends a worker that hangs with SIGABRT: this says where it hung
    logs.setup(setup.config.log)
    map_large_blocks()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Worker(setup).serve())
    except MasError as error:
        log.error("cannot serve", why=str(error))
    except OSError as error:
        log.error("cannot serve", why=str(error), at=where(error))
    return 1


class _Worker:
    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._retire = asyncio.Event()
        self._drain = asyncio.Event()
        self._connections = Connections(setup.config.kick_timeout)
        self._registry = Registry(setup.config.run_dir, setup.number)
        self._background: set[asyncio.Task[object]] = set()

    async def serve(self) -> int:
        setup = self._setup
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_escaped)
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        composition = await setup.compose(setup.config, self._registry, setup.birth)
        if missing := {opened.endpoint.service for opened in setup.opened} - composition.services.keys():
            # A port that accepts and never answers would be worse.
            raise ConfigError([f"this version does not serve {name}" for name in sorted(missing)])
        proxied = proxy.Rules(setup.config.proxy.trusted_networks, setup.config.proxy.timeout)
        listeners = {
            opened: Listener(
                opened.sock,
                composition.services[opened.endpoint.service],
                self._connections,
                self._registry,
                setup.context,
                implicit_tls=opened.endpoint.implicit_tls,
                proxied=proxied if opened.endpoint.proxied else None,
            )
            for opened in setup.opened
        }
        for listener in listeners.values():
            listener.start()
        self._registry.listen({KICK: self._connections.kick, FLUSH: composition.flush})
        setup.control.setblocking(False)
        loop.add_reader(setup.control.fileno(), self._hear)
        self._say(b"ready")
        self._spawn(self._beat())
        jobs = [self._spawn(self._repeat(job)) for job in composition.jobs] if setup.first else []

        await self._retire.wait()
        # While sessions are drained there is still somebody who says so.
        last = [opened for opened in listeners if opened.endpoint.service == "metrics" and self._drain.is_set()]
        for opened in [opened for opened in listeners if opened not in last]:
            listeners.pop(opened).stop()
            opened.sock.close()
        for job in jobs:
            job.cancel()
        await self._finish()
        for opened, listener in listeners.items():
            listener.stop()
            opened.sock.close()
        loop.remove_reader(setup.control.fileno())
        close_timeout = setup.config.drain_timeout * (1 - SESSIONS_SHARE)
        try:
            async with asyncio.timeout(close_timeout):
                await composition.close()
        except TimeoutError:
            log.error("stores did not close in time", seconds=close_timeout)
        await self._registry.close()
        return 0

    async def _finish(self) -> None:
        """Until the last session ends; once draining, not longer than ``drain_timeout``."""
        empty = self._spawn(self._connections.wait_empty(float("inf")))
        draining = self._spawn(self._drain.wait())
        await asyncio.wait({empty, draining}, return_when=asyncio.FIRST_COMPLETED)
        if not empty.done():
            self._connections.drain()
            if not await self._connections.wait_empty(self._setup.config.drain_timeout * SESSIONS_SHARE):
                log.warning("sessions cut off", connections=len(self._connections))
                await self._connections.cancel()
        empty.cancel()
        draining.cancel()

    def _stop(self) -> None:
        self._drain.set()
        self._retire.set()

    # the supervisor

    def _hear(self) -> None:
        try:
            word, _, argument = self._setup.control.recv(256).decode().partition(" ")
        except BlockingIOError:
            return
        except OSError:
            word = ""
        if word == "retire":
            self._retire.set()
        elif word == "dead":
            self._spawn(self._registry.forget(int(argument)))
        else:  # "drain", or the supervisor is gone
            asyncio.get_running_loop().remove_reader(self._setup.control.fileno())
            self._stop()

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # it will notice
            self._setup.control.send(word)

    async def _beat(self) -> None:
        birth, lag = self._setup.birth, metrics.LOOP_LAG[()]
        while True:
            self._say(b"beat %d" % len(self._connections))
            health.beat(birth.place, birth.generation)
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            lag.observe(max(0.0, time.monotonic() - due))

    # work besides sessions

    def _spawn(self, work: Awaitable[object]) -> asyncio.Future[object]:
        task = asyncio.ensure_future(work)
        if isinstance(task, asyncio.Task):
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return task

    async def _repeat(self, job: Job) -> None:
        if not job.at_start:
            await asyncio.sleep(random.uniform(0, job.interval))
        while True:
            try:
                await job.run()
            except Exception as error:
                log.error("job failed", job=job.name, error=f"{type(error).__name__}: {error}", at=where(error))
            await asyncio.sleep(job.interval)


def _escaped(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What no task and no transport wanted to have: one line."""
    error = context.get("exception")
    log.error(
        "error outside any session",
        what=context.get("message"),
        error=f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else None,
        at=where(error) if isinstance(error, BaseException) else None,
        pid=os.getpid(),
    )
