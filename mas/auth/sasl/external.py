"""EXTERNAL: the client is known already, by the certificate that it showed in the TLS handshake.  [RFC4422 A]"""

from __future__ import annotations

from mas.auth.sasl.steps import Certificate, Context, Steps, name_of


def external(context: Context) -> Steps:
    """The response is the user to act as, or empty: the certificate's own."""
    response = yield b""
    return Certificate(name_of(response))
