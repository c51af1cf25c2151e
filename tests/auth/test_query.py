"""From SQL with %variables to bound parameters: tables, and no name ever becomes text of the query."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from mas.auth.query import compile_query
from mas.variables import values_of

VALUES = values_of("Kim.O'Neil@example.net", service="imap", remote_ip="192.0.2.1")

CASES = [
    ("SELECT 1", "SELECT 1", {}),
    ("WHERE u = '%u'", "WHERE u =  :v0 ", {"v0": "Kim.O'Neil@example.net"}),
    ("WHERE u = '%Lu'", "WHERE u =  :v0 ", {"v0": "kim.o'neil@example.net"}),
    ("n = '%n' AND d = '%d'", "n =  :v0  AND d =  :v1 ", {"v0": "Kim.O'Neil", "v1": "example.net"}),
    ("u = '%n@%d'", "u =  :v0 ", {"v0": "Kim.O'Neil@example.net"}),
    ("u LIKE '%%%n'", "u LIKE  :v0 ", {"v0": "%Kim.O'Neil"}),
    ("u LIKE 'a%%'", "u LIKE 'a%'", {}),
    ("u = 'it''s %s'", "u =  :v0 ", {"v0": "it's imap"}),
    ("u = 'it''s'", "u = 'it''s'", {}),
    ("s = %s", "s =  :v0 ", {"v0": "imap"}),
    ("x::text = ':a'", "x\\:\\:text = '\\:a'", {}),
    ("1 -- '%u don't\n AND 2", "1   AND 2", {}),
    ("1 /* '%u' ' */ AND '%r'", "1   AND  :v0 ", {"v0": "192.0.2.1"}),
    ('u = "%u"', "u =  :v0 ", {"v0": "Kim.O'Neil@example.net"}),
    ("`a'b` = '%s'", "`a'b` =  :v0 ", {"v0": "imap"}),
]


@pytest.mark.parametrize(("template", "text", "bound"), CASES)
def test_compile(template: str, text: str, bound: dict[str, str]) -> None:
    query = compile_query(template, backslash=False)
    assert query.text.removesuffix(" ") == text.removesuffix(" ")
    assert query.bind(VALUES) == bound


def test_unquoted_digits_are_a_number_and_nothing_else_is() -> None:
    query = compile_query("WHERE id = %n", backslash=False)
    assert query.bind(values_of("0042")) == {"v0": 42}
    assert query.bind(values_of("1 OR 1=1")) == {"v0": "1 OR 1=1"}
    assert compile_query("WHERE id = '%n'", backslash=False).bind(values_of("42")) == {"v0": "42"}


def test_backslashes_escape_in_mysql_only() -> None:
    assert compile_query(r"'it\'s %s' ", backslash=True).bind(VALUES) == {"v0": "it's imap"}
    assert compile_query(r"'c:\' = '%s'", backslash=False).bind(VALUES) == {"v0": "imap"}
    assert compile_query(r"'\'' = '%s'", backslash=True).text == r"'\'' =  :v0 "


def test_names_tell_what_an_answer_depends_on() -> None:
    assert compile_query("'%n' '%d' %s", backslash=False).names == {"username", "domain", "service"}


@pytest.mark.parametrize("template", ["'%u", '"x', "/* x", "'%y'", "`%u`", "100%"])
def test_bad_query(template: str) -> None:
    with pytest.raises(ValueError, match=r"quote|comment|variable|backquotes|percent"):
        compile_query(template, backslash=True)


@given(st.text(max_size=30), st.sampled_from(["'%u'", "'x%ux'", '"%u"', "%u", "'%u' || '%n'", "('%u')"]))
def test_the_text_does_not_depend_on_the_name(name: str, fragment: str) -> None:
    query = compile_query(f"SELECT {fragment}", backslash=False)
    bound = query.bind(values_of(name))
    assert name not in query.text or len(name) < 8
    if name.isascii() and "\0" not in name:
        statement = str(sqlalchemy.text(query.text).compile())
        assert sqlite3.connect(":memory:").execute(statement, bound).fetchone() is not None


@given(st.text(alphabet="'\"`%und-*/\\: a\n", max_size=30), st.booleans())
def test_any_template_is_compiled_or_refused(template: str, backslash: bool) -> None:
    try:
        query = compile_query(template, backslash=backslash)
    except ValueError:
        return
    assert set(query.bind(VALUES)) == set(query.parameters)
