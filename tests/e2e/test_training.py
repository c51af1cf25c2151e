"""A client moves mail into Junk and out of it, and the controller is taught; also what was moved while it was down."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.host import running_host

pytestmark = pytest.mark.e2e
KIM = "kim@example.net"


class Controller(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lessons: list[tuple[str, str | None, bytes]] = []
        self.learnt = threading.Condition()

    def wait(self, count: int) -> None:
        with self.learnt:
            assert self.learnt.wait_for(lambda: len(self.lessons) >= count, 20), self.lessons


class Handler(BaseHTTPRequestHandler):
    server: Controller

    def do_POST(self) -> None:  # the standard library's name
        message = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        with self.server.learnt:
            self.server.lessons.append((self.path, self.headers["Password"], message))
            self.server.learnt.notify_all()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_into_junk_and_out_of_it() -> None:
    with Controller() as controller:
        threading.Thread(target=controller.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{controller.server_port}"
        with running_host(settings=f'[rspamd]\ncontroller = "{url}"\npassword = "secret"\n') as host:
            for number in (1, 2):
                host.deliver(KIM, b"Subject: %d\r\n\r\nx\r\n" % number)
            client = host.imap(KIM)
            client.select("INBOX")
            assert client.uid("MOVE", "1", "Junk")[0] == "OK"
            controller.wait(1)
            assert client.uid("COPY", "2", "Trash")[0] == "OK"
            client.select("Junk")
            assert client.uid("COPY", "1", "Trash")[0] == "OK"
            assert client.uid("MOVE", "1", "INBOX")[0] == "OK"
            controller.wait(2)
            client.logout()
        controller.shutdown()
    assert [(path, password) for path, password, _ in controller.lessons] == [
        ("/learnspam", "secret"),
        ("/learnham", "secret"),
    ]
    assert all(b"Subject: 1\r\n" in message for *_, message in controller.lessons)
