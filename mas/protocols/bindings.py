"""What a TLS connection says of itself to SASL: channel bindings, and the name in the client's certificate.  [RFC5929] [RFC9266]

``tls-server-end-point`` is a hash of this server's certificate, noted by the context. ``tls-unique`` is Python's own, for TLS 1.2 alone:
in 1.3 it is not defined (OpenSSL negotiates the extended master secret that makes it safe with every client that can, and there is no
renegotiation). ``tls-exporter``, which every client of TLS 1.3 takes by default, is a call of OpenSSL that Python's ``ssl`` does
not pass on before a version still to come, so it is made here, by way of ctypes, on the connection inside Python's object. Where that
connection lies in the object is looked up, not assumed: beside it is the pointer to the SSLContext, whose address is known. Whatever does
not fit (another Python, a libssl whose functions cannot be found) means that there is no ``tls-exporter``, and no -PLUS mechanism is
offered; nothing is called on a guess. The tests compare the two ends of a connection.

Must not know: sockets, SASL.
"""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

_LABEL: Final = b"EXPORTER-Channel-Binding"
_SIZE: Final = 32
_WORD: Final = ctypes.sizeof(ctypes.c_void_p)

Exporter = Callable[..., int]


class ServerContext(ssl.SSLContext):
    """A context that knows its certificate. ``end_point``: its ``tls-server-end-point``; None when its signature has no hash of its own."""

    end_point: bytes | None = None


def binding(connection: ssl.SSLObject, kind: str) -> bytes | None:
    """Channel binding data of a type; None when this connection has none."""
    if kind == "tls-server-end-point":
        return getattr(connection.context, "end_point", None)
    if kind == "tls-unique":
        return connection.get_channel_binding("tls-unique") if connection.version() == "TLSv1.2" else None
    if kind == "tls-exporter" and connection.version() == "TLSv1.3":
        return _exported(connection)
    return None


def certificate_name(connection: ssl.SSLObject, field: str) -> str | None:
    """A field of the subject of the peer's certificate, which the context has verified. Two of one kind name nobody."""
    certificate: Any = connection.getpeercert() or {}
    found: list[str] = [value for rdn in certificate.get("subject", ()) for name, value in rdn if name == field]
    return found[0] if len(found) == 1 else None


def _exported(connection: ssl.SSLObject) -> bytes | None:
    """``tls-exporter`` [RFC9266 2]: label EXPORTER-Channel-Binding, no context, 32 octets."""
    export = _exporter()
    inner = getattr(connection, "_sslobj", None)
    if export is None or inner is None:
        return None
    pointer = _inner_connection(inner, connection.context)
    out = ctypes.create_string_buffer(_SIZE)
    # An empty context, which is not the same as none before TLS 1.3, is the same in it.
    if not pointer or export(pointer, out, _SIZE, _LABEL, len(_LABEL), b"", 0, 1) != 1:
        return None
    return out.raw


@lru_cache(1)
def _exporter() -> Exporter | None:
    """OpenSSL's SSL_export_keying_material, of the very library that Python's ``ssl`` uses."""
    try:
        import _ssl

        library = ctypes.CDLL(
            getattr(_ssl, "__file__", None)
        )  # a handle to a module finds what the module is linked to
        export: Exporter = library.SSL_export_keying_material
    except (ImportError, OSError, AttributeError):
        return None
    export.argtypes = [  # type: ignore[attr-defined]
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
        ctypes.c_int,
    ]  # fmt: skip
    export.restype = ctypes.c_int  # type: ignore[attr-defined]
    return export


def _inner_connection(inner: object, context: ssl.SSLContext) -> int | None:
    """OpenSSL's connection inside Python's object: the word before the reference to the context.

    CPython's struct is: head, weak reference to the socket, SSL *, reference to the SSLContext, flags. Only memory of the object itself is
    read; a layout without exactly that reference in exactly that place is none that is known.
    """
    head = object.__basicsize__
    if type(inner).__basicsize__ < head + 3 * _WORD:
        return None
    words = (ctypes.c_void_p * 3).from_address(id(inner) + head)
    return words[1] if words[2] == id(context) else None
