"""Certificates for tests, by trustme: files as an operator has them, and a client context that trusts them."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """One certificate authority."""

    def __init__(self) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)

    def issue(self, directory: Path, name: str, stem: str = "") -> tuple[Path, Path]:
        """Write certificate chain and key for ``name``; their paths."""
        issued = self._ca.issue_cert(name, key_type=trustme.KeyType.ECDSA)
        cert, key = directory / f"{stem or name}.cert.pem", directory / f"{stem or name}.key.pem"
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return cert, key

    def client_context(self) -> ssl.SSLContext:
        """Trusts what this authority issued, whatever the name."""
        context = ssl.create_default_context()
        context.check_hostname = False
        self._ca.configure_trust(context)
        return context
