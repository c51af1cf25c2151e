"""Base subjects and the ids of threads [RFC5256]."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime.casemap import casemap
from mas.storage.mime.subject import MAX_REFERENCES, base_subject, message_ids, thread_links


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("", "", False),
        ("x", "X", False),
        ("Re: x", "X", True),
        ("RE : x", "X", True),
        ("re[2]: x", "X", True),
        ("fw: x", "X", True),
        ("Fwd: Re: fwd: x", "X", True),
        ("x (fwd)", "X", True),
        ("x (fwd) (fwd)", "X", True),
        ("[list] x", "X", False),
        ("[list] Re: x", "X", True),
        ("Re: [list] x", "X", True),
        ("[a] [b] x", "X", False),
        ("[only]", "[ONLY]", False),
        ("[a] [only]", "[ONLY]", False),
        ("[fwd: x]", "X", True),
        ("[Fwd: Re: x (fwd)]", "X", True),
        ("re x", "RE X", False),
        ("regards: x", "REGARDS: X", False),
        ("a  \t b", "A B", False),
        ("Re:", "", True),
        ("x [list]", "X [LIST]", False),
    ],
)
def test_base_subject(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(casemap(subject)) == (base, is_reply)


@given(st.lists(st.sampled_from(["re", ":", "[", "]", "fwd", "(fwd)", " ", "x", "[fwd:"]), max_size=12).map("".join))
def test_never_raises_and_is_stable(subject: str) -> None:
    base, _ = base_subject(casemap(subject))
    assert base in " ".join(casemap(subject).split())


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b"<a@b>", ["a@b"]),
        (b"text <a@b><c@d> <no-at> <>", ["a@b", "c@d"]),
        (b'<"01KF8JCEOCBS0045PS"@x.example>', ["01KF8JCEOCBS0045PS@x.example"]),
        (b"<a b@c>", ["ab@c"]),
        (b"<a@b", []),
        (b"<x<a@b>", ["a@b"]),
    ],
)
def test_message_ids(value: bytes, ids: list[str]) -> None:
    assert message_ids(value) == ids


def test_thread_links() -> None:
    assert thread_links(b"<m@x> <n@x>", b"<r@x> <s@x>", b"<i@x>") == ("m@x", ("r@x", "s@x"))
    assert thread_links(b"", b"none", b"<i@x> <j@x>") == ("", ("i@x",))
    many = b"".join(b"<%d@x>" % i for i in range(MAX_REFERENCES + 5))
    assert thread_links(b"", many, b"")[1][0] == "5@x"
