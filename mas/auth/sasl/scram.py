"""SCRAM-SHA-1 and SCRAM-SHA-256, each with and without channel binding.  [RFC5802] [RFC7677]

    client-first = gs2-header bare                gs2-header = cbind "," [ "a=" saslname ] ","     cbind = ("p=" type) / "n" / "y"
    bare         = "n=" saslname ",r=" nonce ["," extensions]
    server-first = "r=" nonce ",s=" salt ",i=" iterations
    client-final = "c=" base64(gs2-header binding) ",r=" nonce ["," extensions] ",p=" proof
    server-final = "v=" signature

The password never crosses the wire, what is stored cannot log in by itself, and the client learns that the server knows the secret. With
channel binding both also know that they are at the two ends of one TLS connection. Names and passwords are taken as they are: Dovecot's
stored secrets were made so (no SASLprep).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from mas.auth.sasl.steps import Context, Proof, SaslError, ScramSalt, ScramSecret, Steps, gs2_name
from mas.auth.scram import ALGORITHMS

_FIRST: Final = re.compile(
    rb"(?P<gs2>(?P<flag>n|y|p=(?P<type>[A-Za-z0-9.-]+)),(?:a=(?P<authzid>[^,\0]*))?,)"
    rb"(?P<bare>n=(?P<user>[^,\0]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*)"
)
_FINAL: Final = re.compile(
    rb"(?P<unproven>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*),p=(?P<proof>[A-Za-z0-9+/=]+)"
)


def scram(scheme: str, *, plus: bool = False) -> Callable[[Context], Steps]:
    """The mechanism of one hash. ``scheme``: ``SCRAM-SHA-256``; ``plus``: with channel binding."""
    algorithm = ALGORITHMS[scheme]

    def steps(context: Context) -> Steps:
        first = _FIRST.fullmatch((yield b""))
        if first is None:
            # Among others a mandatory extension "m=", which must fail [RFC5802 5.1].
            raise SaslError("SCRAM: malformed client-first-message")
        binding = _binding(first, context, plus=plus)
        nonce = first["nonce"] + base64.b64encode(context.random(18))
        authzid = gs2_name(first["authzid"] or b"")
        salt, iterations = yield ScramSalt(gs2_name(first["user"]), authzid, scheme)
        server_first = b"r=%s,s=%s,i=%d" % (nonce, base64.b64encode(salt), iterations)
        final = _FINAL.fullmatch((yield server_first))
        if final is None:
            raise SaslError("SCRAM: malformed client-final-message")
        proof = _decoded(final["proof"])
        if final["nonce"] != nonce:
            raise SaslError("SCRAM: another nonce than the server's")
        keys = yield ScramSecret()
        if _decoded(final["binding"]) != first["gs2"] + binding:
            # Another certificate or another connection than the client sees: somebody sits in between.
            return Proof(False, reason="the channel binding is of another connection")
        if keys is None:
            return Proof(False, reason="no secret for this mechanism")
        message = b"%s,%s,%s" % (first["bare"], server_first, final["unproven"])
        mask = hmac.digest(keys.stored_key, message, algorithm)
        if len(proof) != len(mask):
            raise SaslError("SCRAM: a proof of a wrong length")
        client_key = bytes(a ^ b for a, b in zip(proof, mask, strict=True))
        right = hmac.compare_digest(hashlib.new(algorithm, client_key).digest(), keys.stored_key)
        signature = hmac.digest(keys.server_key, message, algorithm)
        return Proof(right, b"v=" + base64.b64encode(signature) if right else b"")

    return steps


def _binding(first: re.Match[bytes], context: Context, *, plus: bool) -> bytes:
    """What the client must bind to. Raises SaslError."""
    kind = first["type"]
    if plus:
        if kind is None:
            raise SaslError("SCRAM: a -PLUS mechanism without channel binding")
        data = context.binding(kind.decode())
        if data is None:
            raise SaslError(f"SCRAM: channel binding {kind.decode()[:40]} is not to be had here")
        return data
    if kind is not None:
        raise SaslError("SCRAM: channel binding in a mechanism without it")
    if first["flag"] == b"y" and context.plus:
        # The client can bind and believes that the server cannot: somebody has changed the list [RFC5802 6].
        raise SaslError("SCRAM: the client did not see the -PLUS mechanisms that are offered")
    return b""


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslError("SCRAM: not base64") from None
