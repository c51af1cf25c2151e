"""TLS contexts of the listeners, from the ``[tls]`` section and its files.

Made once, by the supervisor, before it forks: so all workers share the ticket keys (a session of one is resumed by another), and no
worker ever needs to read a private key. Changed files are noticed by their stamps; then the supervisor makes new contexts and, only if
that succeeds, new workers.

Ticket keys live in a context, and OpenSSL never changes them. A resumed TLS 1.2 session has no key exchange of its own, so its secrecy is
that of the ticket key: the supervisor makes new contexts when these are older than ``tls.ticket_key_lifetime``  [RFC9325 3.4].

Must not know: sockets, sessions.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from mas.config import Tls
from mas.errors import ConfigError
from mas.protocols.bindings import ServerContext

Stamp = tuple[str, int, int, int]
"""Path, modification time in ns, size, inode: differs when a file was written or replaced. All zero when it is not there."""


def files(tls: Tls) -> list[Path]:
    """Every file that the contexts are made of."""
    named = [tls.cert, tls.key, *(path for sni in tls.sni for path in (sni.cert, sni.key))]
    named += [Path(name) for name in (tls.dh_params, tls.client_ca) if name]
    return [path for path in named if path is not None]


def stamps(tls: Tls) -> tuple[Stamp, ...]:
    """The state of every file; symbolic links (as ACME clients make them) are followed."""
    found: list[Stamp] = []
    for path in files(tls):
        try:
            stat = path.stat()
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except OSError:
            found.append((str(path), 0, 0, 0))
    return tuple(found)


Expiry = tuple[str, float]
"""Path of a certificate, and when it ends, in seconds of the epoch."""


def expiries(tls: Tls) -> tuple[Expiry, ...]:
    """When the server's own certificates end; those that cannot be read are left out, as make_context() says why."""
    from cryptography import x509

    found: dict[str, float] = {}
    for path in (tls.cert, *(sni.cert for sni in tls.sni)):
        if path is not None:
            with contextlib.suppress(OSError, ValueError):
                found[str(path)] = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
    return tuple(found.items())


def make_context(tls: Tls) -> ssl.SSLContext | None:
    """The context of every TLS listener; None without a certificate. Raises ConfigError with one line a problem."""
    if tls.cert is None or tls.key is None:
        return None
    problems: list[str] = []
    default = _context(tls, tls.cert, tls.key, "tls", problems)
    by_name: dict[str, ssl.SSLContext] = {}
    for index, sni in enumerate(tls.sni, 1):
        context = _context(tls, sni.cert, sni.key, f"tls.sni[{index}]", problems)
        by_name.update((name.lower().rstrip("."), context) for name in sni.names)
    if problems:
        raise ConfigError(problems)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        wanted = (name or "").lower().rstrip(".")
        chosen = by_name.get(wanted) or by_name.get("*." + wanted.partition(".")[2])
        if chosen is not None:
            connection.context = chosen

    if by_name:
        default.sni_callback = choose
    return default


def _context(tls: Tls, cert: Path, key: Path, place: str, problems: list[str]) -> ssl.SSLContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.min_version == "TLSv1.3" else ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if tls.prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.ciphers:
        try:
            context.set_ciphers(tls.ciphers)
        except ssl.SSLError:
            problems.append(f'tls.ciphers: OpenSSL knows no cipher of "{tls.ciphers}"')
    if tls.dh_params:
        try:
            context.load_dh_params(tls.dh_params)
        except (ssl.SSLError, OSError) as error:
            problems.append(f"tls.dh_params: {tls.dh_params}: {_why(error)}")
    try:
        # Without a password function OpenSSL would ask on the terminal for the one of an encrypted key.
        context.load_cert_chain(cert, key, password=_no_password)
        context.end_point = _end_point(cert)
    except (ssl.SSLError, OSError, ValueError) as error:
        problems.append(f"{place}: cert {cert}, key {key}: {_why(error)}")
    if tls.client_ca:
        # A certificate is asked for, and refused when this authority did not sign it; a client without one is as welcome.
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(tls.client_ca)
        except (ssl.SSLError, OSError) as error:
            problems.append(f"tls.client_ca: {tls.client_ca}: {_why(error)}")
    return context


def _end_point(cert: Path) -> bytes | None:
    """``tls-server-end-point``: the certificate under the hash of its own signature, SHA-256 in place of MD5 and SHA-1; None for
    signatures without one, as Ed25519, for which it is not defined [RFC5929 4.1]. Raises OSError, ValueError."""
    certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    try:
        found = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if found is None:
        return None
    return certificate.fingerprint(hashes.SHA256() if isinstance(found, hashes.MD5 | hashes.SHA1) else found)


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one that needs no password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM format").lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
