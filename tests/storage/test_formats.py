"""The files beside the messages, byte for byte: names, uid list, keywords, subscriptions, ranges."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.errors import InvalidMailboxName, StorageUnavailable
from mas.storage import keywords, layout, location, numbers, subscriptions, uidlist
from mas.storage import maildir_name as names
from mas.storage.model import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, MailboxName

# Message file names


@pytest.mark.parametrize(
    ("file", "base", "flags", "sizes"),
    [
        ("1.M2P3.host,S=10,W=11:2,S", "1.M2P3.host,S=10,W=11", SEEN, (10, 11)),
        ("1.M2P3.host:2,DFRST", "1.M2P3.host", DRAFT | FLAGGED | ANSWERED | SEEN | DELETED, (None, None)),
        ("1.M2P3.host,S=10:2,", "1.M2P3.host,S=10", 0, (10, None)),
        ("1.M2P3.host,W=11", "1.M2P3.host,W=11", 0, (None, 11)),
        ("1.2.host:2,az", "1.2.host", (1 << 5) | (1 << 30), (None, None)),
        ("1.2.host:2,SPX", "1.2.host", SEEN, (None, None)),
        ("1.2.host:1,S", "1.2.host", 0, (None, None)),
        ("1.2.host:2,S,extra=F", "1.2.host", SEEN, (None, None)),
        ("1.2.host,S=,W=x:2,", "1.2.host,S=,W=x", 0, (None, None)),
    ],
)
def test_file_names(file: str, base: str, flags: int, sizes: tuple[int | None, int | None]) -> None:
    found, letters = names.split_name(file)
    assert found == base
    assert names.flags_of(letters) == flags
    assert names.sizes_of(found) == sizes


def test_renamed_keeps_unknown_letters() -> None:
    assert names.renamed("new/1.2.host", 0) == "cur/1.2.host:2,"
    assert names.renamed("cur/1.2.host:2,PS", FLAGGED) == "cur/1.2.host:2,FP"
    assert names.renamed("cur/1.2.host:2,a", SEEN | 1 << 40) == "cur/1.2.host:2,S"


@given(st.integers(0, names.FILE_FLAGS))
def test_letters_round_trip(flags: int) -> None:
    letters = names.letters_of(flags)
    assert names.flags_of(letters) == flags
    assert list(letters) == sorted(letters, key=lambda letter: (letter.islower(), letter))


def test_arrival_order() -> None:
    files = ["1700000001.M5P1.h", "1700000000.M20P1.h", "1700000000.M3P1.h", "garbage", "1700000000.9_1.h"]
    assert sorted(files, key=names.arrival_of) == [
        "garbage",
        "1700000000.9_1.h",
        "1700000000.M3P1.h",
        "1700000000.M20P1.h",
        "1700000001.M5P1.h",
    ]


# Mailbox names

DIRECTORIES = [
    ("INBOX", ""),
    ("inbox", ""),
    ("Junk", ".Junk"),
    ("Archive.2024", ".Archive.2024"),
    ("inbox.Sub", ".INBOX.Sub"),
    ("Entwürfe", ".Entw&APw-rfe"),
    ("A & B", ".A &- B"),
    ("日本語", ".&ZeVnLIqe-"),
    ("😀", ".&2D3eAA-"),
    ("~user", ".~user"),
]


@pytest.mark.parametrize(("name", "directory"), DIRECTORIES)
def test_directories(name: str, directory: str) -> None:
    assert layout.Layout(".").directory_of(MailboxName(name)) == directory
    assert layout.Layout(".").name_of(directory) == layout.Layout(".").check_name(name)


def test_separator_of_the_configuration() -> None:
    assert layout.Layout("/").directory_of(MailboxName("Archive/2024")) == ".Archive.2024"
    assert layout.Layout("/").name_of(".Archive.2024") == "Archive/2024"
    with pytest.raises(InvalidMailboxName):
        layout.Layout("/").directory_of(MailboxName("a.b"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a.",
        "a/b",
        "/etc",
        "../../etc",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "\ud800",
        "x" * 1001,
        "ü" * 120,
    ],
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidMailboxName):
        layout.Layout(".").directory_of(MailboxName(name))


@pytest.mark.parametrize(
    "directory",
    [".&", ".&AGE-", ".&AP", ".&AP!-", ".&ZeVnLIqe", ".ü", ".a\n", ".inbox", ".&2D0-", ".&APw-&APw-", ".a..b"],
)
def test_directories_that_are_no_mailboxes(directory: str) -> None:
    with pytest.raises(InvalidMailboxName):
        layout.Layout(".").name_of(directory)


@given(st.text(min_size=1, max_size=40))
def test_every_name_is_refused_or_comes_back(text: str) -> None:
    try:
        directory = layout.Layout(".").directory_of(MailboxName(text))
    except InvalidMailboxName:
        return
    assert "/" not in directory
    assert directory.isascii()
    assert directory not in (".", "..")
    assert not directory.startswith("..")
    assert layout.Layout(".").name_of(directory) == layout.Layout(".").check_name(text)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_every_directory_is_refused_or_comes_back(text: str) -> None:
    try:
        name = layout.Layout(".").name_of("." + text)
    except InvalidMailboxName:
        return
    assert layout.Layout(".").directory_of(name) == "." + text


# dovecot-uidlist

GUID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"3 V1700000000 N5 G%b\n1 :a\n4 W100 :b,S=1\n" % GUID.encode(), (1700000000, 5, GUID, {"a": 1, "b,S=1": 4})),
        (b"3 V1 N1\n", (1, 1, "", {})),
        (b"3 V1 N9 Xunknown Gshort\n", (1, 9, "", {})),
        (b"3 V1 N2\n1 :a\n7 :b\n", (1, 8, "", {"a": 1, "b": 7})),
        (b"3 V1 N2\n1 :a:2,S\n", (1, 2, "", {"a": 1})),
        (b"3 V1 N2\n1 :a\n2 :to", (1, 2, "", {"a": 1})),  # a torn last line
        (b"3 V1 N2\n2 :a\n1 :b\n3 :c\n", (1, 3, "", {"a": 2})),  # uids that do not ascend: nothing behind is true
        (b"3 V1 N2\n1 :a\n2 :../b\n", (1, 2, "", {"a": 1})),
        (b"3 V1 N2\n1 :a\n2 :a\n", (1, 3, "", {"a": 2})),
        (b"3 V1 N2\n1 :\xff\n", (1, 2, "", {"\udcff": 1})),
    ],
)
def test_uidlist(data: bytes, expected: tuple[int, int, str, dict[str, int]]) -> None:
    parsed = uidlist.parse_uidlist(data)
    assert (parsed.uid_validity, parsed.next_uid, parsed.guid, parsed.uids) == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"1 V1 N1\n", b"3 N1 V1\n", b"3 V0 N1\n", b"3 V99999999999 N1\n", b"3 V1 N1", b"3 V1 N4294967297\n"],
)
def test_uidlist_damaged(data: bytes) -> None:
    with pytest.raises(uidlist.UidlistDamaged):
        uidlist.parse_uidlist(data)


@given(st.binary(max_size=200))
def test_uidlist_of_any_octets(data: bytes) -> None:
    for octets in (data, b"3 V1 N1\n" + data):
        try:
            parsed = uidlist.parse_uidlist(octets)
        except uidlist.UidlistDamaged:
            continue
        assert all(0 < uid < parsed.next_uid for uid in parsed.uids.values())


@given(st.dictionaries(st.integers(1, 2**32 - 2), st.text(alphabet="abc.,=0123456789", min_size=1), max_size=20))
def test_uidlist_round_trip(entries: dict[int, str]) -> None:
    ordered = sorted(entries.items())
    data = uidlist.encode_header(7, 2**32 - 1, GUID) + uidlist.encode_entries(ordered)
    parsed = uidlist.parse_uidlist(data)
    assert parsed.uids == {base: uid for uid, base in ordered}
    assert (parsed.uid_validity, parsed.guid) == (7, GUID)


# dovecot-keywords


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"0 $Junk\n1 Work\n", {0: "$Junk", 1: "Work"}),
        (b"3 Later\n", {3: "Later"}),
        (b"26 Beyond\n99 X\n", {}),
        (b"0 A\n0 B\n1 A\n", {0: "A"}),
        (b"x y\n\n0\n0 \n1 a b\n2 \xff\n", {}),
        (b"", {}),
    ],
)
def test_keywords(data: bytes, expected: dict[int, str]) -> None:
    assert keywords.parse_keywords(data) == expected
    assert keywords.parse_keywords(keywords.encode_keywords(expected)) == expected


@given(st.binary(max_size=100))
def test_keywords_of_any_octets(data: bytes) -> None:
    assert all(0 <= number < 26 and name for number, name in keywords.parse_keywords(data).items())


# subscriptions


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"V\t2\n\nINBOX\nArchive\t2024\nEntw&APw-rfe\n", ["INBOX", "Archive.2024", "Entwürfe"]),
        (b"INBOX\nArchive.2024\n", ["INBOX", "Archive.2024"]),
        (b"inbox\nA\nA\n\n..\n&bad\n", ["INBOX", "A"]),
        (b"", []),
        (b"V\t2\n\n", []),
    ],
)
def test_subscriptions(data: bytes, expected: list[str]) -> None:
    assert subscriptions.parse_subscriptions(data, layout.Layout(".")) == expected
    again = subscriptions.encode_subscriptions([MailboxName(name) for name in expected], layout.Layout("."))
    assert again.startswith(b"V\t2\n\n")
    assert subscriptions.parse_subscriptions(again, layout.Layout(".")) == expected


@given(st.binary(max_size=100))
def test_subscriptions_of_any_octets(data: bytes) -> None:
    for name in subscriptions.parse_subscriptions(data, layout.Layout(".")):
        assert layout.Layout(".").check_name(name) == name


# Ranges


@given(st.sets(st.integers(1, 200)))
def test_ranges(uids: set[int]) -> None:
    ranges = numbers.ranges_of(sorted(uids))
    assert set(numbers.expand(numbers.decode_ranges(numbers.encode_ranges(ranges)))) == uids
    assert all(numbers.holds(ranges, uid) == (uid in uids) for uid in range(1, 202))


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_range_algebra(one: set[int], two: set[int]) -> None:
    first, second = numbers.ranges_of(sorted(one)), numbers.ranges_of(sorted(two))
    assert set(numbers.expand(numbers.intersect(first, second))) == one & two
    assert set(numbers.expand(numbers.merge(first + second))) == one | two


# Locations


def test_locations() -> None:
    home = Path("/home/kim")
    assert location.parse_location("maildir:~/Maildir", home).root == "/home/kim/Maildir"
    there = location.parse_location("maildir:~/m:INBOX=/in/kim:CONTROL=~/c:VOLATILEDIR=/tmp/x", home)
    assert (there.root, there.inbox, there.control, there.index) == (f"{home}/m", "/in/kim", f"{home}/c", f"{home}/m")
    there = location.parse_location("maildir:/m/kim:INDEX=~/index:LAYOUT=Maildir++", home)
    assert (there.root, there.index_file) == ("/m/kim", "/home/kim/index/mas-index.sqlite")
    there = location.parse_location("maildir:~/m:LAYOUT=fs:DIRNAME=mAildir", home)
    assert (there.nested, there.dirname, there.inbox) == (True, "mAildir", f"{home}/m/INBOX/mAildir")
    there = location.parse_location("maildir:~/m:DIRNAME=x:INBOX=~/in:LAYOUT=fs:CONTROL=~/m", home)
    assert (there.inbox, there.control) == (f"{home}/in", "")
    for text in (
        "mbox:~/mail",
        "maildir:mail",
        "maildir:~/m:LAYOUT=odd",
        "maildir:~/m:DIRNAME=x",
        "maildir:~/m:LAYOUT=fs:DIRNAME=a/b",
        "maildir:~/m:CONTROL=c",
        "maildir:~/m:X=/y",
        "maildir:/a\0b",
        "",
    ):
        with pytest.raises(StorageUnavailable):
            location.parse_location(text, home)


def test_append_takes_a_torn_line_away(tmp_path: Path) -> None:
    path = tmp_path / "dovecot-uidlist"
    synced: list[str] = []
    whole = uidlist.encode_header(1, 2, "0" * 32) + b"1 :a\n"
    for tail in (b"2 :to", b"\0\0\0\0", b"2 "):
        path.write_bytes(whole + tail)
        assert uidlist.parse_uidlist(path.read_bytes()).torn
        uidlist.append_uidlist(str(path), [(2, "b")], lambda fd, path: synced.append(path))
        assert path.read_bytes() == whole + b"2 :b\n"
        assert not uidlist.parse_uidlist(path.read_bytes()).torn
    assert synced == [str(path)] * 3


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_ranges_without_others(one: set[int], two: set[int]) -> None:
    left = numbers.without(numbers.ranges_of(sorted(one)), numbers.ranges_of(sorted(two)))
    assert left == numbers.ranges_of(sorted(one - two))
