"""Files, blocks and references as one tree."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.dovecot_config.grammar import DovecotConfigError
from mas.dovecot_config.tree import MAX_DEPTH, Block, build


def tree(text: str, **files: str) -> Block:
    def read(pattern: str, relative_to: str) -> Sequence[tuple[str, str]]:
        if pattern == "secret":
            raise PermissionError(13, "Permission denied")
        return [(pattern, files[pattern])] if pattern in files else []

    return build(text, "main", read)


def test_later_values_win_and_blocks_go_on() -> None:
    root = tree("a = 1\nprotocol imap {\n x = 1\n}\na = 2\nprotocol imap {\n y = 2\n}\nplugin/z = 3\n")
    assert root.value("a") == "2"
    (imap,) = root.of("protocol")
    assert (imap.name, imap.value("x"), imap.value("y")) == ("imap", "1", "2")
    assert next(root.of("plugin")).value("z") == "3"


def test_blocks_that_count_by_order() -> None:
    root = tree(
        "passdb {\n driver = a\n}\npassdb {\n driver = b\n}\npassdb sql {\n driver = c\n}\npassdb sql {\n args = d\n}\n"
    )
    assert [block.value("driver") for block in root.of("passdb")] == ["a", "b", "c"]
    assert list(root.of("passdb"))[2].value("args") == "d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = $x quota", "quota"),
        ("x = acl\nx = $x quota", "acl quota"),
        ("x = acl\nprotocol imap {\n x = $x imap_quota\n}\nx = $x", "acl"),
        ("x = 1\ny = $x\nx = $SET:y 2", "1 2"),
        ("x = a$b", "a$b"),
        ('x = "$x"', "$x"),
        ("x = $nothing", ""),
    ],
)
def test_references(text: str, expected: str) -> None:
    assert tree(text).value("x") == expected


def test_references_look_outward() -> None:
    root = tree("x = acl\nprotocol imap {\n x = $x imap_quota\n}")
    assert next(root.of("protocol")).value("x") == "acl imap_quota"


def test_includes() -> None:
    root = tree("!include one\n!include_try missing\nb = $a\n", one="a = 1\n!include two\n", two="c = 3\n")
    assert {key: setting.value for key, setting in root.settings.items()} == {"a": "1", "c": "3", "b": "1"}
    assert str(root.settings["c"].place) == "two:1"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("!include missing", "main:1: missing: no such file"),
        ("!include secret", "main:1: secret: Permission denied"),
        # Left out without a word it would change who gets in.
        ("!include_try secret", "main:1: secret: Permission denied"),
        ("!include loop", f"more than {MAX_DEPTH} files"),
        ("a {\n", "main:1: 'a {' without its '}'"),
        ("}\n", "main:1: '}' without '{'"),
        ("!include unclosed\n}\n", "unclosed:1: 'a {'"),
        ("a {\n" * (MAX_DEPTH + 1), f"main:{MAX_DEPTH + 1}: more than {MAX_DEPTH} blocks"),
    ],
)
def test_mistakes(text: str, match: str) -> None:
    with pytest.raises(DovecotConfigError) as caught:
        tree(text, loop="!include loop", unclosed="a {\n")
    assert match in str(caught.value)


def test_references_do_not_grow_without_end() -> None:
    with pytest.raises(DovecotConfigError, match="once expanded"):
        tree("a = x\n" + "a = $a $a\n" * 40)


@given(
    st.lists(
        st.sampled_from(["a = $a b", "a {", "}", "plugin {", "!include a", 'b "c {', "x = y", "passdb {", "x/y = z"]),
        max_size=30,
    )
)
def test_any_lines_are_a_tree_or_refused(lines: list[str]) -> None:
    with contextlib.suppress(DovecotConfigError):
        tree("\n".join(lines), a="a = 1\n")
