"""The supervisor: opens the sockets, reads the keys, forks the workers, replaces those that die. It touches no mail and reads no octet of
any peer; started as root it is the only part that stays root.

Workers come in generations: a generation is a configuration, its sockets and its TLS contexts. SIGHUP, or a changed certificate file,
makes the next one; only when all its workers are ready does it take over. Then the old workers stop accepting and live as long as their
sessions. Whatever goes wrong before that (a mistake in the file, a port in use, a broken certificate, a worker that cannot start) is
logged, and the old generation goes on as if nothing had been asked. Since an unprivileged worker could not read a new key, this is also
the whole of certificate renewal.

SIGTERM or SIGINT: sockets are closed, sessions end, deliveries finish; after ``drain_timeout`` what is left is killed. A second one
kills at once. A worker whose heart does not beat for ``hang_timeout`` is killed (SIGABRT first: it writes where it hung) and replaced.

One plain loop without threads or asyncio: what forks must be simple.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator

from mas import logs
from mas.config import Config
from mas.errors import ConfigError
from mas.metrics import cells
from mas.metrics import table as metrics
from mas.protocols import tls
from mas.server import privileges, rundir, worker
from mas.server.generation import Generation, Worker
from mas.server.privileges import runs_commands, workers_account
from mas.server.sockets import Opened, open_beside, plan, take_passed
from mas.server.systemd import Notifier, passed_sockets

log = logs.get_logger("server")

ABORT_GRACE = 2.0
"""Seconds between SIGABRT and SIGKILL."""
START_TIMEOUT = 60.0
"""Seconds that a reload's workers have to become ready."""
YOUNG = 5.0
"""A worker that lives shorter than this many seconds is replaced with a growing delay …"""
MAX_DELAY = 30.0
"""… up to this many seconds."""
KILL_MARGIN = 2.0
"""Seconds beyond drain_timeout before workers are killed: they keep to it themselves, unless they hang."""
FORK_PAUSE = 2.0
"""Seconds until the next try after the system could make no process."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Supervisor:
    """Runs one server. ``load`` reads the configuration again for a reload; ``compose`` is what workers do."""

    def __init__(
        self,
        load: Callable[[], Config],
        compose: worker.Compose,
        *,
        certificate_interval: float = 10.0,
    ) -> None:
        self._load = load
        self._compose = compose
        self._certificate_interval = certificate_interval
        self._selector = selectors.DefaultSelector()
        self._notifier = Notifier()
        self._workers: dict[int, Worker] = {}
        self._current: Generation | None = None
        self._next: Generation | None = None
        self._numbers = 0
        self._dead: list[int] = []
        self._stop_at = 0.0
        self._status = 0
        self._certificates_at = 0.0
        self._bad_stamps: tuple[tls.Stamp, ...] = ()
        self._alive_at = 0.0
        self._lock = -1
        self._wakeup: tuple[socket.socket, ...] = ()

    def run(self) -> int:
        """Serve; the exit status. Raises ConfigError when it cannot begin."""
        config = self._load()
        logs.setup(config.log)
        privileges.raise_file_limit()
        uid, gid = workers_account(config)
        # Whatever the shell of the administrator has: the workers must be able to pass through the run directory.
        os.umask(0o022)
        with rundir.own(config.run_dir, config.state_dir, uid, gid) as self._lock, self._signals() as self._wakeup:
            stamps = tls.stamps(config.tls)  # before the files are read: a change in between is another change
            context = tls.make_context(config.tls)
            opened = open_beside(take_passed(plan(config), passed_sockets()), config)
            cells.share()
            gc.collect()
            gc.freeze()  # what is here now stays shared with the children
            self._begin(config, opened, context, stamps)
            while self._workers or not self._stop_at:
                self._turn()
        log.info("stopped")
        return self._status

    @contextlib.contextmanager
    def _signals(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Signals become octets on a socket: they interrupt the wait and nothing else."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        try:
            yield reader, writer
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.unregister(reader)
            reader.close()
            writer.close()

    # one turn of the loop

    def _turn(self) -> None:
        events = self._selector.select(self._wait())
        # A stop comes before the deaths it may have caused (systemd sends SIGTERM to workers as well).
        for key, _ in events:
            if key.data is None:
                assert isinstance(key.fileobj, socket.socket)
                for number in sorted(set(key.fileobj.recv(4096)), key=lambda n: n == signal.SIGCHLD):
                    self._signal(number)
        for key, _ in events:
            if isinstance(key.data, Worker) and key.data.pid in self._workers:  # not reaped a moment ago
                self._hear(key.data)
        now = time.monotonic()
        self._check_hearts(now)
        if self._stop_at:
            if now >= self._stop_at:
                self._kill_all()
            return
        self._fill(now)
        if now >= self._certificates_at:
            self._certificates_at = now + self._certificate_interval
            self._check_certificates()
        if self._next is not None and now > self._next.started + START_TIMEOUT:
            self._give_up("its workers did not become ready")
        if self._notifier.watchdog and now >= self._alive_at:
            self._alive_at = now + self._notifier.watchdog / 3
            self._notifier.alive()

    def _wait(self) -> float:
        """Seconds until there may be something to do."""
        now = time.monotonic()
        due = [1.0, self._certificate_interval]
        for generation in (self._current, self._next):
            if generation is not None:
                due += [when - now for when in generation.due.values()]
        if self._notifier.watchdog:
            due.append(self._notifier.watchdog / 3)
        return max(min(due), 0.0)

    def _signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            if not self._stop_at:
                self._reload()
        elif self._stop_at:
            self._kill_all()
        else:
            log.info("stopping", signal=signal.Signals(number).name)
            self._stop(0)

    # workers

    def _begin(
        self, config: Config, opened: list[Opened], context: ssl.SSLContext | None, stamps: tuple[tls.Stamp, ...]
    ) -> None:
        places = config.workers or len(os.sched_getaffinity(0))
        now = time.monotonic()
        same = self._current is not None and self._current.context is context
        keyed = self._current.keyed if same and self._current is not None else now
        self._next = Generation(config, opened, context, stamps, places, now, keyed)
        if config.metrics.listen:
            self._next.certificates = tls.expiries(config.tls)
        self._next.due = dict.fromkeys(range(places), now)
        self._fill(now)

    def _fill(self, now: float) -> None:
        for generation in (self._current, self._next):
            if generation is not None:
                for place in [place for place, when in generation.due.items() if when <= now]:
                    del generation.due[place]
                    try:
                        self._fork(generation, place)
                    except OSError as error:  # no process, no memory or no descriptor is to be had now
                        log.error("cannot start a worker", why=(error.strerror or "").lower())
                        generation.due[place] = now + FORK_PAUSE

    def _fork(self, generation: Generation, place: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._numbers += 1
        cells.claim(self._numbers)
        supervisor = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            cells.release(self._numbers)
            raise
        if pid == 0:
            status = 1
            try:
                ours.close()
                cells.use(self._numbers)
                setup = worker.Setup(
                    generation.config,
                    self._numbers,
                    place == 0,
                    generation.opened,
                    generation.context,
                    theirs,
                    self._compose,
                    worker.Birth(place, generation.places, int(generation.started * 1000), generation.certificates),
                )
                status = self._be_worker(setup, generation, supervisor)
            except BaseException as error:
                log.error("worker failed", error=f"{type(error).__name__}: {error}", pid=os.getpid())
            finally:
                os._exit(status)
        theirs.close()
        ours.setblocking(False)
        now = time.monotonic()
        child = Worker(pid, self._numbers, place, generation, ours, now, now)
        self._workers[pid] = child
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _be_worker(self, setup: worker.Setup, generation: Generation, supervisor: int) -> int:
        """In the child: let go of all that is the supervisor's, then serve."""
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the supervisor
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._selector.close()
        self._notifier.close()
        os.close(self._lock)
        for end in self._wakeup:
            end.close()
        for other in self._workers.values():
            other.control.close()
        for old in (self._current, self._next):
            for opened in old.opened if old is not None else ():
                if opened not in generation.opened:
                    opened.sock.close()
        os.umask(0o077)
        config = setup.config
        uid, gid = workers_account(config)
        if os.geteuid() == 0:
            privileges.drop(uid, gid)
        privileges.die_with(supervisor)
        if not runs_commands(config):
            privileges.seal()
        return worker.run(setup)

    def _hear(self, child: Worker) -> None:
        try:
            word, _, argument = child.control.recv(256).partition(b" ")
        except BlockingIOError:
            return
        except OSError:
            word = argument = b""
        child.beat = time.monotonic()
        if word == b"beat":
            # A worker that somebody has taken over must not be able to end the supervisor by what it says.
            child.connections = int(argument) if argument.isdigit() and len(argument) < 10 else 0
        elif word == b"ready":
            child.ready = True
            self._tell_dead()
            self._take_over()
        elif not word:  # closed: it is about to be reaped
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(child.control)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._workers.pop(pid, None)
            if child is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(child.control)
                child.control.close()
                cells.release(child.number)
                self._died(child, os.waitstatus_to_exitcode(status))

    def _died(self, child: Worker, code: int) -> None:
        why = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        if code == 0 and (self._stop_at or child.retired):
            log.debug("worker ended", pid=child.pid)
            return
        metrics.WORKER_DEATHS[()].add()
        if not child.killed:
            log.error("worker died", pid=child.pid, why=why, connections=child.connections)
        self._dead += [child.number, *child.told]
        self._tell_dead()
        if self._stop_at or child.retired:
            return
        generation = child.generation
        if generation is self._next and not child.ready:
            self._give_up(f"a worker ended with {why}")
            return
        now = time.monotonic()
        failures = generation.failures.get(child.place, 0) + 1 if now - child.born < YOUNG else 0
        generation.failures[child.place] = failures
        generation.due[child.place] = now + (min(0.25 * 2**failures, MAX_DELAY) if failures else 0.0)

    def _tell_dead(self) -> None:
        """Have a live worker forget the sessions of dead ones."""
        listener = next((child for child in self._workers.values() if child.ready and not child.retired), None)
        while self._dead and listener is not None:
            try:
                listener.control.send(b"dead %d" % self._dead[-1])
            except OSError:
                return
            listener.told.append(self._dead.pop())

    def _check_hearts(self, now: float) -> None:
        for child in self._workers.values():
            if child.aborted:
                if now > child.aborted + ABORT_GRACE:
                    os.kill(child.pid, signal.SIGKILL)
            elif now > child.beat + child.generation.config.hang_timeout:
                log.error("worker hangs", pid=child.pid, seconds=round(now - child.beat))
                child.aborted = now
                os.kill(child.pid, signal.SIGABRT)

    # generations

    def _reload(self) -> None:
        self._notifier.reloading()
        log.info("reloading")
        if self._next is not None:
            self._give_up("another reload came")
        current = self._current
        if current is None:
            return
        try:
            config = self._load()
            if config.run_dir != current.config.run_dir:
                raise ConfigError(["run_dir: cannot change while the server runs"])
            if workers_account(config) != workers_account(current.config):
                raise ConfigError(["mail.uid, mail.gid: cannot change while the server runs"])
            # What is the same stays the same: TLS sessions are resumed after a reload, too.
            stamps = tls.stamps(config.tls)
            same = config.tls == current.config.tls and stamps == current.stamps
            context = current.context if same else tls.make_context(config.tls)
            opened = open_beside([opened for opened in current.opened if opened.passed], config, current.opened)
        except ConfigError as error:
            for problem in error.problems:
                log.error("not reloaded", problem=problem)
            self._ready("reload failed, see the log; the old configuration is in force")
            return
        logs.setup(config.log)
        self._begin(config, opened, context, stamps)

    def _check_certificates(self) -> None:
        current = self._current
        if current is None or self._next is not None:
            return
        stamps = tls.stamps(current.config.tls)
        if stamps == current.stamps:
            lifetime, now = current.config.tls.ticket_key_lifetime, time.monotonic()
            if current.context is None or not lifetime or now < current.keyed + lifetime:
                return
            current.keyed = now  # should it fail, that is soon enough to try again
        elif stamps == self._bad_stamps:
            return
        try:
            context = tls.make_context(current.config.tls)
        except ConfigError as error:
            # Half written, perhaps: the next change of any of the files is another try.
            self._bad_stamps = stamps
            for problem in error.problems:
                log.error("certificate not taken, the old one stays", problem=problem)
            return
        log.info("certificate files have changed" if stamps != current.stamps else "new keys for TLS session tickets")
        self._begin(current.config, current.opened, context, stamps)

    def _take_over(self) -> None:
        """The next generation becomes the current one when each of its workers is ready."""
        generation = self._next
        if generation is None:
            return
        ready = [child for child in self._workers.values() if child.generation is generation and child.ready]
        if len(ready) < generation.places:
            return
        try:
            for opened in generation.opened:
                opened.publish()
        except OSError as error:
            self._give_up(f"{error.filename2 or error.filename}: {(error.strerror or '').lower()}")
            return
        old, self._current, self._next = self._current, generation, None
        for child in self._workers.values():
            if child.generation is not generation:
                self._send(child, b"retire")
                child.retired = True
        if old is not None:
            for opened in old.opened:
                if opened not in generation.opened:
                    opened.close()
        log.info(
            "serving" if old is None else "reloaded",
            workers=generation.places,
            listen=[str(opened.endpoint) for opened in generation.opened],
        )
        self._ready(f"{generation.places} workers")

    def _give_up(self, why: str) -> None:
        """The next generation will not be."""
        generation, self._next = self._next, None
        assert generation is not None
        for child in self._workers.values():
            if child.generation is generation:
                child.retired = child.killed = True
                os.kill(child.pid, signal.SIGKILL)
        if self._current is None:
            log.error("cannot start", why=why)
            self._current = generation
            self._stop(1)
            return
        log.error("not reloaded", problem=why)
        self._bad_stamps = generation.stamps
        for opened in generation.opened:
            if opened not in self._current.opened:
                opened.close()
        self._ready("reload failed, see the log; the old configuration is in force")

    def _ready(self, status: str) -> None:
        self._notifier.ready(status)

    def _send(self, child: Worker, word: bytes) -> None:
        with contextlib.suppress(OSError):  # dead: it will be reaped
            child.control.send(word)

    def _stop(self, status: int) -> None:
        self._status = status
        self._notifier.stopping()
        timeout = 0.0
        for generation in (self._current, self._next):
            if generation is not None:
                timeout = max(timeout, generation.config.drain_timeout)
                for opened in generation.opened:
                    opened.close()
        self._stop_at = time.monotonic() + timeout + KILL_MARGIN
        for child in self._workers.values():
            self._send(child, b"drain")

    def _kill_all(self) -> None:
        for child in self._workers.values():
            log.error("worker killed", pid=child.pid, connections=child.connections)
            child.killed = True
            os.kill(child.pid, signal.SIGKILL)
        self._stop_at = time.monotonic() + KILL_MARGIN
