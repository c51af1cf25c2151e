"""Every mistake of a file at once, each with its line, its key and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mas.config import Config, load, loads
from mas.errors import ConfigError

VALID = """
[tls]
cert = "cert.pem"
key = "key.pem"
[[passdb]]
url = "sqlite+aiosqlite:///accounts.sqlite"
[[userdb]]
home = "/var/vmail/%d/%n"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "cert.pem").touch()
    (tmp_path / "key.pem").touch()
    return tmp_path / "mas.toml"


def problems(text: str, file: Path) -> list[str]:
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    return [problem.removeprefix(f"{file}:") for problem in raised.value.problems]


def test_a_minimal_file_has_the_defaults(file: Path) -> None:
    config = loads(VALID, file)
    assert config.imap.max_line == 65536
    assert config.auth.failure_delay == 2.0
    assert config.lmtp.socket[0].mode == 0o600
    assert [rule.name for rule in config.mailbox] == ["Drafts", "Sent", "Archives", "Junk", "Trash"]
    assert config.tls.cert == file.parent / "cert.pem", "relative to the file's directory"
    assert config.hostname
    assert config.quota.grace.of(1000) == 100


def test_ten_mistakes_are_ten_problems(file: Path) -> None:
    text = r"""hostnam = "x"
listen = ["*", "nonsense"]
[imap]
max_lin = "64K"
port = "143"
idle_timeout = "3 fortnights"
[tls]
cert = "/nonexistent/cert"
key = "key.pem"
[[passdb]]
url = "mysql://u:secret@127.0.0.1/m"
default_scheme = "SHA512CRYPT"
query = "select '%q'"
[[mailbox]]
name = "Junk"
special_use = '\Jnk'
[quota]
rules = ["*:storage=15G", "Trash:stora=1"]
[[lmtp.socket]]
path = "/run/lmtp"
mode = 600
[auth]
cache_ttl = true
mechanisms = ["PLAIN", "SCRAM-SHA256"]
"""
    assert problems(text, file) == [
        '1: hostnam: unknown key; did you mean "hostname"?',
        '2: listen[2]: an address to listen on: "*" (all of IPv4), "::" (all of IPv6) or an IP address',
        '4: imap.max_lin: unknown key; did you mean "max_line"?',
        "5: imap.port: a whole number without quotes",
        '6: imap.idle_timeout: a duration is a number with a unit ms, s, m, h, d or w, as "90d"',
        "8: tls.cert: no such file: /nonexistent/cert",
        '12: passdb[1].default_scheme: "SHA512CRYPT" is no known password scheme; did you mean "SHA512-CRYPT"?',
        '13: passdb[1].query: "%q" is no known variable; there are %u %n %d %h %s %r %l',
        '16: mailbox[1].special_use: "\\Jnk" is no known special use; did you mean "\\Junk"?',
        "18: quota.rules: rule [2]: 'Trash:stora=1', column 7: expected storage=, bytes= or messages= or ignore",
        '21: lmtp.socket[1].mode: a mode is three octal digits in quotes, as "0600"',
        '23: auth.cache_ttl: a duration is a number with a unit ms, s, m, h, d or w, as "90d"',
        '24: auth.mechanisms[2]: "SCRAM-SHA256" is not known; did you mean "SCRAM-SHA-256"?',
        " userdb: at least one [[userdb]] is required",
    ]


def test_a_list_whose_only_entry_is_wrong_is_not_empty_as_well(file: Path) -> None:
    found = problems('[auth]\nmechanisms = ["PLIAN"]\n', file)
    assert [problem for problem in found if "auth" in problem] == [
        '2: auth.mechanisms[1]: "PLIAN" is not known; did you mean "PLAIN"?'
    ]
    assert "2: auth.mechanisms: at least one entry is required" in problems("[auth]\nmechanisms = []\n", file)


def test_no_problem_shows_a_secret(file: Path) -> None:
    for text in (
        '[[passdb]]\nurl = "oracle://u:hunter2@h/m"\n',
        '[[passdb]]\nurl = "mysql://u:hunter2@h/m"\nmax_connections = 0\n',
        '[rspamd]\ncontroller = "x"\npassword = ["hunter2"]\n',
    ):
        assert "hunter2" not in "\n".join(problems(text, file))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = \n", "1:5: Invalid value"),
        ("[imap]\n[imap]\n", "2:6: Cannot declare"),
        ('a = """\n\n', "3: Unterminated string"),
    ],
)
def test_toml_syntax_has_its_line(text: str, problem: str, file: Path) -> None:
    (found,) = problems(text, file)
    assert found.startswith(problem)


def test_what_is_no_file_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# fine\nhostname = '\xe9'\n")
    with pytest.raises(ConfigError, match=r"latin.toml:2: not UTF-8"):
        load(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (VALID + "[mail]\nmime_max_depth = 201\n", "mail.mime_max_depth: "),
        ("max_user_ip_connections = 5\n" + VALID, "unknown key here; there is imap.max_user_ip_connections and"),
        (VALID + "[imap]\nhostname = 'x'\n", "it belongs at the top of the file"),
        (VALID + "[imap]\nzzz = 'x'\n", "unknown key; there are port, tls_port, "),
        (VALID + "[quota.warning]\n", "a list in brackets"),
        (VALID.replace("home", "#"), "userdb[1].home: is required"),
        (VALID.replace("[[userdb]]", '[[userdb]]\ndriver = "sql"'), "userdb[1].query: is required"),
        (VALID.replace("key =", "#"), "tls.key: is required, since imap.port is on"),
        (VALID + "[[mailbox]]\nname='A'\n[[mailbox]]\nname='A'\n", '"A" is there twice'),
        (VALID + "[[quota.warning]]\nthreshold='storage=95%'\n", "one of command, mail = true or template"),
        (VALID + "[[quota.warning]]\nthreshold='storage95'\nmail=true\n", "column 1"),
        (VALID + "[[auth.socket]]\npath='/x'\n[[lmtp.socket]]\npath='/x'\n", "another socket's path"),
        (VALID + "[auth]\nfailure_delay = '9s'\n", "less than or equal to 8"),
        ("hang_timeout = '2s'\n" + VALID, "greater than or equal to 3"),
        (VALID + "[mail]\nlocation = 'mbox:~/mail'\n", "a Maildir, as"),
        (VALID + "[metadata]\nmax_value = 1023\n", "metadata.max_value: "),
        (VALID + "[metadata]\nmax_entries = 9\n", "metadata.max_entries: "),
        (VALID + "[metadata]\nserver_admin = 'postmaster'\n", "metadata.server_admin: "),
        (VALID + "[sieve]\nimapsieve_url = 'imap://x'\n", "sieve.imapsieve_url: "),
        (
            VALID + "[metadata]\nenabled = false\n[sieve]\nimapsieve_url = 'sieve://x'\n",
            "sieve.imapsieve_url: needs metadata.enabled",
        ),
        (VALID + "[mail]\nlocation = 'maildir:~/mail:LAYOUT=odd'\n", "there are LAYOUT=Maildir++ and LAYOUT=fs"),
        (VALID + "[mail]\nlocation = 'maildir:~/mail:DIRNAME=x'\n", "with LAYOUT=fs"),
    ],
)
def test_single_mistakes(text: str, problem: str, file: Path) -> None:
    (found,) = problems(text, file)
    assert problem in found


def test_values_from_files(file: Path) -> None:
    (file.parent / "secret").write_text("mysql://u:hunter2@127.0.0.1/mail\n")
    config = loads(VALID.replace('"sqlite+aiosqlite:///accounts.sqlite"', '"<secret"'), file)
    assert config.passdb[0].url.get_secret_value() == "mysql+aiomysql://u:hunter2@127.0.0.1/mail"
    assert "hunter2" not in repr(config)
    (found,) = problems(VALID + '[rspamd]\npassword = "<nowhere"\n', file)
    assert found == "10: rspamd.password: nowhere cannot be read: No such file or directory"


def test_dovecots_mark_before_a_certificate_is_understood(file: Path) -> None:
    assert loads(VALID.replace('"cert', '"<cert'), file).tls.cert == file.parent / "cert.pem"


def test_a_configuration_cannot_be_changed(file: Path) -> None:
    config: Config = loads(VALID, file)
    with pytest.raises(ValueError, match="frozen"):
        config.workers = 3


def test_an_address_in_brackets_is_no_file(tmp_path: Path) -> None:
    accounts = '[[passdb]]\nurl = "sqlite:////x"\n[[userdb]]\nhome = "/x/%u"\n'
    text = f'protocols = ["lmtp"]\n{accounts}[sieve]\nredirect_envelope_from = "<robot@example.net>"\n'
    assert loads(text, tmp_path / "mas.toml").sieve.redirect_envelope_from == "<robot@example.net>"
