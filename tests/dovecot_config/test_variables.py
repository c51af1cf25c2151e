"""Dovecot's %variables as MAS's."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas import variables as mas_variables
from mas.dovecot_config.variables import literal, template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/var/vmail/%d/%n", "/var/vmail/%d/%n"),
        ("%Lu %2.1n %2.256Nu %%", "%Lu %2.1n %2.256Nu %%"),
        ("%{user}", "%u"),
        ("%{user|username}@%{user | domain | lower}", "%n@%Ld"),
        ("%{user | upper}", "%Uu"),
        ("%L{username}", "%Ln"),
        ("%{protocol} %{service} %{remote_ip} %{rip} %{local_ip} %{home}", "%s %s %r %r %l %h"),
    ],
)
def test_template(text: str, expected: str) -> None:
    assert template(text) == expected


@pytest.mark.parametrize(
    "text", ["%w", "%{env:HOME}", "%{user | md5}", "%{domain | username}", "100% sure", "%", "%{if;%d;eq;x;a;b}"]
)
def test_what_mas_has_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"%|filter"):
        template(text)


@pytest.mark.parametrize(("text", "expected"), [("10%%", "10%"), ("10%", "10%"), ("a", "a"), ("5% left", "5% left")])
def test_literal(text: str, expected: str) -> None:
    assert literal(text) == expected


@pytest.mark.parametrize("text", ["%u", "%%%u", "a %{user}"])
def test_literal_takes_no_variables(text: str) -> None:
    with pytest.raises(ValueError, match="variable"):
        literal(text)


@given(st.text(alphabet=st.sampled_from("%{}|und L.2a"), max_size=30))
def test_what_comes_out_is_a_template_of_mas(text: str) -> None:
    with contextlib.suppress(ValueError):
        mas_variables.parse(template(text))
