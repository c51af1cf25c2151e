"""What is told at each stage."""

from __future__ import annotations

from mas.protocols.imap.capabilities import TABLE, Offered, Stage, capabilities

OFFERED = Offered(starttls=True, mechanisms=("PLAIN", "LOGIN"), append_limit=1000)


def names(stage: Stage, offered: Offered = OFFERED, setting: str = "") -> list[str]:
    return capabilities(stage, offered, setting).decode().split()


def test_before_tls_only_tls_is_possible() -> None:
    told = names(Stage.PLAIN)
    assert told[:2] == ["IMAP4rev1", "IMAP4rev2"]
    assert {"STARTTLS", "LOGINDISABLED"} <= set(told)
    assert not any(name.startswith("AUTH=") for name in told)


def test_before_login() -> None:
    told = names(Stage.TLS)
    assert {"AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR", "LITERAL+"} <= set(told)
    assert not {"STARTTLS", "LOGINDISABLED", "CONDSTORE"} & set(told)


def test_after_login() -> None:
    told = names(Stage.LOGGED_IN)
    assert {"CONDSTORE", "QRESYNC", "APPENDLIMIT=1000", "QUOTA", "LITERAL+"} <= set(told)
    assert not any(name.startswith(("AUTH=", "STARTTLS", "LOGINDISABLED")) for name in told)
    assert len(told) == len(set(told))


def test_conditions() -> None:
    bare = names(Stage.LOGGED_IN, Offered(quota=False))
    assert not any(name.startswith(("APPENDLIMIT", "QUOTA")) for name in bare)
    assert "STARTTLS" not in names(Stage.PLAIN, Offered())


def test_annotations_and_scripts() -> None:
    assert {"METADATA", "IMAPSIEVE=sieve://x"} <= set(
        names(Stage.LOGGED_IN, Offered(metadata=True, imapsieve="sieve://x"))
    )
    for offered, stage in ((Offered(), Stage.LOGGED_IN), (Offered(metadata=True, imapsieve="sieve://x"), Stage.TLS)):
        assert not any(name.startswith(("METADATA", "IMAPSIEVE")) for name in names(stage, offered))


def test_setting() -> None:
    assert "X" in names(Stage.TLS, setting="+X -idle")
    assert "IDLE" not in names(Stage.TLS, setting="+X -idle")
    assert names(Stage.LOGGED_IN, setting="IMAP4rev1 IDLE") == ["IMAP4rev1", "IDLE"]
    assert names(Stage.PLAIN, setting="IMAP4rev1") == ["IMAP4rev1", "STARTTLS", "LOGINDISABLED"]
    assert "LOGINDISABLED" in names(Stage.PLAIN, setting="-LOGINDISABLED")


def test_table() -> None:
    assert all(rfc.startswith("RFC") and stages for _, rfc, stages in TABLE)
