"""A plain client: one blocking socket, replies scanned as octets and checked only after the clock has stopped."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Imap:
    """One IMAP connection over TLS."""

    def __init__(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        raw = socket.create_connection(("127.0.0.1", port), 60)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw)
        self.number = 0
        self.buffer = bytearray()
        self.line()

    def more(self) -> None:
        """Wait for octets."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def line(self) -> bytes:
        """One line."""
        while (end := self.buffer.find(b"\r\n")) < 0:
            self.more()
        text = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return text

    def send(self, command: bytes) -> bytes:
        """Send a command; returns its tag."""
        self.number += 1
        tag = b"t%d" % self.number
        self.socket.sendall(tag + b" " + command + b"\r\n")
        return tag

    def wait(self, tag: bytes) -> bytes:
        """Everything up to the tagged line, which is the last. Its end is looked for at the end of what has come, so that literals
        cost nothing; a literal that ends like a tagged line would fool it, and no mail here does."""
        end = re.compile(rb"(?:^|\r\n)" + tag + rb" [^\r\n]*\r\n\Z")
        while True:
            if self.buffer.endswith(b"\r\n"):
                tail = bytes(self.buffer[-600:])
                if end.search(tail):
                    data = bytes(self.buffer)
                    self.buffer.clear()
                    return data
            self.more()

    def run(self, command: bytes, wanted: bytes = b"OK") -> bytes:
        """A command and its whole answer. Raises when its status is another."""
        tag = self.send(command)
        data = self.wait(tag)
        status = data[data.rfind(b"\r\n", 0, -2) + 2 :] if data.count(b"\r\n") > 1 else data
        if not status.startswith(tag + b" " + wanted):
            raise RuntimeError(f"{command[:60]!r}: {status!r}")
        return data

    def login(self, user: str, password: str) -> None:
        """LOGIN."""
        self.run(f'LOGIN "{user}" "{password}"'.encode())

    def append(self, mailbox: str, message: bytes) -> None:
        """APPEND with a non-synchronising literal."""
        self.run(b"APPEND %s {%d+}\r\n%s" % (mailbox.encode(), len(message), message))

    def close(self) -> None:
        """LOGOUT."""
        self.run(b"LOGOUT")
        self.socket.close()


class Lmtp:
    """One LMTP connection over a unix socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")
        self.reply()
        self.socket.sendall(b"LHLO bench\r\n")
        self.reply()

    def reply(self) -> bytes:
        """One reply; raises unless it is 2xx or 3xx."""
        while True:
            line = self.file.readline()
            if line[:1] not in (b"2", b"3"):
                raise RuntimeError(f"LMTP: {line!r}")
            if line[3:4] != b"-":
                return line

    def deliver(self, recipient: str, message: bytes) -> None:
        """One transaction, envelope pipelined as Postfix does."""
        self.socket.sendall(b"MAIL FROM:<bench@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n" % recipient.encode())
        for _ in range(3):
            self.reply()
        self.socket.sendall(message + b".\r\n")
        self.reply()

    def close(self) -> None:
        """QUIT."""
        self.socket.sendall(b"QUIT\r\n")
        self.reply()
        self.file.close()
        self.socket.close()
