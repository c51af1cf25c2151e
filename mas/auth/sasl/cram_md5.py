"""CRAM-MD5.  [RFC2195]

Only for clients that know nothing newer: the server must keep the password, or what is as good, and a captured exchange can be guessed
against at the speed of MD5. SCRAM has neither fault.
"""

from __future__ import annotations

import hmac

from mas.auth.digests import cram_md5_digest
from mas.auth.sasl.steps import Context, CramSecret, Proof, SaslError, Steps, name_of


def cram_md5(context: Context) -> Steps:
    """challenge = "<" unique "@" hostname ">"; response = user SP 32HEXDIG  [RFC2195 2]. The digest follows the last space."""
    challenge = b"<%s@%s>" % (context.random(16).hex().encode(), context.hostname.encode("ascii", "replace"))
    response = yield challenge
    user, space, digest = response.rpartition(b" ")
    if not space or not user:
        raise SaslError("CRAM-MD5: not user SP digest")
    if len(digest) != 32:
        raise SaslError("CRAM-MD5: the digest has not 32 digits")
    states = yield CramSecret(name_of(user))
    expected = cram_md5_digest(states or bytes(32), challenge).hex().encode()
    return Proof(hmac.compare_digest(expected, digest.lower()) and states is not None)
