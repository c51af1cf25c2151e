"""What failed logins cost an address."""

from __future__ import annotations

import ipaddress

import pytest

from mas.auth.interface import Attempt
from mas.auth.penalty import FORGET, LocalCounters, Penalty

DELAY = 2.0


async def costs(penalty: Penalty, attempt: Attempt, failures: int, *, same: bool = False) -> list[float]:
    """Seconds until each of so many wrong answers."""
    found = []
    for number in range(failures):
        found.append(await penalty.before(attempt) + DELAY)
        await penalty.failed(attempt, "kim", b"same" if same else b"%d" % number)
    return found


async def test_steps() -> None:
    penalty = Penalty(LocalCounters())
    assert await costs(penalty, Attempt("imap", "192.0.2.1"), 6) == [2, 4, 8, 15, 15, 15]
    assert await penalty.before(Attempt("imap", "192.0.2.2")) == 0
    await penalty.succeeded(Attempt("imap", "192.0.2.1"))
    assert await penalty.before(Attempt("imap", "192.0.2.1")) == 0


async def test_the_same_wrong_pair_is_counted_once() -> None:
    assert await costs(Penalty(LocalCounters()), Attempt("imap", "192.0.2.1"), 5, same=True) == [2, 4, 4, 4, 4]


async def test_postfix_is_answered_before_it_gives_up() -> None:
    for service in ("smtp", "submission"):
        assert await costs(Penalty(LocalCounters()), Attempt(service, "192.0.2.1"), 5) == [2, 4, 7, 7, 7]


@pytest.mark.parametrize(
    "attempt",
    [
        Attempt("imap", "10.1.2.3"),
        Attempt("imap", "::ffff:10.1.2.3"),
        Attempt("imap", "2001:db8::1"),
        Attempt("imap", ""),
        Attempt("imap", "no address"),
        Attempt("smtp", "192.0.2.1", no_penalty=True),
    ],
)
async def test_who_does_not_pay(attempt: Attempt) -> None:
    trusted = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32")]
    assert await costs(Penalty(LocalCounters(), trusted=trusted), attempt, 3) == [2, 2, 2]


async def test_switched_off() -> None:
    assert await costs(Penalty(LocalCounters(), on=False), Attempt("imap", "192.0.2.1"), 3) == [2, 2, 2]


async def test_an_ipv6_address_pays_for_its_48() -> None:
    penalty = Penalty(LocalCounters())
    await penalty.failed(Attempt("imap", "2001:db8:1:2::3"), "kim", b"x")
    assert await penalty.before(Attempt("imap", "2001:db8:1:ffff::1")) == 2
    assert await penalty.before(Attempt("imap", "2001:db8:2::1")) == 0
    await penalty.failed(Attempt("imap", "::ffff:192.0.2.9"), "kim", b"x")
    assert await penalty.before(Attempt("imap", "192.0.2.9")) == 2


async def test_counters_forget_and_stay_small() -> None:
    now = 0.0
    counters = LocalCounters(entries=10, clock=lambda: now)
    assert [await counters.add("a", FORGET) for _ in range(3)] == [1, 2, 3]
    now = 5.0
    assert await counters.get("a") == (3, 5.0)
    now = FORGET
    assert await counters.get("a") == (0, 0.0)
    assert await counters.add("a", FORGET) == 1
    for number in range(50):
        await counters.add(str(number), FORGET)
    assert len(counters._counts) == 10
    assert await counters.get("49") == (1, 0.0)
