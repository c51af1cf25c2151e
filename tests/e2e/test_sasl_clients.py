"""SASL with clients that are not ours: GNU SASL over IMAP and SMTP, imaplib, smtplib, swaks, and a ManageSieve conversation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import imaplib
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from joserfc import jwt
from joserfc.jwk import RSAKey
from scramp import ScramClient

from tests.e2e.test_auth_socket import KIM, Client, as_root, connected, host_with_socket, postfix_asking
from tests.support.host import Host, running_host
from tests.support.servers import need

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
MECHANISMS = (
    'mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "CRAM-MD5", "EXTERNAL", "PLAIN", "LOGIN"]\n'
    'failure_delay = "100ms"'
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """Who signs certificates of users."""
    authority = trustme.CA()
    directory = tmp_path_factory.mktemp("clients")
    os.chmod(directory.parent, 0o755)
    authority.cert_pem.write_to_path(str(directory / "clients.pem"))
    return authority, directory


@pytest.fixture(scope="module")
def host(authority: tuple[trustme.CA, Path]) -> Iterator[Host]:
    with running_host(
        auth_settings=MECHANISMS, tls_settings=f'client_ca = "{authority[1] / "clients.pem"}"', settings=""
    ) as host:
        yield host


def gsasl(*arguments: str, right: bool = True) -> str:
    need("gsasl")
    done = subprocess.run(
        ["gsasl", *arguments, "--verbose"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    text = done.stdout + done.stderr
    assert (done.returncode == 0) is right, text
    return text


@pytest.mark.parametrize("password", ["secret", "wrong"])
@pytest.mark.parametrize("mechanism", [*SCRAM, "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "CRAM-MD5", "PLAIN", "LOGIN"])
def test_gnu_sasl_over_imap(host: Host, mechanism: str, password: str) -> None:
    """-PLUS binds to the connection by ``tls-exporter``, as computed by GnuTLS."""
    plus = mechanism.endswith("-PLUS")
    text = gsasl(
        "--imap", "--connect", f"localhost:{host.imap_port}", "--starttls", "--x509-ca-file", str(host.directory / "ca.pem"),
        "--mechanism", mechanism, "--authentication-id", KIM, "--password", password,
        *([] if plus else ["--no-cb"]),
        right=password == "secret",
    )  # fmt: skip
    if plus and password == "secret":
        assert "tls-exporter" in text or base64.b64encode(b"p=tls-exporter,,").decode()[:18] in text, text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["tls-unique", "tls-server-end-point", ""])
def test_scramp_over_imap(host: Host, version: ssl.TLSVersion, kind: str) -> None:
    context = host.client_context()
    context.minimum_version = context.maximum_version = version
    client = imaplib.IMAP4_SSL("localhost", host.imaps_port, ssl_context=context, timeout=20)
    sock = client.sock
    assert isinstance(sock, ssl.SSLSocket)
    data: bytes | None = b"of no meaning in TLS 1.3"
    if kind == "tls-server-end-point":
        data = hashlib.sha256(sock.getpeercert(binary_form=True) or b"").digest()
    elif version == ssl.TLSVersion.TLSv1_2:
        data = sock.get_channel_binding("tls-unique")
    mechanism = "SCRAM-SHA-256-PLUS" if kind else "SCRAM-SHA-256"
    assert f"AUTH={mechanism}" in client.capabilities
    scram = ScramClient([mechanism], KIM, "secret", channel_binding=(kind, data) if kind else None)
    steps: Iterator[Callable[[str], bytes | None]] = iter(
        [
            lambda _: scram.get_client_first().encode(),
            lambda first: (scram.set_server_first(first), scram.get_client_final().encode())[1],
            lambda final: scram.set_server_final(final) or b"",
        ]
    )

    def answer(challenge: bytes) -> bytes | None:
        return next(steps)(challenge.decode())

    if kind == "tls-unique" and version == ssl.TLSVersion.TLSv1_3:
        with pytest.raises(imaplib.IMAP4.error, match="tls-unique"):
            client.authenticate(mechanism, answer)
    else:
        assert client.authenticate(mechanism, answer)[0] == "OK"
        assert client.select("INBOX")[0] == "OK"
    client.shutdown()


def test_nothing_before_tls(host: Host) -> None:
    client = imaplib.IMAP4("localhost", host.imap_port, timeout=20)
    assert not any(name.startswith("AUTH=") for name in client.capabilities)
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        client.authenticate("SCRAM-SHA-256", lambda _: b"n,,n=kim,r=abc")
    client.logout()


def test_cram_md5_by_imaplib(host: Host) -> None:
    for password, right in (("secret", True), ("wrong", False)):
        client = imaplib.IMAP4_SSL("localhost", host.imaps_port, ssl_context=host.client_context(), timeout=20)
        if right:
            assert client.login_cram_md5(KIM, password)[0] == "OK"
        else:
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                client.login_cram_md5(KIM, password)
        client.shutdown()


def test_external_by_a_clients_certificate(host: Host, authority: tuple[trustme.CA, Path]) -> None:
    for name, right in ((KIM, True), ("nobody@example.net", False), (None, False)):
        context = host.client_context()
        if name:
            authority[0].issue_cert("client.example.net", common_name=name).configure_cert(context)
        client = imaplib.IMAP4_SSL("localhost", host.imaps_port, ssl_context=context, timeout=20)
        assert ("AUTH=EXTERNAL" in client.capabilities) is (name is not None)
        if right:
            assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
        else:
            with pytest.raises(imaplib.IMAP4.error):
                client.authenticate("EXTERNAL", lambda _: b"")
        client.shutdown()


def test_scram_over_managesieve(host: Host) -> None:
    """The server's signature comes with the OK [RFC5804 2.1]."""
    with socket.create_connection(("localhost", host.sieve_port), 20) as plain:
        file = plain.makefile("rb")
        until_ok(file)
        plain.sendall(b"STARTTLS\r\n")
        until_ok(file)
        with host.client_context().wrap_socket(plain, server_hostname="localhost") as tls:
            file = tls.makefile("rb")
            assert any(b"SCRAM-SHA-256-PLUS" in line for line in until_ok(file))
            scram = ScramClient(["SCRAM-SHA-256"], KIM, "secret")
            first = base64.b64encode(scram.get_client_first().encode())
            tls.sendall(b'AUTHENTICATE "SCRAM-SHA-256" "%s"\r\n' % first)
            scram.set_server_first(base64.b64decode(file.readline().strip().strip(b'"')).decode())
            tls.sendall(b'"%s"\r\n' % base64.b64encode(scram.get_client_final().encode()))
            line = file.readline()
            assert line.startswith(b'OK (SASL "')
            scram.set_server_final(base64.b64decode(line.split(b'"')[1]).decode())
            tls.sendall(b"LISTSCRIPTS\r\n")
            assert file.readline().startswith(b"OK")


def until_ok(file: object) -> list[bytes]:
    lines: list[bytes] = []
    while not lines or not lines[-1].startswith(b"OK"):
        lines.append(file.readline())  # type: ignore[attr-defined]
        assert lines[-1], lines
    return lines


def test_scram_over_the_auth_socket() -> None:
    """The last word of the server as a challenge, or with the OK where the client says that it takes it: both as Dovecot does it."""
    with host_with_socket(auth=MECHANISMS.replace('"EXTERNAL", ', "")) as (_, path):
        client = Client(path)
        assert client.handshake[1:7] == [
            b"MECH\tSCRAM-SHA-256\tmutual-auth\n",
            b"MECH\tSCRAM-SHA-1\tmutual-auth\n",
            b"MECH\tCRAM-MD5\tdictionary\tactive\n",
            b"MECH\tPLAIN\tplaintext\n",
            b"MECH\tLOGIN\tplaintext\n",
            client.handshake[6],
        ]
        for word in (b"", b"\tfinal-resp-ok"):
            scram = ScramClient(["SCRAM-SHA-256"], KIM, "secret")
            client.ask(
                b"AUTH\t1\tSCRAM-SHA-256\tservice=smtp%s\tresp=%s"
                % (word, base64.b64encode(scram.get_client_first().encode()))
            )
            scram.set_server_first(base64.b64decode(client.file.readline().split(b"\t")[2]).decode())
            client.ask(b"CONT\t1\t" + base64.b64encode(scram.get_client_final().encode()))
            if word:
                ok, number, user, last = client.file.readline().split(b"\t")
                assert (ok, number, user) == (b"OK", b"1", b"user=kim@example.net")
                last = last.removeprefix(b"resp=")
            else:
                cont, number, last = client.file.readline().split(b"\t")
                assert (cont, number) == (b"CONT", b"1")
                client.ask(b"CONT\t1\t")
                assert client.file.readline() == b"OK\t1\tuser=kim@example.net\n"
            scram.set_server_final(base64.b64decode(last).decode())
        client.ask(b"AUTH\t2\tCRAM-MD5\tservice=smtp")
        challenge = base64.b64decode(client.file.readline().split(b"\t")[2])
        digest = hmac.digest(b"wrong", challenge, "md5").hex().encode()
        client.ask(b"CONT\t2\t" + base64.b64encode(KIM.encode() + b" " + digest))
        assert client.file.readline() == b"FAIL\t2\tuser=kim@example.net\n"
        client.close()


@as_root
def test_scram_and_cram_md5_by_postfix() -> None:
    """Postfix carries the challenges: GNU SASL and swaks log in, and are refused."""
    need("swaks")
    with (
        host_with_socket(auth=MECHANISMS.replace('"EXTERNAL", ', "")) as (host, path),
        postfix_asking(host, path) as port,
    ):
        with connected(port, host.client_context()) as smtp:
            assert set(smtp.esmtp_features["auth"].split()) == {
                "SCRAM-SHA-256",
                "SCRAM-SHA-1",
                "CRAM-MD5",
                "PLAIN",
                "LOGIN",
            }
            smtp.user, smtp.password = KIM, "secret"
            assert smtp.auth("CRAM-MD5", smtp.auth_cram_md5)[0] == 235
        for password in ("secret", "wrong"):
            for mechanism in SCRAM:
                gsasl(
                    "--smtp", "--connect", f"localhost:{port}", "--starttls", "--x509-ca-file", str(host.directory / "ca.pem"),
                    "--mechanism", mechanism, "--authentication-id", KIM, "--password", password, "--no-cb",
                    right=password == "secret",
                )  # fmt: skip
            done = subprocess.run(
                ["swaks", "--server", f"127.0.0.1:{port}", "--tls", "--auth", "CRAM-MD5", "--auth-user", KIM,
                 "--auth-password", password, "--quit-after", "AUTH"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert (done.returncode == 0) is (password == "secret"), done.stdout + done.stderr


def test_tokens(tmp_path: Path) -> None:
    """OAUTHBEARER and XOAUTH2 by imaplib, with keys that the provider has changed meanwhile."""
    os.chmod(tmp_path, 0o755)
    keys = {name: RSAKey.generate_key(2048, {"kid": name, "use": "sig"}) for name in ("old", "new")}
    jwks = Path("/tmp") / f"mas-test-jwks-{os.getpid()}.json"
    jwks.write_text(json.dumps({"keys": [keys["old"].as_dict(private=False)]}))

    def token(key: str) -> str:
        claims = {"iss": "https://id.example.net", "aud": ["mail"], "exp": int(time.time()) + 60, "email": KIM}
        return jwt.encode({"alg": "RS256", "kid": key}, claims, keys[key])

    settings = (
        'mechanisms = ["OAUTHBEARER", "XOAUTH2"]\nfailure_delay = "100ms"\n[auth.oauth2]\n'
        f'jwks = "{jwks}"\nissuer = "https://id.example.net"\naudience = ["mail"]\n'
    )
    try:
        with running_host(auth_settings=settings) as host:
            for mechanism in ("OAUTHBEARER", "XOAUTH2"):
                client = imaplib.IMAP4_SSL("localhost", host.imaps_port, ssl_context=host.client_context(), timeout=20)
                assert f"AUTH={mechanism}" in client.capabilities
                header = f"n,a={KIM}," if mechanism == "OAUTHBEARER" else f"user={KIM}"

                def first(challenge: bytes, header: str = header, key: str = "old") -> bytes:
                    return f"{header}\x01auth=Bearer {token(key)}\x01\x01".encode() if not challenge else b"\x01"

                with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                    client.authenticate(mechanism, lambda challenge, first=first: first(challenge, key="new"))  # type: ignore[misc]
                assert client.authenticate(mechanism, first)[0] == "OK"
                client.logout()
    finally:
        jwks.unlink()


def test_the_login_command_where_no_password_is_offered() -> None:
    """The LOGIN command is a password in the clear as well: it goes with PLAIN."""
    with running_host(auth_settings='mechanisms = ["SCRAM-SHA-256"]') as strict:
        client = imaplib.IMAP4_SSL("localhost", strict.imaps_port, ssl_context=strict.client_context(), timeout=20)
        assert "LOGINDISABLED" in client.capabilities
        with pytest.raises(imaplib.IMAP4.error):
            client.login(KIM, "secret")
        client.shutdown()
