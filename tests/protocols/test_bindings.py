"""Channel bindings are the same at both ends of a TLS connection, and the client's certificate has a name."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from mas.config import Sni, Tls
from mas.errors import ConfigError
from mas.protocols import bindings
from mas.protocols.bindings import binding, certificate_name
from mas.protocols.tls import files, make_context


def write(certificate: trustme.LeafCert, directory: Path, name: str) -> tuple[Path, Path]:
    certificate.cert_chain_pems[0].write_to_path(str(directory / f"{name}.pem"))
    certificate.private_key_pem.write_to_path(str(directory / f"{name}.key"))
    return directory / f"{name}.pem", directory / f"{name}.key"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    cert, key = write(authority.issue_cert("one.example.net"), tmp_path, "one")
    other_cert, other_key = write(authority.issue_cert("two.example.net"), tmp_path, "two")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    sni = Sni(names=("two.example.net",), cert=other_cert, key=other_key)
    context = make_context(Tls(cert=cert, key=key, client_ca=str(tmp_path / "ca.pem"), sni=(sni,)))
    assert context is not None
    return context


def handshake(
    server: ssl.SSLContext,
    authority: trustme.CA,
    name: str,
    client: trustme.LeafCert | None = None,
    **versions: ssl.TLSVersion,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection in memory."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    for key, version in versions.items():
        setattr(context, key, version)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = context.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(8):
        for end in (theirs, ours):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ours, theirs


def test_tls_exporter_is_the_same_at_both_ends(server: ssl.SSLContext, authority: trustme.CA) -> None:
    seen = set()
    for _ in range(3):
        ours, theirs = handshake(server, authority, "one.example.net")
        assert ours.version() == "TLSv1.3"
        data = binding(ours, "tls-exporter")
        assert data is not None, "this Python has another layout: no -PLUS mechanism is offered with TLS 1.3"
        assert len(data) == 32
        assert data == binding(theirs, "tls-exporter")
        assert binding(ours, "tls-unique") is None
        seen.add(data)
    assert len(seen) == 3


def test_tls_unique_is_for_tls_1_2_alone(server: ssl.SSLContext, authority: trustme.CA) -> None:
    ours, theirs = handshake(server, authority, "one.example.net", maximum_version=ssl.TLSVersion.TLSv1_2)
    assert binding(ours, "tls-unique") == theirs.get_channel_binding("tls-unique") is not None
    assert binding(ours, "tls-exporter") is None
    assert binding(ours, "tls-something") is None


@pytest.mark.parametrize("name", ["one.example.net", "two.example.net"])
def test_tls_server_end_point_is_of_the_certificate_that_was_shown(
    server: ssl.SSLContext, authority: trustme.CA, name: str
) -> None:
    ours, theirs = handshake(server, authority, name)
    shown = theirs.getpeercert(binary_form=True)
    assert shown is not None
    assert binding(ours, "tls-server-end-point") == hashlib.sha256(shown).digest()
    names = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [name]


def test_a_layout_that_is_not_known_is_not_touched(
    server: ssl.SSLContext, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = handshake(server, authority, "one.example.net")
    inner = ours._sslobj  # type: ignore[attr-defined]
    assert bindings._inner_connection(inner, ours.context)
    assert bindings._inner_connection(inner, ssl.create_default_context()) is None
    assert bindings._inner_connection(object(), ours.context) is None
    monkeypatch.setattr(bindings, "_exporter", lambda: None)
    assert binding(ours, "tls-exporter") is None


def test_the_name_in_a_clients_certificate(server: ssl.SSLContext, authority: trustme.CA, tmp_path: Path) -> None:
    kim = authority.issue_cert("kim@example.net", common_name="kim@example.net")
    ours, _ = handshake(server, authority, "one.example.net", kim)
    assert certificate_name(ours, "commonName") == "kim@example.net"
    assert certificate_name(ours, "emailAddress") is None
    without, _ = handshake(server, authority, "one.example.net")
    assert certificate_name(without, "commonName") is None


def test_a_clients_certificate_of_another_authority_is_refused(server: ssl.SSLContext, authority: trustme.CA) -> None:
    stranger = trustme.CA().issue_cert("kim@example.net", common_name="kim@example.net")
    with pytest.raises(ssl.SSLError, match="certificate"):
        handshake(server, authority, "one.example.net", stranger)


def test_the_file_of_the_clients_authority_is_checked(authority: trustme.CA, tmp_path: Path) -> None:
    cert, key = write(authority.issue_cert("one.example.net"), tmp_path, "one")
    (tmp_path / "ca.pem").write_text("nothing")
    assert tmp_path / "ca.pem" in files(Tls(cert=cert, key=key, client_ca=str(tmp_path / "ca.pem")))
    with pytest.raises(ConfigError, match=r"tls\.client_ca"):
        make_context(Tls(cert=cert, key=key, client_ca=str(tmp_path / "ca.pem")))
