"""Every scheme both ways against Debian's Dovecot: what it writes MAS verifies, what MAS writes it verifies."""

from __future__ import annotations

import subprocess

import pytest

from mas.auth.schemes import SCHEMES, SchemeError, generate, split, verify_stored
from tests.support.servers import need

pytestmark = pytest.mark.e2e

USER = "kim@example.net"
PASSWORDS = ["s3cret", "päss wörd {x} $1$ ,'\"", "x" * 71, "y" * 200]
THEIRS = sorted(set(SCHEMES) - {"BLOWFISH"})


def doveadm(*arguments: str) -> tuple[int, str]:
    need("doveadm")
    done = subprocess.run(["doveadm", "pw", "-u", USER, *arguments], capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize(
    ("suffix", "password"),
    [*(("", password) for password in PASSWORDS), (".HEX", PASSWORDS[0]), (".b64", PASSWORDS[0])],
    ids=["short", "odd", "71", "200", "hex", "b64"],
)
@pytest.mark.parametrize("scheme", THEIRS)
def test_theirs(scheme: str, suffix: str, password: str) -> None:
    code, out = doveadm("-s", scheme + suffix, "-p", password)
    assert code == 0, out
    stored = out.rstrip("\n")
    if scheme == "PLAIN-TRUNC" and not suffix:
        # doveadm writes the scheme without the length that it needs for verifying.
        stored = f"{{PLAIN-TRUNC}}{len(password.encode())}-{password}"
    elif scheme == "PLAIN-TRUNC":
        with pytest.raises(SchemeError):
            verify_stored(password.encode(), split(stored, "NO-DEFAULT"), USER)
        return
    found = split(stored, "NO-DEFAULT")
    assert verify_stored(password.encode(), found, USER)
    assert not verify_stored(b"wrong", found, USER)


@pytest.mark.parametrize("password", PASSWORDS, ids=["short", "odd", "71", "200"])
@pytest.mark.parametrize("scheme", sorted(name for name in THEIRS if SCHEMES[name].generate))
def test_ours(scheme: str, password: str) -> None:
    try:
        stored = generate(password.encode(), scheme, USER)
    except SchemeError:
        assert len(password) > 72
        assert scheme in ("BLF-CRYPT", "CRYPT")
        return
    code, out = doveadm("-t", stored, "-p", password)
    assert code == 0, out
    assert "(verified)" in out
    assert doveadm("-t", stored, "-p", "wrong")[0] != 0


@pytest.mark.parametrize(
    "stored",
    ["{CRYPT}$y$j9T$zxuZ3LnQZrMXOaYKKuBKE1$Zp3o.yNkXPOcLqFc7N4FoOx6Yg1Ce4ak0cFo3tQKzH9", "{CRYPT}!", "{CRYPT}x", "{CRYPT}*0", "{SHA}xxx",
     "{NOSUCH}x", "{PLAIN}", "{SSHA.HEX}00", "{PLAIN-TRUNC}pass", "{SHA256-CRYPT}", "{MD5}zz"],
)  # fmt: skip
def test_neither_takes(stored: str) -> None:
    assert doveadm("-t", stored, "-p", "password")[0] != 0
    try:
        assert not verify_stored(b"password", split(stored, "NO-DEFAULT"), USER)
    except SchemeError:
        pass
