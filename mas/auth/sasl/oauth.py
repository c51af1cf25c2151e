"""OAUTHBEARER and the older XOAUTH2: a token of an identity provider instead of a password.  [RFC7628]

A token that is not good is answered by a JSON object as a challenge, so that the client can fetch another one; it must answer that, with
a ^A (OAUTHBEARER) or nothing (XOAUTH2), and only then the exchange fails [RFC7628 3.2.3]. XOAUTH2 is Google's and has no RFC:

    "user=" user ^A "auth=Bearer " token ^A ^A
"""

from __future__ import annotations

import json
import re
from typing import Final

from mas.auth.sasl.steps import Bearer, Context, Proof, SaslError, Steps, gs2_name, name_of

_TOKEN: Final = re.compile(rb"Bearer +(?P<token>[A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
"""[RFC6750 2.1]"""


def oauthbearer(context: Context) -> Steps:
    """gs2-header kvsep *kvpair kvsep; kvpair = key "=" value kvsep; kvsep = ^A  [RFC7628 3.1]"""
    message = yield b""
    header, *pairs = message.split(b"\x01")
    match = re.fullmatch(rb"(?:n|y),(?:a=(?P<user>[^,\0]*))?,", header)
    if match is None or len(pairs) < 2 or pairs[-1] or pairs[-2]:
        raise SaslError("OAUTHBEARER: malformed message")
    fields: dict[bytes, bytes] = {}
    for pair in pairs[:-2]:
        key, equals, value = pair.partition(b"=")
        if not equals or not re.fullmatch(rb"[A-Za-z]+", key) or key in fields:
            raise SaslError("OAUTHBEARER: malformed key and value")
        fields[key] = value
    error = yield Bearer(_token(fields.get(b"auth", b"")), gs2_name(match["user"] or b""))
    if error is not None:
        yield json.dumps({"status": error, **context.oauth_hints}).encode()
        return Proof(False, reason=f"token: {error}")
    return Proof(True)


def xoauth2(context: Context) -> Steps:
    """As Google and Microsoft document it, with their form of the error."""
    match = re.fullmatch(rb"user=(?P<user>[^\x01\0]+)\x01auth=(?P<auth>[^\x01]*)\x01\x01", (yield b""))
    if match is None:
        raise SaslError("XOAUTH2: malformed message")
    error = yield Bearer(_token(match["auth"]), name_of(match["user"]))
    if error is not None:
        yield json.dumps({"status": "401", "schemes": "bearer", **context.oauth_hints}).encode()
        return Proof(False, reason=f"token: {error}")
    return Proof(True)


def _token(value: bytes) -> str:
    match = _TOKEN.fullmatch(value)
    if match is None:
        raise SaslError("no bearer token")
    return match["token"].decode("ascii")
