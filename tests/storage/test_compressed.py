"""Compressed message files, as Dovecot's zlib plugin writes them: served as the messages that they hold."""

from __future__ import annotations

import bz2
import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mas.errors import Rejected, StorageUnavailable
from mas.storage import compressed, maintenance
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import INBOX, Column, MailboxName
from mas.storage.query import Text
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.test_account import put


def as_lz4(data: bytes, chunk: int = 65536) -> bytes:
    """Dovecot's own framing of LZ4 blocks."""
    out = b"Dovecot-LZ4\x0d\x2a\x9b\xc5" + struct.pack(">I", chunk)
    for start in range(0, len(data), chunk):
        block = lz4.block.compress(data[start : start + chunk], store_size=False)
        out += struct.pack(">I", len(block)) + block
    return out


METHODS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip in two members": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "zstd in two frames": lambda data: zstandard.compress(data[:50]) + zstandard.compress(data[50:]),
    "lz4": as_lz4,
}
SMALL = b"Subject: small\nFrom: Kim <kim@example.net>\n\n" + b"A line of zebras.\n" * 90
LARGE = b"Subject: large\nFrom: Kim <kim@example.net>\n\n" + b"A line of yaks.\n" * 90_000


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("named", [True, False], ids=["sizes named", "sizes not named"])
@pytest.mark.parametrize("method", METHODS)
async def test_served_as_the_message_that_it_holds(store: MaildirStore, user: User, method: str, named: bool) -> None:
    account = await store.open(user)
    for number, message in enumerate((SMALL, LARGE), 1):
        sizes = f",S={len(message)},W={len(crlf(message))}" if named else ""
        path = user.home / f"Maildir/cur/{number}.M1P1.host{sizes}:2,SZ"
        path.write_bytes(METHODS[method](message))
    selection = await account.select(INBOX)
    assert list(selection.snapshot.uids) == [1, 2]
    rows = [row async for batch in selection.fetch([1, 2], [Column.SIZE, Column.ENVELOPE]) for row in batch]
    assert [row[1] for row in rows] == [len(crlf(SMALL)), len(crlf(LARGE))]
    assert b'"small"' in bytes(str(rows[0][2]), "ascii")
    found = {}
    async for batch in selection.octets([1, 2], Section()):
        for uid, octets in batch:
            found[uid] = octets if isinstance(octets, bytes) else b"".join([piece async for piece in octets.chunks()])
    assert found == {1: crlf(SMALL), 2: crlf(LARGE)}
    async for batch in selection.octets([2], Section(text=SectionText.TEXT)):
        for _, octets in batch:
            assert not isinstance(octets, bytes)
            assert b"".join([piece async for piece in octets.chunks(5)]) == crlf(LARGE).partition(b"\r\n\r\n")[2][5:]
    assert (await selection.search(Text("zebras"))) == [1]
    # A copy is the same file under another name, and so are its sizes.
    await account.create(MailboxName("Copies"))
    await selection.copy([1], MailboxName("Copies"))
    copies = await account.select(MailboxName("Copies"))
    async for batch in copies.octets([1], Section()):
        assert list(batch) == [(1, crlf(SMALL))]
    assert await maintenance.check(account) == []


@pytest.mark.parametrize("method", METHODS)
async def test_damaged_files_are_one_messages_trouble(store: MaildirStore, user: User, method: str) -> None:
    """Cut short, or other octets: it cannot be read; the mailbox and the other messages can."""
    account = await store.open(user)
    whole = METHODS[method](SMALL)
    cut = user.home / "Maildir/cur/1.M1P1.host:2,"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    bomb = user.home / f"Maildir/cur/2.M1P1.host,S=10,W={len(SMALL) // 2}:2,"
    bomb.write_bytes(whole)
    await put(store, account)
    selection = await account.select(INBOX)
    assert list(selection.snapshot.uids) == [1, 2, 3]
    rows = [row async for batch in selection.fetch([1, 2, 3], [Column.ENVELOPE]) for row in batch]
    assert [row[0] for row in rows] == [2, 3]
    with pytest.raises(StorageUnavailable, match="compressed message"):
        [batch async for batch in selection.octets([1], Section())]
    assert [len(batch) async for batch in selection.octets([3], Section())] == [1]
    assert await maintenance.check(account) == []


@given(st.sampled_from([METHODS[name](SMALL) for name in METHODS]), st.data())
def test_any_damage_is_an_oserror(whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=30)) + whole[at + data.draw(st.integers(0, 30)) :]
    try:
        assert len(compressed.plain(damaged, 10_000)) <= max(10_000, len(damaged))
    except OSError:
        pass


@given(st.binary(max_size=40))
def test_what_is_not_compressed_stays(data: bytes) -> None:
    if not compressed.is_compressed(data):
        assert compressed.plain(data) is data


def test_names_of_headers_are_not_compressed() -> None:
    for head in (b"Date: x", b"Dovecot-LZ4: no", b"BZh9: no", b"Bcc: x", b"Delivered-To: x", b"(x", b"\x1f", b""):
        assert not compressed.is_compressed(head)


@pytest.mark.parametrize("method", METHODS)
async def test_a_message_cannot_pretend(store: MaildirStore, user: User, method: str) -> None:
    """Whoever could store one would choose what every program on the Maildir takes it for."""
    account = await store.open(user)
    for octets in (METHODS[method](SMALL), METHODS[method](os.urandom(400_000))):
        incoming = store.incoming(account.user)
        await incoming.write(octets)
        with pytest.raises(Rejected):
            await incoming.finish()
        await incoming.__aexit__(None, None, None)
    assert await account.status([INBOX]) == await account.status([MailboxName("INBOX")])


def test_a_large_file_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(LARGE))
    with path.open("rb") as file, compressed.mapped(file.fileno(), len(LARGE)) as found:
        assert found[:] == LARGE
    with path.open("rb") as file, pytest.raises(OSError, match="larger than"):
        compressed.mapped(file.fileno(), len(LARGE) - 1)
