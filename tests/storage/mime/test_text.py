"""SEARCH BODY and TEXT: what is looked at, as Dovecot 2.3.19 looks."""

from __future__ import annotations

import base64

import pytest

from mas.storage.mime.casemap import casemap
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.parse import parse
from mas.storage.mime.text import search_texts

LIMITS = MimeLimits()
MESSAGE = (
    b"Subject: mainsubject\nX-Main: mainword\n folded\nContent-Type: multipart/mixed; boundary=b\n\npreambleword\n"
    b"--b\nX-Part: partword\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
    b"<b>tagw</b>ord h=E4us soft=\nbreak line\nend\n"
    b"--b\nContent-Type: application/octet-stream\n\noctetword\n"
    b"--b\nContent-Type: message/rfc822\n\nSubject: innersubject\n\ninnerbody\n"
    b"--b\nContent-Type: message/delivery-status\n\nReporting: statusword\n"
    b"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    + base64.b64encode("Größe".encode())
    + b"\n"
    b"--b\nContent-Transfer-Encoding: x-nope\n\nunknownword\n"
    b"--b\nContent-Type:\n\nemptytype\n"
    b"--b\nContent-Type: text/plain; charset=x-unknown\n\nunknown-charset h\xc3\xa4\n--b--\nepilogueword\n"
).replace(b"\n", b"\r\n")


def holds(text: str, *, headers: bool, limit: int = 100_000) -> bool:
    packed = parse(MESSAGE, LIMITS).parts
    return any(casemap(text) in found for found in search_texts(MESSAGE, packed, LIMITS, headers=headers, limit=limit))


@pytest.mark.parametrize(
    "text",
    [
        "<b>tagw",
        "häus",
        "HÄUS",
        "softbreak line",
        "line\r\nend",
        "innerbody",
        "statusword",
        "größe",
        "unknown-charset hä",
    ],
)
def test_in_both(text: str) -> None:
    assert holds(text, headers=False)
    assert holds(text, headers=True)


@pytest.mark.parametrize(
    "text", ["mainsubject", "mainword folded", "X-Main: mainword", "partword", "text/html", "innersubject"]
)
def test_in_text_only(text: str) -> None:
    assert not holds(text, headers=False)
    assert holds(text, headers=True)


@pytest.mark.parametrize(
    "text", ["preambleword", "tagword", "octetword", "unknownword", "emptytype", "epilogueword", "line end", "haus"]
)
def test_in_neither(text: str) -> None:
    assert not holds(text, headers=False)
    assert not holds(text, headers=True)


def test_limit() -> None:
    assert holds("<b>tagw", headers=False, limit=10)
    assert not holds("break", headers=False, limit=10)
