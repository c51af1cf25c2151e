"""%variables. The table holds what Dovecot 2.3.19 made of ``mail_location`` for the user Kim.Doe@Example.net."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.variables import Variable, expand, parse, values_of

KIM = values_of("Kim.Doe@Example.net", home="/home/kim", service="imap", remote_ip="192.0.2.1", local_ip="192.0.2.2")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("%u", "Kim.Doe@Example.net"),
        ("%n", "Kim.Doe"),
        ("%d", "Example.net"),
        ("%Lu", "kim.doe@example.net"),
        ("%Un", "KIM.DOE"),
        ("%2n", "Ki"),
        ("%2.1n", "m"),
        ("%-3.2n", "Do"),
        ("%-3n", "Kim"),
        ("%012n", "00000Kim.Doe"),
        ("%2.256Nu", "56"),
        ("%Nu", "437fb656"),
        ("%2.256Hu", "84"),
        ("%Hu", "e6c9984"),
        ("%4.1000LNn", "011a"),
        ("%Mu", "4a7b9dee437fb6566155d0fc0aa4ba23"),
        ("%RLn", "eod.mik"),
        ("%Xn", "0"),
        ("%Du", "Kim,dc=Doe@Example,dc=net"),
        ("%Tn", "Kim.Doe"),
        ("%En", "Kim.Doe"),
        ("%0.3n", "Kim"),
        ("%3.-2n", ".D"),
        ("%1.5n", "im.Do"),
        ("%LMn", "d5fbaa8ce578e6ea255cd3095acf80e1"),
        ("%-20.3n", "Kim"),
        ("%{user}", "Kim.Doe@Example.net"),
        ("%{username}", "Kim.Doe"),
        ("%2{domain}", "Ex"),
        ("%L{username}", "kim.doe"),
        ("%%n", "%n"),
        ("%08.256Nu", "00000056"),
        ("%08.4n", ""),
        ("%3.012n", "00000000.Doe"),
        ("%-3.-1n", "Do"),
        ("%2.1Rn", "D"),
    ],
)
def test_as_dovecot_expands_it(template: str, text: str) -> None:
    assert expand(template, KIM) == text


def test_the_other_variables_and_the_text_between() -> None:
    assert expand("%h/%s:%r-%{local_ip} 100%%", KIM) == "/home/kim/imap:192.0.2.1-192.0.2.2 100%"
    assert expand("%d", values_of("kim")) == ""
    assert expand("'%En'", values_of("o'kim\\")) == "'o\\'kim\\\\'"


def test_parse_gives_the_tokens() -> None:
    assert parse("a '%Ln' = %%'%2.1d'") == [
        "a '",
        Variable("username", "L"),
        "' = %'",
        Variable("domain", "", 2, 1),
        "'",
    ]
    assert parse("") == []


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("%q", '"%q" is no known variable; there are %u %n %d'),
        ("%{nonsense}", "is no known variable"),
        ("%Zu", '"Z" in "%Zu" is no known modifier'),
        ("100%", "a percent sign is written %%"),
        ("% u", "a percent sign is written %%"),
        ("%{user", "a percent sign is written %%"),
    ],
)
def test_what_is_no_template(template: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"variable|modifier") as raised:
        parse(template)
    assert problem in str(raised.value)


@given(st.text(alphabet="%-0123.LUNHXRTMEDund{}user '", max_size=30), st.text(max_size=10))
def test_any_template_expands_or_is_refused(template: str, user: str) -> None:
    try:
        parts = parse(template)
    except ValueError:
        return
    assert expand(template, values_of(user)) == "".join(
        part if isinstance(part, str) else part.of(values_of(user)) for part in parts
    )


@given(st.text(max_size=30))
def test_a_doubled_percent_is_itself(text: str) -> None:
    assert expand(text.replace("%", "%%"), {}) == text
