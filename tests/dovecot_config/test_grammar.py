"""Lines of Dovecot's configuration, in the corners that 2.3 has."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.dovecot_config.grammar import (
    MAX_FILE,
    MAX_LINE,
    Close,
    DovecotConfigError,
    Include,
    Open,
    Place,
    Setting,
    parse,
)


def settings(text: str) -> list[tuple[str, str]]:
    return [(each.key, each.value) for each in parse(text, "f") if isinstance(each, Setting)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = b", [("a", "b")]),
        ("a=b", [("a", "b")]),
        ("  a   =   b c  \r\n", [("a", "b c")]),
        ("a =", [("a", "")]),
        ("# a = b\n\n;a", None),
        ("a = b # comment", [("a", "b")]),
        ("a = b#comment", [("a", "b")]),
        ('a = "b # c"', [("a", "b # c")]),
        ("a = 'b # c' # d", [("a", "b # c")]),
        (r'a = "b \" c\\"', [("a", 'b " c\\')]),
        # Quotes that do not enclose the whole value stay, as in a query.
        ("a = SELECT 'x' FROM y WHERE z = 'w'", [("a", "SELECT 'x' FROM y WHERE z = 'w'")]),
        ("a = b \\\n    c \\\n  d\ne = f", [("a", "b c d"), ("e", "f")]),
        ("a = b \\\n# between\n\n  c", [("a", "b c")]),
        ("a = b \\", [("a", "b")]),
        ("ssl_key = # hidden, use -P to show it", [("ssl_key", "")]),
    ],
)
def test_settings(text: str, expected: list[tuple[str, str]] | None) -> None:
    if expected is None:
        with pytest.raises(DovecotConfigError):
            settings(text)
    else:
        assert settings(text) == expected


def test_kinds() -> None:
    text = 'x {\n  mailbox "Sent Messages" {\n  }\n}\n!include conf.d/*.conf\n!include_try "a b"\nk = <  /p\n'
    assert list(parse(text, "f")) == [
        Open("x", (), Place("f", 1)),
        Open("mailbox", ("Sent Messages",), Place("f", 2)),
        Close(Place("f", 3)),
        Close(Place("f", 4)),
        Include("conf.d/*.conf", Place("f", 5), False),
        Include("a b", Place("f", 6), True),
        Setting("k", "/p", Place("f", 7), from_file=True),
    ]


def test_a_continued_setting_is_where_it_began() -> None:
    (setting,) = parse("\n\na = b \\\n c", "f")
    assert setting.place == Place("f", 3)


def test_hidden_values_are_known_as_such() -> None:
    (setting,) = parse("ssl_key = # hidden, use -P to show it", "f")
    assert isinstance(setting, Setting)
    assert setting.hidden


@pytest.mark.parametrize("text", ["word", "{", "} x", "a b", '!include ""', "!include", 'a "b {', "a = b\0"])
def test_mistakes_name_their_line(text: str) -> None:
    with pytest.raises(DovecotConfigError, match=r"^f:2: "):
        list(parse("\n" + text, "f"))


def test_limits() -> None:
    with pytest.raises(DovecotConfigError, match=f"larger than {MAX_FILE}"):
        list(parse("a" * (MAX_FILE + 1), "f"))
    with pytest.raises(DovecotConfigError, match=f"longer than {MAX_LINE}"):
        list(parse("a = " + "b" * MAX_LINE, "f"))
    with pytest.raises(DovecotConfigError, match=f"longer than {MAX_LINE}"):
        list(parse("a = " + ("b" * 1000 + "\\\n") * 100, "f"))


@given(st.text(alphabet=st.sampled_from("ab =#\"'\\\n{}<!$% \t\r\0"), max_size=80) | st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(DovecotConfigError):
        for statement in parse(text, "f"):
            assert statement.place.line >= 1
