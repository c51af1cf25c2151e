"""What the server says to systemd and takes from it: sd_notify(3), sd_listen_fds(3). Nothing happens where systemd did not start it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

FIRST_FD = 3


class Notifier:
    """Messages to the service manager; each is one datagram and never an error."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Takes NOTIFY_SOCKET out of the environment: children have nothing to say."""
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        usec = environment.pop("WATCHDOG_USEC", "0")
        pid = environment.pop("WATCHDOG_PID", str(os.getpid()))
        self.watchdog = int(usec) / 1e6 if usec.isdecimal() and pid == str(os.getpid()) else 0.0
        """Seconds within which the manager wants to hear from us; 0 = never."""

    def send(self, *lines: str) -> None:
        """Send ``KEY=value`` lines."""
        if self._socket is not None:
            try:
                self._socket.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                pass  # the manager's loss: serving mail goes on

    def close(self) -> None:
        """Say nothing more (in a child)."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self, status: str) -> None:
        self.send("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reloading")

    def stopping(self) -> None:
        self.send("STOPPING=1", "STATUS=finishing sessions and deliveries")

    def alive(self) -> None:
        self.send("WATCHDOG=1")


def passed_sockets(environment: MutableMapping[str, str] = os.environ) -> list[tuple[str, socket.socket]]:
    """The sockets that systemd opened for us, each with its FileDescriptorName (empty without one)."""
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found = []
    for offset in range(int(count)):
        fd = FIRST_FD + offset
        os.set_inheritable(fd, False)
        found.append((names[offset] if offset < len(names) else "", socket.socket(fileno=fd)))
    return found
