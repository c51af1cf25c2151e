"""A whole server: counts over its workers, a worker that dies, a database that is gone, a stop."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from tests.support.builders import message
from tests.support.host import ROOT, Host, running_host
from tests.support.ports import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
KIM = "kim@example.net"


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(port: int) -> dict[tuple[str, ...], float]:
    """(name, label values …) to value."""
    status, page = get(port, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def until(condition: Callable[[], Any], host: Host) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, host.log()
        time.sleep(0.05)


def workers(host: Host) -> set[int]:
    listing = subprocess.run(
        [sys.executable, "-m", "mas", "-c", str(host.config_path), "who", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return {session["pid"] for session in json.loads(listing.stdout or b"[]")}


def test_counts_of_all_workers_and_of_the_dead() -> None:
    (port,) = free_ports(1)
    settings = f'[metrics]\nlisten = "127.0.0.1:{port}"'
    with running_host(settings=settings, auth_settings='failure_delay = "10ms"', workers=2) as host:
        before = samples(port)
        assert before["mas_workers",] == 2
        assert before["mas_deliveries_total", "saved"] == 0
        certificate = x509.load_pem_x509_certificate((host.directory / "cert.pem").read_bytes())
        expiry = before["mas_certificate_expiry_timestamp_seconds", str(host.directory / "cert.pem")]
        assert expiry == certificate.not_valid_after_utc.timestamp()
        for number in range(4):
            host.deliver(KIM, message(number))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            host.deliver("nobody@example.net", message(9))
        clients = [host.imap(KIM) for _ in range(6)]
        for client in clients:
            client.select()
            client.fetch("1", "(FLAGS)")
            client.fetch("1:*", "(UID)")
        with pytest.raises(imaplib.IMAP4.error), contextlib.closing(connect(host)) as client:
            client.login(KIM, "wrong")
        found = samples(port)
        assert found["mas_deliveries_total", "saved"] == 4
        assert found["mas_delivery_seconds_count",] == 4
        assert found["mas_auth_total", "imap", "ok"] == 6
        assert found["mas_auth_total", "imap", "failed"] == 1
        assert found["mas_imap_command_seconds_count", "FETCH"] == 12
        assert found["mas_imap_command_seconds_count", "SELECT"] == 6
        assert found["mas_sessions", "imap"] == 6
        assert found["mas_connections", "imap"] >= 6
        assert found["mas_queue_messages", "outgoing"] == 0
        assert found["mas_database_seconds_count",] >= 2
        assert get(port, "/healthz") == (200, "ok\n")

        for pid in workers(host):
            os.kill(pid, signal.SIGKILL)
        until(lambda: samples(port)["mas_connections", "imap"] == 0, host)
        after = samples(port)
        assert after["mas_deliveries_total", "saved"] == 4
        assert after["mas_imap_command_seconds_count", "FETCH"] == 12
        assert after["mas_worker_deaths_total",] >= 1
        until(lambda: samples(port)["mas_sessions", "imap"] == 0, host)
        host.imap(KIM).logout()
        assert get(port, "/nothing")[0] == 404


def connect(host: Host) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL("localhost", host.imaps_port, ssl_context=host.client_context(), timeout=20)


def test_health_of_a_database_and_of_a_server_that_stops() -> None:
    (port,) = free_ports(1)
    settings = f'[metrics]\nlisten = "127.0.0.1:{port}"'
    with running_host(settings=settings, top_settings='drain_timeout = "20s"') as host:
        accounts = host.directory / "accounts.sqlite"
        accounts.rename(host.directory / "away")
        accounts.mkdir()
        status, reason = get(port, "/healthz")  # nobody has asked the database yet: no connection is open
        assert (status, reason[:32]) == (503, "database does not answer: sqlite")
        accounts.rmdir()
        (host.directory / "away").rename(accounts)
        until(lambda: get(port, "/healthz")[0] == 200, host)

        # A message that never ends keeps the server until its time is over.
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(host.lmtp_path))
            reader = client.makefile("rb")
            for line in (b"LHLO x", b"MAIL FROM:<>", b"RCPT TO:<kim@example.net>", b"DATA"):
                client.sendall(line + b"\r\n")
                while reader.readline()[3:4] == b"-":
                    pass
            assert host.process is not None
            host.process.send_signal(signal.SIGTERM)
            until(lambda: get(port, "/healthz") == (503, "the server stops\n"), host)
            client.sendall(b"Subject: the end\r\n\r\n.\r\n")
            reader.close()


def test_a_bad_request_is_refused() -> None:
    (port,) = free_ports(1)
    with running_host(settings=f'[metrics]\nlisten = "127.0.0.1:{port}"'):
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"DELETE /metrics HTTP/1.1\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 405 ")
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"nonsense\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")
