"""Quota by the rules, and usage that never drifts."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mas.config.mailstore import Quota as QuotaConfig
from mas.errors import MessageTooBig, OverQuota, StorageUnavailable
from mas.storage.model import QuotaUsage
from mas.storage.quota import AccountQuota, Quota, Sum
from mas.user import User


def config(**keys: object) -> QuotaConfig:
    return QuotaConfig.model_validate({"rules": ("*:bytes=1000",), "max_mail_size": 0, **keys})


def user(name: str = "kim@example.net", **rules: str) -> User:
    return User(name, Path("/nowhere"), "maildir:/nowhere", rules)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def account(state: Path, who: User | None = None, **keys: object) -> AccountQuota:
    return Quota(config(**keys), state).account(who or user())


EMPTY: list[Sum] = []


def full(octets: int, messages: int = 1, mailbox: str = "INBOX") -> list[Sum]:
    return [(mailbox, octets, messages)]


# used, added octets, delivery, fits; limit 1000, grace 10 %
ADMITTED = [
    (0, 1000, False, True),
    (0, 1001, False, False),
    (999, 1, False, True),
    (1000, 1, False, False),
    (0, 1001, True, True),
    (0, 1100, True, True),
    (0, 1101, True, False),
    (999, 101, True, True),
    (999, 102, True, False),
    (1000, 1, True, False),
    (1050, 1, True, False),
]


@pytest.mark.parametrize(("used", "added", "delivery", "fits"), ADMITTED)
def test_limit_and_grace(state: Path, used: int, added: int, delivery: bool, fits: bool) -> None:
    quota = account(state)
    if fits:
        assert quota.admit(full(used), "INBOX", added, 1, delivery=delivery) is None
    else:
        with pytest.raises(OverQuota) as caught:
            quota.admit(full(used), "INBOX", added, 1, delivery=delivery)
        assert caught.value.root == "User quota"
        assert caught.value.message == "Quota exceeded (mailbox for user is full)"
    if delivery:
        if fits:
            quota.check_delivery(full(used), added)
        else:
            with pytest.raises(OverQuota):
                quota.check_delivery(full(used), added)


def test_grace_as_a_size_and_none(state: Path) -> None:
    account(state, grace="50").admit(EMPTY, "INBOX", 1050, 1, delivery=True)
    with pytest.raises(OverQuota):
        account(state, grace="50").admit(EMPTY, "INBOX", 1051, 1, delivery=True)
    with pytest.raises(OverQuota):
        account(state, grace="0").admit(EMPTY, "INBOX", 1001, 1, delivery=True)


def test_messages_have_no_grace(state: Path) -> None:
    quota = account(state, rules=("*:messages=10",))
    quota.admit(full(0, 9), "INBOX", 1, 1, delivery=True)
    with pytest.raises(OverQuota):
        quota.admit(full(0, 10), "INBOX", 1, 1, delivery=True)
    with pytest.raises(OverQuota):
        quota.admit(full(0, 5), "INBOX", 1, 6)


def test_unknown_size_at_rcpt(state: Path) -> None:
    account(state).check_delivery(full(999))
    with pytest.raises(OverQuota):
        account(state).check_delivery(full(1000))


def test_mail_size_is_checked_first_and_for_ignored_mailboxes(state: Path) -> None:
    quota = account(state, max_mail_size=100, rules=("*:bytes=50", "Junk:ignore"))
    quota.check_size(100)
    with pytest.raises(MessageTooBig) as caught:
        quota.check_delivery(EMPTY, 101)
    assert caught.value.limit == 100


def test_ignored_mailboxes_do_not_count(state: Path) -> None:
    quota = account(state, rules=("*:bytes=1000", "Junk:ignore"))
    sums = [*full(900), *full(5000, 3, "Junk")]
    assert quota.usage(sums) == [QuotaUsage("User quota", 900, 1000, 1, 0)]
    quota.admit(sums, "Junk", 10_000, 1)
    quota.admit(sums, "INBOX", 100, 1)
    with pytest.raises(OverQuota):
        quota.admit(sums, "INBOX", 101, 1)


def test_folder_rules_raise_the_limit_of_all_for_that_folder(state: Path) -> None:
    quota = account(state, rules=("*:bytes=1000", "Trash:bytes=+200"))
    quota.admit(full(1000), "Trash", 200, 1)
    with pytest.raises(OverQuota):
        quota.admit(full(1000), "Trash", 201, 1)
    with pytest.raises(OverQuota):
        quota.admit(full(1000), "INBOX", 1, 1)


# used, from, to, fits: 300 octets move; Trash may hold 200 more, Junk is not counted
MOVES = [
    (1000, "INBOX", "Sent", True),
    (1300, "INBOX", "Sent", True),  # no more than before
    (1200, "INBOX", "Trash", True),
    (1100, "Trash", "INBOX", False),  # what Trash may hold is not INBOX's
    (1000, "Trash", "INBOX", True),
    (700, "Junk", "INBOX", True),
    (701, "Junk", "INBOX", False),
    (1300, "INBOX", "Junk", True),
    (5000, "Junk", "Junk", True),
]


@pytest.mark.parametrize(("used", "source", "target", "fits"), MOVES)
def test_move(state: Path, used: int, source: str, target: str, fits: bool) -> None:
    quota = account(state, rules=("*:bytes=1000", "Trash:bytes=+200", "Junk:ignore"))
    sums = [*full(used), *full(300, 1, "Junk")]
    if fits:
        quota.admit(sums, target, 300, 1, moved_from=source)
    else:
        with pytest.raises(OverQuota):
            quota.admit(sums, target, 300, 1, moved_from=source)


def test_unlimited(state: Path) -> None:
    quota = account(state, rules=("Trash:bytes=1",))
    quota.admit(full(1 << 60), "Trash", 1 << 40, 5)
    assert quota.usage(full(7)) == [QuotaUsage("User quota", 7, 0, 1, 0)]


def test_rules_of_the_user(state: Path) -> None:
    quota = account(state, user(quota_rule="*:bytes=10"), rules=("*:bytes=1000", "Trash:bytes=+5"))
    quota.admit(EMPTY, "Trash", 15, 1)
    with pytest.raises(OverQuota):
        quota.admit(EMPTY, "INBOX", 11, 1)


def test_a_wrong_rule_of_the_user_leaves_the_configured_ones(state: Path) -> None:
    quota = account(state, user(quota_rule="*:bytes=lots"))
    assert quota.usage(EMPTY) == [QuotaUsage("User quota", 0, 1000, 0, 0)]


def test_not_enforced(state: Path) -> None:
    quota = account(state, warning=({"threshold": "storage=95%", "mail": True},))
    assert quota.admit(full(1000), "INBOX", 500, 1, enforce=False) is None


WARNINGS = (
    {"threshold": "storage=95%", "command": ("w", "95")},
    {"threshold": "storage=80%", "command": ("w", "80")},
    {"threshold": "-storage=80%", "command": ("w", "below")},
)


@pytest.mark.parametrize(
    ("used", "added", "word"),
    [(0, 799, None), (0, 800, "80"), (800, 100, None), (0, 960, "95"), (900, 50, "95"), (950, 10, None)],
)
def test_warnings_fire_once_on_crossing(state: Path, used: int, added: int, word: str | None) -> None:
    crossing = account(state, warning=WARNINGS).admit(full(used), "INBOX", added, 1)
    assert (crossing.warning.command[1] if crossing else None) == word
    if crossing:
        assert crossing.usage == (used + added, 2)
        assert crossing.limits.storage == 1000


def test_warning_downwards(state: Path) -> None:
    quota = account(state, warning=WARNINGS, rules=("*:bytes=1000", "Junk:ignore"))
    crossing = quota.released(full(700), "INBOX", 200, 1)
    assert crossing is not None
    assert crossing.warning.command == ("w", "below")
    assert quota.released(full(700), "INBOX", 50, 1) is None
    assert quota.released(full(700), "Junk", 200, 1) is None


# Roots of a domain

DOMAIN = {"rules": (), "root": ({"name": "Domain", "scope": "%d", "rules": ("*:bytes=1000", "Junk:ignore")},)}
KIM, LEE, OTHER = user("kim@example.net"), user("lee@example.net"), user("kim@example.org")


def test_a_domain_counts_its_users_together(state: Path) -> None:
    quota = Quota(config(**DOMAIN), state)
    kim, lee, other = (quota.account(who) for who in (KIM, LEE, OTHER))
    kim.admit(EMPTY, "INBOX", 600, 1)
    lee.admit(EMPTY, "INBOX", 400, 2)
    other.admit(EMPTY, "INBOX", 1000, 1)
    with pytest.raises(OverQuota) as caught:
        lee.admit(full(400, 2), "INBOX", 1, 1)
    assert caught.value.root == "Domain"
    with pytest.raises(OverQuota):
        lee.check_delivery(full(400, 2), 1)
    lee.admit(full(400, 2), "Junk", 1, 1)
    assert lee.usage(full(400, 2)) == [QuotaUsage("User quota", 400, 0, 2, 0), QuotaUsage("Domain", 1000, 1000, 3, 0)]
    kim.released(EMPTY, "INBOX", 600, 1)
    lee.admit(full(400, 2), "INBOX", 600, 1)
    quota.close()
    assert Quota(config(**DOMAIN), state).account(KIM).usage(EMPTY)[1].storage == 1000


def test_a_save_that_failed_is_settled(state: Path) -> None:
    quota = account(state, KIM, **DOMAIN)
    quota.admit(EMPTY, "INBOX", 600, 1)
    assert quota.settle(EMPTY) is True
    assert quota.settle(EMPTY) is False
    quota.admit(EMPTY, "INBOX", 1000, 1)


def test_a_refusal_by_a_later_root_takes_nothing_from_an_earlier(state: Path) -> None:
    roots = ({"name": "A", "scope": "%d", "rules": ()}, {"name": "B", "scope": "host", "rules": ("*:bytes=10",)})
    quota = account(state, KIM, rules=(), root=roots)
    with pytest.raises(OverQuota):
        quota.admit(full(5), "INBOX", 6, 1)
    assert quota.settle(full(5)) is False
    assert [usage.storage for usage in quota.usage(full(5))] == [5, 5, 5]


def test_a_deleted_user_is_forgotten(state: Path) -> None:
    quota = Quota(config(**DOMAIN), state)
    quota.account(KIM).admit(EMPTY, "INBOX", 600, 1)
    quota.shared.forget(KIM.name)
    assert quota.account(LEE).usage(EMPTY)[1].storage == 0


def test_a_root_of_one_user_needs_no_file(state: Path) -> None:
    quota = account(state, KIM, rules=(), root=({"name": "Own", "scope": "%u", "rules": ("*:bytes=10",)},))
    with pytest.raises(OverQuota):
        quota.admit(full(5), "INBOX", 6, 1)
    assert not state.exists()


def test_a_broken_shared_file_is_a_temporary_failure(state: Path) -> None:
    state.mkdir()
    (state / "quota.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageUnavailable):
        account(state, KIM, **DOMAIN).admit(EMPTY, "INBOX", 1, 1)


def test_users_in_parallel_never_pass_the_limit_of_the_domain(state: Path) -> None:
    """Eight users, two processes' worth of connections, each as greedy as possible."""
    quotas = [Quota(config(**DOMAIN), state) for _ in range(2)]
    taken = [0] * 8

    def greedy(number: int) -> None:
        quota = quotas[number % 2].account(user(f"u{number}@example.net"))
        for _ in range(60):
            try:
                quota.admit(full(taken[number]), "INBOX", 7, 1)
            except OverQuota:
                return
            taken[number] += 7

    threads = [threading.Thread(target=greedy, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(taken) == 1000 // 7 * 7


class NeverDrifts(RuleBasedStateMachine):
    """Three users of two domains save, move, expunge, fail and crash; usage is always the sum of what they have."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.quota = Quota(config(**DOMAIN), Path(self.directory.name))
        self.boxes: dict[str, dict[str, list[int]]] = {
            who.name: {"INBOX": [], "Junk": [], "Sent": []} for who in (KIM, LEE, OTHER)
        }
        self.unsettled: set[str] = set()

    def sums(self, name: str) -> list[Sum]:
        return [(box, sum(sizes), len(sizes)) for box, sizes in self.boxes[name].items()]

    def opened(self, name: str) -> AccountQuota:
        account = self.quota.account(user(name))
        if name in self.unsettled:
            account.settle(self.sums(name))
            self.unsettled.discard(name)
        return account

    users = st.sampled_from([KIM.name, LEE.name, OTHER.name])
    boxes_ = st.sampled_from(["INBOX", "Junk", "Sent"])

    @rule(name=users, box=boxes_, sizes=st.lists(st.integers(1, 400), min_size=1, max_size=3), end=st.integers(0, 9))
    def save(self, name: str, box: str, sizes: list[int], end: int) -> None:
        account = self.opened(name)
        try:
            account.admit(self.sums(name), box, sum(sizes), len(sizes))
        except OverQuota:
            return
        if end == 0:
            self.unsettled.add(name)  # killed between admit and commit
        elif end == 1:
            account.settle(self.sums(name))  # the commit failed
        else:
            self.boxes[name][box] += sizes

    @rule(name=users, source=boxes_, to=boxes_)
    def move(self, name: str, source: str, to: str) -> None:
        if source == to or not self.boxes[name][source]:
            return
        size = self.boxes[name][source][0]
        try:
            self.opened(name).admit(self.sums(name), to, size, 1, moved_from=source)
        except OverQuota:
            return
        self.boxes[name][to].append(self.boxes[name][source].pop(0))

    @rule(name=users, box=boxes_, crash=st.booleans())
    def expunge(self, name: str, box: str, crash: bool) -> None:
        account = self.opened(name)
        gone = self.boxes[name][box]
        self.boxes[name][box] = []
        if crash:
            self.unsettled.add(name)
        else:
            account.released(self.sums(name), box, sum(gone), len(gone))

    @invariant()
    def usage_is_the_sum(self) -> None:
        if not hasattr(self, "boxes"):
            return
        for domain in ("example.net", "example.org"):
            names = [name for name in self.boxes if name.endswith(domain)]
            counted = sum(sum(self.boxes[n][box]) for n in names for box in ("INBOX", "Sent"))
            assert counted <= 1000
            if not self.unsettled & set(names):
                assert not any(self.quota.account(user(n)).settle(self.sums(n)) for n in names)
                assert self.quota.account(user(names[0])).usage(self.sums(names[0]))[1].storage == counted
        with apsw.Connection(str(Path(self.directory.name) / "quota.sqlite")) as database:
            drift = (
                database.execute(
                    "SELECT root, scope FROM total t WHERE octets != (SELECT sum(octets) FROM part p"
                    " WHERE p.root = t.root AND p.scope = t.scope)"
                ).fetchall()
                if database.execute("SELECT name FROM sqlite_schema").fetchall()
                else []
            )
            assert drift == []

    def teardown(self) -> None:
        if hasattr(self, "quota"):
            self.quota.close()
            self.directory.cleanup()


NeverDrifts.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestNeverDrifts = pytest.mark.slow(NeverDrifts.TestCase)
