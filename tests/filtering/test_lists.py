"""External lists: files, and scripts that ask them or redirect to them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mas.config.filters import ExternalList
from mas.errors import ConfigError
from mas.filtering.lists import Lists
from mas.server.filtering import administrators_language, sieve_language
from mas.user import User
from tests.filtering.test_filter import MAIL, Host
from tests.protocols.lmtp.talk import config
from tests.support.memory_store import user

NAME = "tag:example.net,2026:friends"
KIM = user("kim@example.net")


def lists(path: Path, max_size: int = 1000) -> Lists:
    def path_of(template: str, user: User) -> Path:
        return Path(template.replace("%u", user.name))

    return Lists([ExternalList(name=NAME, file=f"{path}/%u")], path_of, max_size)


def test_a_file_is_a_list(tmp_path: Path) -> None:
    found = lists(tmp_path)
    assert not found.known(NAME, KIM)
    assert found.members(NAME, KIM) is None
    file = tmp_path / "kim@example.net"
    file.write_text("# friends\n\n Robin@Example.org \nStraße\n")
    assert found.known(NAME.upper(), KIM)
    assert not found.known("tag:other", KIM)
    assert not found.known(NAME, user("lee@example.net"))
    assert found.holds(NAME, ["nobody", "robin@example.ORG"], KIM)
    assert found.holds(NAME, ["STRASSE"], KIM)
    assert not found.holds(NAME, ["", "# friends", "robin"], KIM)
    assert found.members(NAME, KIM) == ["Robin@Example.org", "Straße"]
    file.write_text("lee@example.com\n")
    os.utime(file, (1, 1))
    assert found.members(NAME, KIM) == ["lee@example.com"]


@pytest.mark.parametrize("content", [b"x" * 1001, b"\xff"])
def test_files_that_are_no_list(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kim@example.net").write_bytes(content)
    assert not lists(tmp_path).known(NAME, KIM)
    (tmp_path / "lee@example.net").mkdir()
    assert not lists(tmp_path).holds(NAME, ["x"], user("lee@example.net"))


def host_with(tmp_path: Path, members: str, **sieve: Any) -> Host:
    host = Host(tmp_path, list=({"name": NAME, "file": "~/friends"},), **sieve)
    (host.home / "friends").write_text(members)
    return host


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (f'if address :list "from" "{NAME}" {{ discard; }}', False),
        (f'if header :list "subject" "{NAME}" {{ discard; }}', True),
        (f'if valid_ext_list "{NAME}" {{ discard; }}', False),
        (f'if valid_ext_list ["{NAME}", "tag:none"] {{ discard; }}', True),
        ('if address :list "from" "tag:none" { discard; }', True),
    ],
)
async def test_scripts_ask(tmp_path: Path, script: str, kept: bool) -> None:
    host = host_with(tmp_path, "robin@example.org\n")
    host.filter.scripts._registries[True] = sieve_language(host.filter.config)
    host.script('require "extlists"; ' + script)
    await host.deliver()
    assert host.counts() == ({"INBOX": 1} if kept else {})


@pytest.mark.parametrize(
    ("members", "sent"),
    [
        ("a@example.com\nb@example.com\nno address\n", ["a@example.com", "b@example.com"]),
        ("a@example.com\nb@example.com\nc@example.com\n", None),
        ("nothing\n", None),
    ],
)
async def test_redirect(tmp_path: Path, members: str, sent: list[str] | None) -> None:
    host = host_with(tmp_path, members, list_max_redirects=2)
    host.filter.scripts._registries[True] = sieve_language(host.filter.config)
    host.script(f'require "extlists"; redirect :list "{NAME}";')
    await host.deliver(MAIL)
    assert sorted(to for envelope, _ in host.sent for to in envelope.recipients) == (sent or [])
    assert host.counts() == ({} if sent else {"INBOX": 1})


def test_languages_of_users_and_administrators() -> None:
    def names(**sieve: Any) -> tuple[set[str], set[str]]:
        made = config(sieve=sieve)
        return set(sieve_language(made).extensions), set(administrators_language(made).extensions)

    users, administrators = names()
    assert users == administrators
    assert not users & {"extlists", "imapsieve", "vnd.dovecot.pipe", "mboxmetadata", "servermetadata"}
    users, administrators = names(
        list=({"name": NAME, "file": "/x"},),
        pipe_bin_dir="/usr/lib/programs",
        global_extensions="+editheader vnd.dovecot.filter",
        implicit_extensions="editheader +imap4flags",
    )
    assert "extlists" in users
    assert administrators - users == {"editheader", "vnd.dovecot.pipe"}
    made = config(sieve={"global_extensions": "+editheader", "implicit_extensions": "editheader +imap4flags"})
    assert sieve_language(made).implicit == {"imap4flags"}
    assert administrators_language(made).implicit == {"imap4flags", "editheader"}
    rule = config(imapsieve=({"mailbox": "Junk"},))
    assert "imapsieve" in administrators_language(rule).extensions
    assert "imapsieve" not in sieve_language(rule).extensions


@pytest.mark.parametrize("key", ["extensions", "global_extensions", "implicit_extensions"])
def test_unknown_names(key: str) -> None:
    with pytest.raises(ConfigError, match=f"sieve.{key}: unknown Sieve extension 'fileintoo'; did you mean 'fileinto'"):
        administrators_language(config(sieve={key: "fileintoo"}))
