"""TLS contexts: what a client sees of the settings, names, and files that are not what they should be."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from mas.config import Tls
from mas.errors import ConfigError
from mas.protocols.tls import make_context, stamps
from tests.support.certificates import Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def section(cert: Path, key: Path, **others: Any) -> Tls:
    return Tls.model_validate({"cert": str(cert), "key": str(key), **others})


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = None) -> ssl.SSLObject:
    """A handshake in memory; the client's side of it. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    open_sides = [here, there]
    for _ in range(20):
        for side in list(open_sides):
            try:
                side.do_handshake()
                open_sides.remove(side)
            except ssl.SSLWantReadError:
                pass
        if not open_sides:
            return here
    raise AssertionError("the handshake does not end")


def subject(connection: ssl.SSLObject) -> str:
    certificate = connection.getpeercert()
    assert certificate
    return str(certificate["subjectAltName"][0][1])


def test_without_certificate_there_is_no_context() -> None:
    assert make_context(Tls()) is None


def test_defaults(authority: Authority, tmp_path: Path) -> None:
    context = make_context(section(*authority.issue(tmp_path, "mail.example.net")))
    assert context is not None
    connection = shake(context, authority.client_context())
    assert connection.version() == "TLSv1.3"
    assert subject(connection) == "mail.example.net"


@pytest.mark.parametrize(("minimum", "works"), [("TLSv1.2", True), ("TLSv1.3", False)])
def test_min_version(authority: Authority, tmp_path: Path, minimum: str, works: bool) -> None:
    context = make_context(section(*authority.issue(tmp_path, "mail.example.net"), min_version=minimum))
    client = authority.client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert context is not None
    if works:
        assert shake(context, client).version() == "TLSv1.2"
    else:
        with pytest.raises(ssl.SSLError):
            shake(context, client)


@pytest.mark.parametrize("prefer", [True, False])
def test_ciphers_and_preference(authority: Authority, tmp_path: Path, prefer: bool) -> None:
    ours, theirs = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
    files = authority.issue(tmp_path, "mail.example.net")
    context = make_context(section(*files, ciphers=f"{ours}:{theirs}", prefer_server_ciphers=prefer))
    client = authority.client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(f"{theirs}:{ours}")
    assert context is not None
    cipher = shake(context, client).cipher()
    assert cipher
    assert cipher[0] == (ours if prefer else theirs)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (None, "mail.example.net"),
        ("mail.example.net", "mail.example.net"),
        ("unknown.example", "mail.example.net"),
        ("mail.example.org", "mail.example.org"),
        ("MAIL.Example.ORG", "mail.example.org"),
        ("any.example.com", "*.example.com"),
        ("a.b.example.com", "mail.example.net"),
    ],
)
def test_sni(authority: Authority, tmp_path: Path, asked: str | None, got: str) -> None:
    sni = []
    for name, stem in (("mail.example.org", "org"), ("*.example.com", "com")):
        cert, key = authority.issue(tmp_path, name, stem)
        sni.append({"names": (name,), "cert": str(cert), "key": str(key)})
    context = make_context(section(*authority.issue(tmp_path, "mail.example.net"), sni=tuple(sni)))
    assert context is not None
    assert subject(shake(context, authority.client_context(), asked)) == got


def test_every_problem_is_told_at_once(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue(tmp_path, "mail.example.net")
    other_cert, _ = authority.issue(tmp_path, "mail.example.org")
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    tls = section(
        other_cert,
        key,
        ciphers="NO-SUCH-CIPHER",
        dh_params=str(broken),
        sni=(
            {"names": ("a.example.net",), "cert": str(broken), "key": str(key)},
            {"names": ("b.example.net",), "cert": str(cert), "key": str(tmp_path / "missing.pem")},
        ),
    )
    with pytest.raises(ConfigError) as caught:
        make_context(tls)
    text = str(caught.value)
    assert "key values mismatch" in text
    assert "tls.ciphers" in text
    assert "tls.dh_params" in text
    assert "tls.sni[1]" in text
    assert "No such file" in text.split("tls.sni[2]")[1]


def test_an_encrypted_key_is_an_error_and_no_question(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    cert, key = authority.issue(tmp_path, "mail.example.net")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match="encrypted"):
        make_context(section(cert, key))


def test_stamps_change_with_the_files(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue(tmp_path, "mail.example.net")
    link = tmp_path / "live.pem"
    link.symlink_to(cert)
    tls = section(link, key)
    before = stamps(tls)
    assert stamps(tls) == before
    newer = tmp_path / "newer.pem"
    newer.write_bytes(cert.read_bytes())
    temporary = tmp_path / "link"
    temporary.symlink_to(newer)
    os.replace(temporary, link)  # as ACME clients do it
    assert stamps(tls) != before
    link.unlink()
    assert stamps(tls)[0] == (str(link), 0, 0, 0)
