"""PLAIN.  [RFC4616]"""

from __future__ import annotations

from mas.auth.sasl.steps import Context, SaslError, Steps, password_claim


def plain(context: Context) -> Steps:
    """The whole of it is one response.  [RFC4616 2]

    message = [authzid] UTF8NUL authcid UTF8NUL passwd
    """
    message = yield b""
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslError("PLAIN: not authzid NUL authcid NUL passwd")
    authzid, authcid, password = parts
    return password_claim(authcid, password, authzid)
