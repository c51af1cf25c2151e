"""Messages that servers disagree about, answered as Dovecot 2.3.19 answers them: ``dovecot.json`` is its answers, recorded.

Where MAS answers differently it does so on purpose, and ``DIFFERENT`` says why. An entry there that is no difference fails too.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mas.errors import UnknownEncoding
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.parse import ParsedMessage, parse
from mas.storage.mime.section import Section, SectionText, section_octets
from tests.storage.mime.nasty import SECTIONS, messages
from tests.storage.mime.wire_check import collapsed, read

ANSWERS: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "dovecot.json").read_text())
MESSAGES = messages()
BINARY = ("1", "2", "1.1")

GLOBAL = "message/global is a message as message/rfc822 is [RFC9051 7.5.2]; Dovecot 2.3 does not look into it"
LINE_END = "the line end before a boundary belongs to the boundary [RFC2046 5.1.1], also behind a closing boundary or an open header"
LONG = "boundaries are compared whole up to 200 octets; Dovecot cuts them at 80 and then misses the closing one"
BLANK = "HEADER.FIELDS always ends with the blank line; Dovecot leaves it out in some places"
DIFFERENT: dict[tuple[str, str], str] = {
    ("nul", "ENVELOPE"): "NUL is replaced before the address is read; Dovecot stops reading there",
    ("addr-spaces", "ENVELOPE"): "obsolete white space around dots [RFC5322 4.4 obs-local-part] is understood",
    (
        "ct-rfc2231-escape",
        "BODYSTRUCTURE",
    ): "what is joined to an extended value is encoded as that [RFC2231 7]: space and 8-bit too",
    ("ct-rfc2231-escape", "BODY"): "as BODYSTRUCTURE",
    ("ct-value-missing-at-end", "BODYSTRUCTURE"): "a charset without a value says none",
    ("ct-value-missing-at-end", "BODY"): "as BODYSTRUCTURE",
    ("ct-three-broken-params", "BODYSTRUCTURE"): "a parameter without a name is none",
    ("ct-three-broken-params", "BODY"): "as BODYSTRUCTURE",
    ("cte-empty", "BINARY[1]"): "an empty encoding is 7bit, as BODYSTRUCTURE says",
    (
        "mime-fields-duplicate",
        "BINARY[1]",
    ): "the first Content-Transfer-Encoding counts for BODYSTRUCTURE and for BINARY",
    ("bin-uu", "BINARY[1]"): "uuencode is decoded",
    ("rfc822-base64", "BINARY[1]"): "an encoded message is decoded",
    ("message-global", "BODYSTRUCTURE"): GLOBAL,
    ("message-global", "BODY"): GLOBAL,
    ("message-global", "BODY[1.HEADER]"): GLOBAL,
    ("message-global", "BODY[1.TEXT]"): GLOBAL,
    ("message-global", "BODY[1.HEADER.FIELDS (SUBJECT)]"): GLOBAL,
    ("message-global", "BODY[1.1]"): GLOBAL,
    ("message-global", "BODY[1.1.MIME]"): GLOBAL,
    ("message-global", "BINARY[1.1]"): GLOBAL,
    ("mp-boundary-long", "BODYSTRUCTURE"): LONG,
    ("mp-boundary-long", "BODY"): LONG,
    **{
        ("mp-boundary-long-prefix", item): LONG
        for item in (
            *("BODY", "BODYSTRUCTURE", "BODY[1]", "BODY[1.MIME]", "BODY[1.1]", "BODY[1.1.MIME]", "BODY[1]<2>"),
            *("BINARY[1]", "BINARY[1.1]"),
        )
    },
    **{
        (name, item): LINE_END
        for name in (
            "mp-nested-same-boundary",
            "mp-nested-prefix-boundary",
            "mp-nested-prefix-boundary-2",
            "mp-nested-tight",
        )
        for item in ("BODY[1]", "BINARY[1]")
    },
    **{
        ("rfc822-mp-inside-tight", item): LINE_END
        for item in ("BODY", "BODYSTRUCTURE", "BODY[1]", "BODY[1.TEXT]", "BINARY[1]")
    },
    **{("rfc822-in-mp-no-blank", item): LINE_END for item in ("BODY", "BODYSTRUCTURE", "BODY[1]", "BINARY[1]")},
    (
        "rfc822-in-mp-empty",
        "BODY[2.HEADER.FIELDS.NOT (SUBJECT)]",
    ): "a header without a blank line gets none [RFC9051 6.4.5.1]",
    ("rfc822-empty", "BODY[1.HEADER.FIELDS (SUBJECT)]"): BLANK,
    ("rfc822-no-blank", "BODY[1.HEADER.FIELDS (SUBJECT)]"): BLANK,
    ("rfc822-base64", "BODY[1.HEADER.FIELDS (SUBJECT)]"): BLANK,
    ("fields-not-last", "BODY[HEADER.FIELDS (SUBJECT TO X-N)]"): BLANK,
}


def section(text: str) -> Section:
    """``2.1.HEADER.FIELDS (SUBJECT TO)`` as a Section."""
    word, _, names = text.partition(" ")
    numbers: list[int] = []
    words = word.split(".") if word else []
    while words and words[0].isdigit():
        numbers.append(int(words.pop(0)))
    return Section(tuple(numbers), SectionText(".".join(words)), tuple(names[1:-1].lower().encode().split()))


def answer(data: bytes, parsed: ParsedMessage, item: str) -> bytes | None:
    if item.startswith("BINARY["):
        try:
            return section_octets(data, parsed.parts, Section(section(item[7:-1]).part, decode=True))
        except UnknownEncoding:
            return b"!"
    if item == "BODY[1]<2>":
        return section_octets(data, parsed.parts, section("1"))[2:7]
    return section_octets(data, parsed.parts, section(item[5:-1]))


@pytest.mark.parametrize("name", MESSAGES)
def test_as_dovecot(name: str) -> None:
    data = MESSAGES[name]
    parsed = parse(data, MimeLimits())
    recorded = {item: text.encode("latin-1") for item, text in ANSWERS[name].items()}
    differences: list[str] = []
    lists = {"ENVELOPE": parsed.envelope, "BODY": parsed.body, "BODYSTRUCTURE": parsed.bodystructure}
    for item, wire in lists.items():
        if collapsed(read(wire)) != collapsed(read(recorded[item])):
            differences.append(item)
    assert parsed.size == int(recorded["RFC822.SIZE"])
    assert section_octets(data, parsed.parts, Section()) == data.replace(b"\r\n", b"\n").replace(
        b"\n", b"\r\n"
    ).replace(b"\0", b"\x80")
    items = [f"BODY[{text}]" for text in SECTIONS if text] + [f"BINARY[{part}]" for part in BINARY] + ["BODY[1]<2>"]
    differences += [item for item in items if answer(data, parsed, item) != recorded.get(item, b"")]
    assert sorted(differences) == sorted(item for named, item in DIFFERENT if named == name)


def test_every_answer_has_its_message() -> None:
    assert set(ANSWERS) == set(MESSAGES)
    assert {name for name, _ in DIFFERENT} <= set(MESSAGES)


@pytest.mark.parametrize("name", sorted(name for name in MESSAGES if name.endswith("@lf")))
def test_line_ends_of_the_file_do_not_show(name: str) -> None:
    lf, crlf = parse(MESSAGES[name], MimeLimits()), parse(MESSAGES[name.removesuffix("@lf")], MimeLimits())
    assert (lf.size, lf.envelope, lf.body, lf.bodystructure, lf.kept_header, lf.header_size, lf.header_text) == (
        crlf.size,
        crlf.envelope,
        crlf.body,
        crlf.bodystructure,
        crlf.kept_header,
        crlf.header_size,
        crlf.header_text,
    )
