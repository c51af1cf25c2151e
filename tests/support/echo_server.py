"""The whole server with the echo protocol instead of mail: ``python -m tests.support.echo_server CONFIG [CERTIFICATE_INTERVAL]``.

A session's ``hang`` stops its worker's loop, a configured ``hostname`` of ``broken.example.net`` keeps workers from starting.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mas.config import Config, load
from mas.errors import MasError
from mas.protocols.listener import Service
from mas.protocols.session import Peer
from mas.server import run
from mas.server.worker import Birth, Composition, Job
from mas.sessions import Registry
from tests.support.echo import EchoConnection, Line, opener


class HangingConnection(EchoConnection):
    """``hang`` blocks the loop, as a bug would."""

    def next_event(self) -> Any:
        event = super().next_event()
        if event == Line(b"hang"):
            # For ever: only a signal ends it.
            threading.Event().wait()
        return event


async def compose(config: Config, registry: Registry, _: Birth) -> Composition:
    """Echo on every socket; a job that leaves a trace."""
    if config.hostname == "broken.example.net":
        raise MasError("made to fail")
    start = opener(registry)

    def hanging(peer: Peer, tls: bool) -> tuple[Any, Callable[[Any], Awaitable[None]]]:
        _, session = start(peer, tls)
        return HangingConnection(), session

    async def job() -> None:
        with (config.state_dir / "job").open("a") as file:
            file.write("ran\n")

    async def close() -> None:
        (config.state_dir / "closed").touch()

    limits = {"imap": config.imap.max_login_connections_per_ip}
    services = {
        name: Service(name, hanging, max_login_connections_per_ip=limits.get(name, 0), handshake_timeout=60)
        for name in ("imap", "lmtp", "sieve", "auth")
    }
    return Composition(services, close, (Job("trace", 0.05, job),))


def main() -> int:
    config, *interval = sys.argv[1:]
    return run(lambda: load(Path(config)), compose, certificate_interval=float(interval[0]) if interval else 10.0)


if __name__ == "__main__":
    sys.exit(main())
