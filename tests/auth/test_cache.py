"""The cache of looked-up accounts: times, bounds, proofs."""

from __future__ import annotations

from mas.auth.cache import Cache


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_times_to_live() -> None:
    time = Time()
    cache = Cache(100_000, ttl=60, negative_ttl=10, clock=time)
    known, unknown = cache.put(("k",), {"password": "x"}), cache.put(("u",), None)
    assert cache.is_fresh(known)
    assert cache.is_fresh(unknown)
    time.now = 10
    assert cache.is_fresh(known)
    assert not cache.is_fresh(unknown)
    time.now = 60
    assert not cache.is_fresh(known)
    assert cache.get(("k",)) is known  # still there, for when the database is not


def test_bounded_by_octets_least_recently_used_out_first() -> None:
    cache = Cache(10_000, 60, 60)
    for number in range(100):
        cache.put(("key", str(number)), {"password": "x" * 100})
        cache.get(("key", "0"))
    assert cache.size <= 10_000
    assert 5 < len(cache) < 20
    assert cache.get(("key", "0"))
    assert not cache.get(("key", "1"))
    assert cache.put(("big",), {"password": "x" * 20_000}).row  # usable, not kept
    assert not cache.get(("big",))
    before = len(cache)
    cache.put(("key", "0"), {"password": "y"})
    assert len(cache) == before
    assert cache.flush() == before
    assert cache.size == 0


def test_size_zero_keeps_nothing() -> None:
    cache = Cache(0, 60, 60)
    cache.put(("k",), None)
    assert not cache.get(("k",))


def test_proofs_hold_for_one_password_and_one_stored_value() -> None:
    cache = Cache(10_000, 60, 60)
    entry = cache.put(("k",), {"password": "{SHA}x"})
    assert not cache.is_proven(entry, b"pw", "{SHA}x")
    cache.prove(entry, b"pw", "{SHA}x")
    assert cache.is_proven(entry, b"pw", "{SHA}x")
    for password, stored in ((b"pW", "{SHA}x"), (b"pw", "{SHA}y"), (b"xpw", "{SHA}"), (b"", "")):
        assert not cache.is_proven(entry, password, stored)
    other = Cache(10_000, 60, 60)
    assert not other.is_proven(entry, b"pw", "{SHA}x")  # the key is each process's own
    assert b"pw" not in entry.proof


def test_flush_of_one_user() -> None:
    cache = Cache(10_000, 60, 60)
    cache.put(("passdb[0]", "kim"), None)
    cache.put(("userdb[0]", "kim"), None)
    cache.put(("passdb[0]", "ann"), None)
    assert cache.flush("kim") == 2
    assert len(cache) == 1
