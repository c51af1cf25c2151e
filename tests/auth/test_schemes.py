"""Password schemes: vectors (made by doveadm pw and by crypt(3)), the rules around them, and round trips."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mas.auth import crypt as crypt_module
from mas.auth import schemes
from mas.auth.digests import cram_md5_states, md4
from mas.auth.schemes import CHEAP, SCHEMES, SchemeError, Stored, generate, split, verify_stored

USER = "kim@example.net"
PASSWORD = "päss word".encode()

VECTORS = [
    "{SHA}zH9xIdvvCk1Psi4ui9OBlBDDcdA=",
    "{SHA1}zH9xIdvvCk1Psi4ui9OBlBDDcdA=",
    "{SHA.HEX}cc7f7121dbef0a4d4fb22e2e8bd3819410c371d0",
    "{sha}cc7f7121dbef0a4d4fb22e2e8bd3819410c371d0",
    "{SHA256}gAU8DHyO1q65yUjO5yUUnn6jXpCJQPDYBpB20nMiH/k=",
    "{SHA512}GrhlAFeRLpophYwSAbnvPuedZl33nkCa4IwEu3dYl3vjmuWcs4twIVKPdswchsGqVCmsfBLQ5YfwisgfgaloAQ==",
    "{SSHA}8al08UR368YV9mLY2qhi6TjDAnZuiRMK",
    "{SSHA256}mlmqCcn+W5i6eWjNEl8KAeaxS7L/hYQrOFHPzwDJN/QUfO5b",
    "{SSHA512}9AN7hSz/ZrGJcrY66m7t/GeSq1kc/csI1vs5TQ//BN1t/34zBX9xJMFKEDNKXreHLrL4bWvqctuBGRSE9IDJIJv1ui0=",
    "{SMD5}5CITM6gN1WhVBuwQFzThDMTBzgE=",
    "{LDAP-MD5}rV7neNFEF8leOW1wh1OMqg==",
    "{PLAIN-MD5}ad5ee778d14417c95e396d7087538caa",
    "{PLAIN-MD5.b64}rV7neNFEF8leOW1wh1OMqg==",
    "{MD5}ad5ee778d14417c95e396d7087538caa",
    "{MD5}$1$VizBNX6r$zIDnT02hyoq7Da..BXTgm/",
    "$1$iMqbNDZd$quaPMU/WutuF4OI1/XE2P0",
    "$1$iMqbNDZd$quaPMU/WutuF4OI1/XE2P0$ignored",
    "{MD5-CRYPT}$1$iMqbNDZd$quaPMU/WutuF4OI1/XE2P0",
    "{PLAIN-MD4}f54f152934e9beec6f1134faf3ce7b27",
    "{CRAM-MD5}8b4ef9d9588dc32be8c3b8958ee84fabe314e51494c4f6a5f139d3cb9b2a947f",
    "{HMAC-MD5}8b4ef9d9588dc32be8c3b8958ee84fabe314e51494c4f6a5f139d3cb9b2a947f",
    "{DIGEST-MD5}b3dfafc4798f1c328f1d0ce1449606a2",
    "{DES-CRYPT}Q25CO0WYE8aZA",
    "{CRYPT}Q25CO0WYE8aZA",
    "{SHA256-CRYPT}$5$zUeZYcFLyqmDuggT$8r.RKn/dZWTDP/MJ8Q5kQPyeYtOg5tBWedIHW4V8Ju8",
    "{SHA512-CRYPT}$6$6HUQ/Dl14EA6yAqb$9CQO7lqBa8HL.Q6Cw/FemKRxKP3656AIdMVwSfKdSvaKppUqK..5dPm4wKviklXGOUzF1VBurDKi2zITYq9Oa1",
    "{BLF-CRYPT}$2y$05$G8RBOfPoa00fi2CCx9ig4e4zxDPrzuMimlVbqCzOKd3YS1OsV3o3y",
    "{BLOWFISH}$2y$05$G8RBOfPoa00fi2CCx9ig4e4zxDPrzuMimlVbqCzOKd3YS1OsV3o3y",
    "{CRYPT}$2y$05$X7/dBE0WskyjwmHNyMvM/OXvE67OAFPoK115AILnIY6l1alWGkBSW",
    "{CRYPT.B64}JDJ5JDA1JExnM1lTb29ucS9kQ3pRNEVFNXVMSXVIb3RYM1B3Z1NIRjM2dkptaE1uQXNiZWJOSERlLldh",
    "{SHA512-CRYPT}$2y$05$G8RBOfPoa00fi2CCx9ig4e4zxDPrzuMimlVbqCzOKd3YS1OsV3o3y",
    "{PBKDF2}$1$SrzhWmu15Cmb.OS/$5000$9f25387e65892ddaaed5dbda0c54c1c15ca2415d",
    "{SCRAM-SHA-1}4096,7OMAORgal4b6LdAr/WKxUQ==,j+va7GkgqTlo9fhTUvl3ibbkpds=,2MCZHkTptZr/QXE1x54MKwy1po0=",
    "{SCRAM-SHA-256}4096,Y537xjvH2w/uHs9YTbVJIg==,X5qxfwQOk3LGKQe4sKJH40QnEFaSXkL/87/YhwgVWOo=,2W/mxUaqzNOLsL65M0lOi51c7jeAZ92VZxFdV0sqZo4=",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$agUHUoeTNdUJpeJ+k+8ioQ$9xE9jp9GggzC9GQohRH0v9heGLVliEfv5eVnDFOonfE",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$useXPlyojdCJ8Px3XVCj2Q$oV7u/WdkMZ1+cvTU+E1cT8X91wKGxIKkt1MgQJg2eDQ",
    "{PLAIN}päss word",
    "{CLEAR}päss word",
    "{CLEARTEXT.HEX}70c3a4737320776f7264",
    "{PLAIN-TRUNC}10-päss word",
    "{PLAIN-TRUNC}5-päss",
    "{PLAIN-TRUNC}99-päss word",
]


@pytest.mark.parametrize("stored", VECTORS, ids=range(len(VECTORS)))
def test_vector(stored: str) -> None:
    found = split(stored, "NO-DEFAULT")
    assert verify_stored(PASSWORD, found, USER)
    for wrong in (b"P\xc3\xa4ss word", b"p", b"x" * 300, b"", PASSWORD + b"\0"):
        assert not verify_stored(wrong, found, USER)


def test_every_scheme_has_a_vector() -> None:
    assert {split(stored, "").scheme for stored in VECTORS} == set(SCHEMES)


def test_trunc_takes_longer_passwords_only_when_truncated() -> None:
    assert verify_stored(PASSWORD + b"more", split("{PLAIN-TRUNC}5-päss", ""), USER)
    assert not verify_stored(PASSWORD + b"more", split("{PLAIN-TRUNC}99-päss word", ""), USER)
    assert not verify_stored(PASSWORD, split("{PLAIN-TRUNC}0-", ""), USER)


def test_yescrypt() -> None:
    if crypt_module.SYSTEM is None or (made := crypt_module.crypt(PASSWORD, b"$y$j9T$saltsaltsalt$")) is None:
        pytest.skip("this host's crypt(3) has no yescrypt")
    assert verify_stored(PASSWORD, split(made.decode(), "CRYPT"), USER)
    assert not verify_stored(b"other", split(made.decode(), "CRYPT"), USER)


def test_a_bcrypt_password_is_cut_to_72_octets() -> None:
    import bcrypt

    long = b"a" * 72 + b"tail"
    stored = Stored("BLF-CRYPT", "", bcrypt.hashpw(long[:72], bcrypt.gensalt(4)).decode())
    assert verify_stored(long, stored, USER)
    assert not verify_stored(b"a" * 71 + b"b", stored, USER)
    with pytest.raises(SchemeError, match="72"):
        generate(long, "BLF-CRYPT")


@pytest.mark.parametrize(
    "stored",
    [
        "{NOSUCH}x",
        "{}x",
        "{SHA}xxx",
        "{SHA}zH9xIdvvCk1Psi4ui9OBlBDDcd==",
        "{SHA.HEX}zz",
        "{SHA.ROT13}xx",
        "{SSHA.HEX}00",
        "{PLAIN-MD5}zz5ee778d14417c95e396d7087538caa",
        "{PLAIN-TRUNC}pass",
        "{CRYPT}$y$j9T$bad",
        "{CRYPT}$nosuch$x",
        "{CRYPT.HEX}24002400",
        "{BLF-CRYPT}$2y$05$short",
        "{ARGON2ID}$argon2id$bad",
        "{ARGON2I}plain",
        "{PBKDF2}$1$salt$x$00",
        "{PBKDF2}$1$salt$9999999999$9f25387e65892ddaaed5dbda0c54c1c15ca2415d",
        "{PBKDF2}$1$salt$5000$9f25",
        "{SCRAM-SHA-1}4096,YQ==,YQ==,YQ==",
        "{SCRAM-SHA-256}4096,a",
        "{SCRAM-SHA-256}0,Y537xjvH2w/uHs9YTbVJIg==,X5qxfwQOk3LGKQe4sKJH40QnEFaSXkL/87/YhwgVWOo=,2W/mxUaqzNOLsL65M0lOi51c7jeAZ92VZxFdV0sqZo4=",
        "{CRAM-MD5}00",
    ],
)
def test_what_cannot_be_judged_is_an_error_that_keeps_the_secret(stored: str) -> None:
    with pytest.raises(SchemeError) as caught:
        verify_stored(PASSWORD, split(stored, "PLAIN"), USER)
    value = stored.partition("}")[2]
    assert len(value) < 5 or value not in str(caught.value)


@pytest.mark.parametrize("value", ["", "!", "*", "*0", "*LK*", "!!", "!$6$6HUQ/Dl14EA6yAqb$9CQO", "x"])
def test_locked_crypt_accounts_match_nothing(value: str) -> None:
    for password in (b"", b"x", b"!", b"*0", b"*1", value.encode()):
        assert not verify_stored(password, Stored("SHA512-CRYPT", "", value), USER)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_an_empty_password_matches_only_an_empty_cleartext_one(scheme: str) -> None:
    empty = scheme in {"PLAIN", "CLEAR", "CLEARTEXT"}
    with contextlib.suppress(SchemeError):
        assert verify_stored(b"", Stored(scheme, "", ""), USER) is empty
    assert not verify_stored(b"", Stored("SHA", "", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="), USER)  # SHA1 of nothing
    assert not verify_stored(b"", Stored("PLAIN", "", "x"), USER)


@pytest.mark.parametrize("scheme", sorted(name for name, found in SCHEMES.items() if found.generate))
def test_what_is_written_verifies(scheme: str) -> None:
    made = generate(PASSWORD, scheme, USER)
    found = split(made, "NO-DEFAULT")
    assert found.scheme == scheme
    assert verify_stored(PASSWORD, found, USER)
    assert not verify_stored(PASSWORD + b"x", found, USER)


def test_written_with_an_encoding() -> None:
    made = generate(PASSWORD, "ssha512.hex", USER)
    assert made.startswith("{SSHA512.HEX}")
    assert verify_stored(PASSWORD, split(made, ""), USER)


@pytest.mark.parametrize("scheme", ["MD5-CRYPT", "NOSUCH", "SHA", "SSHA512.ROT13"])
def test_weak_and_unknown_schemes_are_not_written(scheme: str) -> None:
    with pytest.raises(SchemeError):
        generate(PASSWORD, scheme)


@pytest.mark.parametrize("password", [b"", b"a\0b"])
def test_empty_and_nul_passwords_are_not_written(password: bytes) -> None:
    with pytest.raises(SchemeError):
        generate(password, "SSHA512")


def test_digest_md5_needs_the_user() -> None:
    with pytest.raises(SchemeError):
        generate(PASSWORD, "DIGEST-MD5")


def test_md4_vectors_of_rfc_1320() -> None:
    assert md4(b"").hex() == "31d6cfe0d16ae931b73c59d7e0c089c0"
    assert md4(b"abc").hex() == "a448017aaf21d8525fc10ae87aa6729d"
    assert md4(b"1234567890" * 8).hex() == "e33b4ddc9c38f2199c3e7b164fcc0536"


def test_cram_md5_states_of_a_long_password() -> None:
    found = Stored("CRAM-MD5", "", generate(b"x" * 200, "CRAM-MD5").partition("}")[2])
    assert verify_stored(b"x" * 200, found, USER)
    assert len(cram_md5_states(b"")) == 32


@pytest.mark.parametrize(
    "stored", [s for s in VECTORS if "CRYPT}$5" in s or "CRYPT}$6" in s or "MD5-CRYPT}" in s or "CRYPT}Q" in s]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_libpass_where_libcrypt_is_missing(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypt_module, "SYSTEM", None)
    found = split(stored, "")
    assert verify_stored(PASSWORD, found, USER)
    assert not verify_stored(b"wrong", found, USER)
    with pytest.raises(SchemeError):
        verify_stored(PASSWORD, Stored("CRYPT", "", "$y$j9T$saltsaltsalt$x"), USER)


def test_crypt_refuses_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        crypt_module.crypt(b"a\0b", b"$6$salt")


@given(st.text(max_size=60), st.binary(max_size=20))
@settings(max_examples=300)
def test_any_stored_text_is_judged_or_refused(text: str, password: bytes) -> None:
    with contextlib.suppress(SchemeError):
        verify_stored(password, split(text, "PLAIN"), USER)


@given(
    st.sampled_from(sorted(CHEAP | {"PBKDF2", "SCRAM-SHA-1", "MD5", "BLF-CRYPT", "ARGON2ID", "SHA512-CRYPT"})),
    st.text(max_size=40),
)
@settings(max_examples=300)
def test_any_value_in_any_scheme(scheme: str, value: str) -> None:
    with contextlib.suppress(SchemeError):
        matched = verify_stored(b"password", Stored(scheme, "", value), USER)
        assert not matched or (scheme in schemes.CLEAR and value == "password")


@given(st.text(alphabet="{}.$ABCabc10-", max_size=20))
def test_split_keeps_every_character(text: str) -> None:
    with contextlib.suppress(SchemeError):
        found = split(text, "PLAIN")
        assert text.endswith(found.value) or found.scheme == "MD5-CRYPT"


@given(st.binary(min_size=1, max_size=100).filter(lambda b: b"\0" not in b))
@settings(max_examples=50)
def test_plain_survives_any_octets(password: bytes) -> None:
    made = generate(password, "PLAIN")
    assert verify_stored(password, split(made, ""), USER)
    assert generate(password, "PLAIN.B64") == "{PLAIN.B64}" + base64.b64encode(password).decode()
