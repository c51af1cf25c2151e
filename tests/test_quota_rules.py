"""The grammar of quota rules and thresholds, as configurations of mail hosts have it."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.errors import ConfigError
from mas.quota_rules import MAX_LIMIT, Limits, Rules, parse_rules, parse_threshold, with_user_rules

K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40

DEFAULTS = [
    ("*:storage=15G", Limits(15 * G)),
    ("?:storage=15G", Limits(15 * G)),
    ("*:storage=1000", Limits(1000 * K)),
    ("*:storage=1000b", Limits(1000)),
    ("*:storage=5k", Limits(5 * K)),
    ("*:storage=5K", Limits(5 * K)),
    ("*:storage=5m", Limits(5 * M)),
    ("*:storage=2T", Limits(2 * T)),
    ("*:storage=1GB", Limits(G)),
    ("*:storage=1Gigantic", Limits(G)),
    ("*:storage=+1G", Limits(G)),
    ("*:bytes=1000", Limits(1000)),
    ("*:bytes=1M", Limits(M)),
    ("*:bytes=0", Limits(0)),
    ("*:messages=1k", Limits(0, 1024)),
    ("*:messages=100", Limits(0, 100)),
    ("*:storage=1G:messages=5", Limits(G, 5)),
    ("*:messages=5:bytes=7", Limits(7, 5)),
    ("*:storage=1G:storage=2G", Limits(2 * G)),
]


@pytest.mark.parametrize(("rule", "limits"), DEFAULTS)
def test_default(rule: str, limits: Limits) -> None:
    assert parse_rules([rule]).limits("INBOX") == limits
    assert parse_rules([rule]).default == limits


FOLDERS = [
    # the bare, + and - forms, and percentages: what Dovecot 2.3.19 does with *:storage=1000 and a hundred-kilobyte message
    ("Trash:storage=200", Limits(1200 * K)),
    ("Trash:storage=+200", Limits(1200 * K)),
    ("Trash:storage=50%", Limits(1500 * K)),
    ("Trash:storage=+20%", Limits(1200 * K)),
    ("Trash:storage=-20%", Limits(800 * K)),
    ("Trash:storage=10%%", Limits(1100 * K)),
    ("Trash:bytes=-500k", Limits(500 * K)),
    ("Trash:storage=-2000", Limits(1)),
    ("Trash:storage=-100%", Limits(1)),
    ("Trash:messages=+3", Limits(1000 * K, 3)),
    ("Trash:messages=50%", Limits(1000 * K, 0)),
    ("Trash:ignore", Limits(ignored=True)),
    ("T*:storage=+200", Limits(1200 * K)),
    ("Tr?sh:storage=+200", Limits(1200 * K)),
    ("*rash:storage=+200", Limits(1200 * K)),
    ("trash:storage=+200", Limits(1000 * K)),
    ("Tras:storage=+200", Limits(1000 * K)),
    ("Trash?:storage=+200", Limits(1000 * K)),
]


@pytest.mark.parametrize(("rule", "limits"), FOLDERS)
def test_folder(rule: str, limits: Limits) -> None:
    rules = parse_rules(["*:storage=1000", rule])
    assert rules.limits("Trash") == limits
    assert rules.limits("INBOX") == Limits(1000 * K)
    assert rules.ignores("Trash") == limits.ignored


def test_first_match_in_the_order_of_definition() -> None:
    rules = parse_rules(["*:storage=1000", "Tr*:storage=+1", "Trash:storage=+2", "Trash:messages=9"])
    assert rules.limits("Trash") == Limits(1001 * K)
    rules = parse_rules(["Trash:storage=+2", "Tr*:storage=+1", "Trash:messages=9", "*:storage=1000"])
    assert rules.limits("Trash") == Limits(1002 * K, 9)
    assert rules.limits("Trips") == Limits(1001 * K)


def test_rules_that_repeat_a_mask_are_one() -> None:
    assert parse_rules(["*:storage=1G", "*:messages=10", "?:storage=2G"]).default == Limits(2 * G, 10)


def test_an_unlimited_default_has_no_folder_rules() -> None:
    rules = parse_rules(["Trash:storage=+100M", "Junk:ignore"])
    assert rules.limits("Trash") == rules.limits("Junk") == Limits()
    assert not rules.ignores("Junk")
    assert parse_rules([]) == Rules()


def test_inbox_has_no_case() -> None:
    rules = parse_rules(["*:storage=1000", "inbox:storage=+1", "inbox/Sub:storage=+2", "inboxes:storage=+3"])
    assert [rules.limits(n).storage // K for n in ("INBOX", "INBOX/Sub", "inboxes", "Inboxes")] == [
        1001,
        1002,
        1003,
        1000,
    ]


BAD = [
    ("", 1, "':'"),
    ("storage=1G", 11, "':'"),
    (":storage=1G", 1, "mask"),
    ("*:", 3, "storage="),
    ("*:ignore", 3, "ignore"),
    ("*:size=1G", 3, "storage="),
    ("*:storage", 3, "storage="),
    ("*:storage=", 11, "number"),
    ("*:storage=G", 11, "number"),
    ("*:storage=+", 12, "number"),
    ("*:storage=1.5G", 12, "unit"),
    ("*:storage=1 G", 12, "unit"),
    ("*:storage=1X", 12, "unit"),
    ("*:storage=1G:", 14, "storage="),
    ("*:storage=1G:messages=x", 23, "number"),
    ("*:storage=50%", 3, "percentage"),
    ("*:storage=-1G", 3, "negative"),
    ("*:backend=20MB", 3, "backend"),
    ("*:storage=99999999999T", 11, "large"),
    ("*:bytes=99999999999999999999", 9, "large"),
    ("*:storage=\u0663G", 11, "number"),
    ("Trash:ignored", 7, "storage="),
]


@pytest.mark.parametrize(("rule", "column", "word"), BAD)
def test_errors_name_rule_and_position(rule: str, column: int, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(["*:storage=1G", rule])
    (problem,) = caught.value.problems
    assert problem.startswith(f"quota.rules[2]: {rule!r}, column {column}: ")
    assert word in problem


def test_every_error_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(["x", "*:storage=1G", "y"], where="quota.root[1].rules")
    assert [p.partition(":")[0] for p in caught.value.problems] == ["quota.root[1].rules[1]", "quota.root[1].rules[3]"]


USER = [
    ({}, ["a", "b"]),
    ({"quota_rule": "x"}, ["x", "b"]),
    ({"quota_rule2": "x"}, ["a", "x"]),
    ({"quota_rule1": "x"}, ["x", "b"]),
    ({"quota_rule9": "z", "quota_rule3": "y", "quota_rule": "x"}, ["x", "b", "y", "z"]),
    ({"quota_rule": ""}, ["a", "b"]),
    ({"quota_rulex": "x", "quota2_rule": "y", "quota": "z", "quota_rule\u00b2": "w"}, ["a", "b"]),
]


@pytest.mark.parametrize(("fields", "rules"), USER)
def test_rules_of_the_user(fields: dict[str, str], rules: list[str]) -> None:
    assert with_user_rules(["a", "b"], fields) == rules


def test_rules_of_the_user_for_another_root() -> None:
    fields = {"quota_rule": "x", "quota2_rule": "y", "quota2_rule2": "z"}
    assert with_user_rules(["a"], fields, root=2) == ["y", "z"]
    assert with_user_rules([], fields) == ["x"]


LIMITS = Limits(1000, 10)
THRESHOLDS = [
    ("storage=95%", (949, 0), (950, 0), True),
    ("storage=95%", (949, 0), (949, 0), False),
    ("storage=95%", (950, 0), (990, 0), False),
    ("storage=95%", (0, 0), (2000, 0), True),
    ("storage=95%", (990, 0), (900, 0), False),
    ("+storage=95%", (949, 0), (950, 0), True),
    ("-storage=95%", (950, 0), (949, 0), True),
    ("-storage=95%", (949, 0), (940, 0), False),
    ("-storage=95%", (949, 0), (950, 0), False),
    ("-storage=100%", (1500, 0), (999, 0), True),
    ("bytes=300", (299, 0), (300, 0), True),
    ("storage=1b", (0, 0), (1, 0), True),
    ("messages=80%", (0, 7), (0, 8), True),
    ("messages=8", (0, 7), (0, 8), True),
    ("messages=80%", (0, 7), (900, 7), False),
    ("storage=95%:messages=80%", (0, 7), (0, 8), True),
    ("storage=95%:messages=80%", (900, 7), (960, 7), True),
]


@pytest.mark.parametrize(("text", "before", "after", "fires"), THRESHOLDS)
def test_threshold(text: str, before: tuple[int, int], after: tuple[int, int], fires: bool) -> None:
    assert parse_threshold(text).crossed(LIMITS, before, after) is fires


def test_a_percentage_of_no_limit_never_fires() -> None:
    assert not parse_threshold("storage=95%").crossed(Limits(), (0, 0), (1 << 50, 1))
    assert parse_threshold("storage=1G").crossed(Limits(), (0, 0), (1 << 50, 1))


@pytest.mark.parametrize(
    ("text", "column"), [("", 1), ("95%", 1), ("storage=0%", 1), ("storage=x", 9), ("-storage", 2), ("storage=-5", 1)]
)
def test_bad_threshold(text: str, column: int) -> None:
    with pytest.raises(ConfigError, match=f"quota.warning.threshold: .*column {column}:"):
        parse_threshold(text)


@given(st.text(alphabet="*?:=+-%storagebyTMGkimsu019 \0é", max_size=40))
def test_any_text_is_rules_or_a_named_error(text: str) -> None:
    try:
        rules = parse_rules(["*:storage=1G", text])
    except ConfigError:
        return
    limits = rules.limits("Trash")
    assert 0 <= limits.storage <= MAX_LIMIT
    assert limits.ignored or limits.storage or rules.default.storage == 0


@given(st.text(alphabet="*?ab", min_size=1, max_size=12), st.text(alphabet="ab/", max_size=12))
def test_wildcards_match_as_fnmatch_does(mask: str, name: str) -> None:
    if mask in ("*", "?"):
        return
    rules = parse_rules(["*:storage=1000", f"{mask}:ignore"])
    assert rules.ignores(name) == fnmatch.fnmatchcase(name, mask)
