"""Whole configurations and single settings: what MAS's file gets, and what is said of the rest. Every output is a file that MAS takes."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mas.config import load, loads
from mas.dovecot_config.conversion import Kind
from mas.dovecot_config.convert import Converted, convert
from mas.dovecot_config.files import import_dovecot, read
from mas.dovecot_config.grammar import DovecotConfigError
from mas.dovecot_config.settings import DEFAULTS, TABLE
from mas.dovecot_config.tree import build
from tests.cli.program import run
from tests.support.dovecot_guide import PACKAGE, Guide
from tests.support.dovecot_guide24 import guide_class
from tests.support.dovecot_version import is_24
from tests.support.servers import need

TLS = "ssl_cert = </dev/null\nssl_key = </dev/null\n"
SQL = """\
driver = mysql
connect = host=127.0.0.1 port=3307 dbname=mail user=mas password="p@ss # w/rd"
default_pass_scheme = BLF-CRYPT
password_query = SELECT email AS user, password FROM mailbox WHERE email = '%Lu'
user_query = SELECT CONCAT('*:bytes=', quota) AS quota_rule, home FROM mailbox WHERE email = '%u'
"""
ACCOUNTS = """\
passdb {
  driver = sql
  args = /sql
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=/var/vmail/%d/%n
}
"""


def converted(text: str, sql: str = SQL, **files: str) -> tuple[dict[str, Any], Converted]:
    """The TOML of a configuration, which MAS takes, and all that was said."""

    def given_files(path: str) -> str:
        known = {"/sql": sql, **files}
        if path in known:
            return known[path]
        raise FileNotFoundError(2, "No such file or directory")

    done = convert(build(text, "dovecot.conf", lambda pattern, relative_to: []), given_files)
    loads(done.text, Path("/etc/mas/mas.toml"))
    return tomllib.loads(done.text), done


def left(done: Converted) -> list[str]:
    return [str(remark) for remark in done.remarks if remark.kind is not Kind.CHECK]


def with_accounts(text: str, **files: str) -> tuple[dict[str, Any], list[str]]:
    tree, done = converted(TLS + ACCOUNTS + text, **files)
    return tree, left(done)


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("protocols = imap lmtp", "protocols", ["imap", "lmtp"]),
        ("listen = 192.0.2.1, ::1", "listen", ["192.0.2.1", "::1"]),
        ("hostname = mx.example.net", "hostname", "mx.example.net"),
        ("ssl_min_protocol = TLSv1.3", "tls.min_version", "TLSv1.3"),
        ("ssl_dh = </dev/null", "tls.dh_params", "/dev/null"),
        ("ssl_cipher_list = HIGH", "tls.ciphers", "HIGH"),
        ("auth_mechanisms = plain login scram-sha-256", "auth.mechanisms", ["PLAIN", "LOGIN", "SCRAM-SHA-256"]),
        ("auth_username_format = %Ln", "auth.username_format", "%Ln"),
        ("auth_master_user_separator = *", "auth.master_user_separator", "*"),
        ("auth_username_chars =", "auth.username_chars", ""),
        ("auth_cache_size = 20M", "auth.cache_size", "20M"),
        ("auth_cache_ttl = 5 mins", "auth.cache_ttl", "5m"),
        ("auth_failure_delay = 3 secs", "auth.failure_delay", "3s"),
        ("login_trusted_networks = 192.0.2.0/24", "auth.login_trusted_networks", ["192.0.2.0/24"]),
        ("auth_debug = yes", "log.level", "debug"),
        ("mail_location = maildir:/srv/%d/%n/Maildir:INDEX=/idx/%u", "mail.location", "maildir:/srv/%d/%n/Maildir:INDEX=/idx/%u"),
        ("mail_max_keyword_length = 100", "mail.max_keyword_length", 100),
        ("postmaster_address = post@example.net", "postmaster", "post@example.net"),
        ("recipient_delimiter = -", "lmtp.recipient_delimiter", "-"),
        ("lda_mailbox_autocreate = yes", "lmtp.mailbox_autocreate", True),
        ("lmtp_hdr_delivery_address = original", "lmtp.delivery_address_header", "original"),
        ("lmtp_user_concurrency_limit = 5", "lmtp.user_concurrency_limit", 5),
        ("quota_full_tempfail = yes", "lmtp.quota_full_tempfail", True),
        ("protocol lmtp {\n lmtp_save_to_detail_mailbox = yes\n}", "lmtp.save_to_detail_mailbox", True),
        ("submission_host = relay.example.net\nsubmission_ssl = starttls", "sieve.submission", "smtp+starttls://relay.example.net:25"),
        ("sendmail_path = /opt/sendmail", "sieve.sendmail", "/opt/sendmail"),
        ("mail_max_userip_connections = 30", "managesieve.max_user_ip_connections", 30),
        ("protocol imap {\n mail_max_userip_connections = 30\n}", "imap.max_user_ip_connections", 30),
        ("imap_max_line_length = 2M", "imap.max_line", "2M"),
        ("protocol imap {\n imap_capability = +X-A\n}", "imap.capability", "+X-A"),
        ("protocol sieve {\n managesieve_max_compile_errors = 9\n}", "managesieve.max_compile_errors", 9),
        ("service imap-login {\n inet_listener imap {\n port = 0\n }\n}", "imap.port", 0),
        ("service imap-login {\n inet_listener imaps {\n port = 10993\n }\n}", "imap.tls_port", 10993),
        ("service managesieve-login {\n inet_listener sieve {\n port = 2000\n }\n}", "managesieve.port", 2000),
        ("service imap-login {\n inet_listener other {\n port = 1143\n }\n inet_listener more {\n port = 1144\n address = ::1 ::2\n }\n}",
         "imap.listener", [{"address": "::1", "port": 1144, "tls": False}, {"address": "::2", "port": 1144, "tls": False}]),
        # The plain port for this host alone stays for this host alone.
        ("service imap-login {\n inet_listener imap {\n address = 127.0.0.1\n }\n}", "imap.port", 0),
        ("service imap-login {\n inet_listener imap {\n address = 127.0.0.1\n }\n}", "imap.listener",
         [{"port": 143, "tls": False}]),
        ("service managesieve-login {\n inet_listener sieve {\n port = 4190\n }\n inet_listener sieve_deprecated {\n port = 2000\n }\n}",
         "managesieve.listener", [{"address": "*", "port": 2000}, {"address": "::", "port": 2000}]),
        ("listen = 127.0.0.2\nservice lmtp {\n inet_listener lmtp {\n port = 24\n }\n}", "lmtp.listener",
         [{"address": "127.0.0.2", "port": 24}]),
        ("service lmtp {\n inet_listener lmtp {\n address = ::1\n port = 24\n }\n}", "lmtp.listener", [{"address": "::1", "port": 24}]),
        ("service lmtp {\n unix_listener lmtp {\n mode = 0660\n group = mail\n }\n}", "lmtp.socket",
         [{"path": "/run/dovecot/lmtp", "mode": "0660", "group": "mail"}]),
        ("service auth {\n unix_listener /p/auth {\n mode = 0660\n }\n unix_listener /p/off {\n mode = 0\n }\n}", "auth.socket",
         [{"path": "/p/auth", "mode": "0660"}]),
        ("haproxy_trusted_networks = 192.0.2.0/24\nhaproxy_timeout = 9 secs", "proxy",
         {"trusted_networks": ["192.0.2.0/24"], "timeout": "9s"}),
        ("listen = ::1\nhaproxy_trusted_networks = ::1\nservice imap-login {\n inet_listener x {\n port = 10993\n ssl = yes\n "
         "haproxy = yes\n }\n}",
         "imap.listener", [{"address": "::1", "port": 10993, "proxy": True}]),
        ("service anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n}", "auth.penalty", False),
        ("local_name a.example.net {\n ssl_cert = </dev/null\n ssl_key = </dev/null\n}", "tls.sni",
         [{"names": ["a.example.net"], "cert": "/dev/null", "key": "/dev/null"}]),
        ("namespace inbox {\n inbox = yes\n separator = /\n}", "mail.separator", "/"),
        ("namespace {\n inbox = yes\n mailbox \"Sent Messages\" {\n special_use = \\Sent\n autoexpunge = 30 days\n }\n}", "mailbox",
         [{"name": "Sent Messages", "special_use": "\\Sent", "autoexpunge": "30d"}]),
        ("", "mailbox", []),
        ("plugin {\n sieve = file:/srv/sieve/%u;active=/srv/active/%u\n}", "sieve.active", "/srv/active/%u"),
        ("plugin {\n sieve = ~/my.sieve\n sieve_dir = ~/scripts\n}", "sieve.dir", "~/scripts"),
        ("plugin {\n sieve_before = /a\n sieve_before2 = file:/b;bindir=/c\n}", "sieve.before", ["/a", "/b"]),
        ("plugin {\n sieve_extensions = +editheader -reject\n}", "sieve.extensions", "+editheader -reject"),
        ("plugin {\n sieve_max_redirects = 100\n}", "sieve.max_redirects", 100),
        ("plugin {\n sieve_vacation_min_period = 5s\n}", "sieve.vacation_min_period", "5s"),
        ("plugin {\n sieve_vacation_dont_check_recipient = yes\n}", "sieve.vacation_check_recipient", False),
        ("plugin {\n sieve_vacation_use_original_recipient = yes\n}", "sieve.vacation_use_original_recipient", None),
        ("plugin {\n sieve_vacation_to_header_ignore_envelope = yes\n}", "sieve.vacation_to_header_ignore_envelope", True),
        ("plugin {\n sieve_enabled = no\n}", "sieve.enabled", False),
        (
            "plugin {\n sieve_vacation_default_subject_template = Re: %{subject}\n}",
            "sieve.vacation_default_subject_template",
            "Re: %$",
        ),
        ("plugin {\n sieve_vacation_max_subject_codepoints = 80\n}", "sieve.vacation_max_subject_codepoints", 80),
        ("plugin {\n sieve_redirect_envelope_from = \"<robot@example.net>\"\n}", "sieve.redirect_envelope_from", "<robot@example.net>"),
        ("plugin {\n sieve_quota_max_storage = 50M\n}", "sieve.max_storage", "50M"),
        ("plugin {\n sieve_discard = file:/srv/d.sieve\n}", "sieve.discard", "/srv/d.sieve"),
        ("plugin {\n sieve_user_log = ~/sieve.log\n}", "sieve.user_log", "~/sieve.log"),
        ("plugin {\n sieve_global_extensions = +vnd.dovecot.pipe +date\n}", "sieve.global_extensions", "+vnd.dovecot.pipe +date"),
        ("plugin {\n sieve_implicit_extensions = +imap4flags\n}", "sieve.implicit_extensions", "+imap4flags"),
        ("plugin {\n sieve_editheader_protected = X-A X-B\n}", "sieve.editheader_protected", ["X-A", "X-B"]),
        ("plugin {\n sieve_notify_mailto_envelope_from = recipient\n}", "sieve.notify_mailto_envelope_from", "recipient"),
        ("plugin {\n imapsieve_expunge_discarded = yes\n}", "sieve.imapsieve_expunge_discarded", True),
        ("plugin {\n imapsieve_url = sieve://mail.example.net\n}", "sieve.imapsieve_url", "sieve://mail.example.net"),
        ("protocol imap {\n imap_metadata = no\n}", "metadata.enabled", False),
        ("mail_server_admin = mailto:x@example.net", "metadata.server_admin", "mailto:x@example.net"),
        ("mail_server_comment = Hello there", "metadata.server_comment", "Hello there"),
    ],
)  # fmt: skip
def test_one_setting(text: str, key: str, expected: Any) -> None:
    tree, said = with_accounts(text)
    value: Any = tree
    for part in key.split("."):
        value = value.get(part) if value is not None else None
    assert value == expected
    assert said == []


def test_a_layout_is_carried_over_only_where_the_store_takes_it() -> None:
    tree, said = with_accounts("mail_location = maildir:~/M:LAYOUT=fs")
    assert said == []
    assert tree["mail"] == {"location": "maildir:~/M:LAYOUT=fs", "separator": "/"}
    _, said = with_accounts("mail_location = maildir:~/M:LAYOUT=odd")
    assert "LAYOUT=odd" in said[0]


QUOTA = "mail_plugins = quota\nplugin {\n quota = count:%s\n %s\n}\n"


def test_quota() -> None:
    rules = "quota_rule = *:storage=1G\n quota_rule2 = Trash:storage=+100%%\n quota_grace = 50M\n quota_max_mail_size = 25M\n"
    warnings = "quota_warning = storage=95%% warn 95 %u\n quota2 = dict:Domain:%d:proxy::sqlquota\n quota2_rule = *:storage=1T\n"
    service = (
        "service warn {\n executable = script /usr/local/bin/warn -v\n unix_listener warn {\n user = vmail\n }\n}\n"
    )
    tree, said = with_accounts(QUOTA % ("User quota", rules + warnings) + service)
    assert tree["quota"] == {
        "rules": ["*:storage=1G", "Trash:storage=+100%"],
        "grace": "50M",
        "max_mail_size": "25M",
        "warning": [{"threshold": "storage=95%", "command": ["/usr/local/bin/warn", "-v", "95", "%u"]}],
        "root": [{"name": "Domain", "scope": "%d", "rules": ["*:storage=1T"]}],
    }
    assert said == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("plugin {\n quota = maildir\n quota_rule = *:storage=1G\n}", "is not loaded"),
        ("mail_plugins = quota\nplugin {\n quota_rule = *:storage=1G\n}", "no quota root"),
        (QUOTA % ("x", "quota_rule = *:storage=lots"), "expected a number"),
        (QUOTA % ("x", "quota_rule3 = *:storage=1G"), "behind a gap"),
        (QUOTA % ("x", "quota_warning = storage=95%% nobody 95"), "there is no service nobody"),
        (QUOTA % ("x", "quota_status_success = DUNNO"), "no policy service"),
        ("service quota-status {\n executable = quota-status -p postfix\n inet_listener {\n port = 12340\n }\n}", "no policy service"),
        ("protocols = imap pop3", "MAS has no pop3"),
        ("protocol pop3 {\n pop3_uidl_format = %g\n}", "MAS has no POP3"),
        ("ssl = no", "with TLS only"),
        ("disable_plaintext_auth = no", "never takes a password before TLS"),
        ("ssl_min_protocol = TLSv1", "TLS 1.2 and newer"),
        ("ssl_key_password = secret", "(not shown)"),
        ("auth_mechanisms = plain gssapi", "MAS has no GSSAPI"),
        ("auth_mechanisms = plain external", "EXTERNAL needs tls.client_ca"),
        ("auth_mechanisms = plain xoauth2", "XOAUTH2 needs [auth.oauth2]"),
        ("auth_failure_delay = 30s", "auth.failure_delay"),
        ("auth_username_format = %{if;%d;eq;;%n;%u}", "%{if"),
        ("mail_location = mdbox:~/mdbox", "not in mdbox"),
        ("mail_plugins = $mail_plugins acl quota", "MAS has no acl"),
        ("protocol imap {\n mail_location = maildir:/x\n}", "unknown"),
        ("protocol imap {\n auth_debug = yes\n}", "one value for all protocols"),
        ("remote 192.0.2.0/24 {\n disable_plaintext_auth = no\n}", "one value for all addresses"),
        ("namespace inbox {\n inbox = yes\n prefix = INBOX.\n}", "one namespace"),
        ("namespace {\n inbox = yes\n}\nnamespace shared {\n prefix = shared/%u/\n}", "one namespace"),
        ("namespace inbox {\n inbox = yes\n mailbox Trash/* {\n autoexpunge = 1d\n }\n}", "no % or *"),
        ("service imap {\n process_limit = 10000\n}", "no such processes"),
        ("service other-login {\n inet_listener other {\n port = 1143\n }\n}", "no port of the service"),
        ("service lmtp {\n inet_listener x {\n port = 24\n haproxy = yes\n }\n}", "no haproxy_trusted_networks"),
        ("plugin {\n zlib_save = lz4\n}", "stores messages as they are"),
        ("plugin {\n sieve = ldap:/x\n}", "not ldap:"),
        ("plugin {\n imapsieve_mailbox1_name = Junk\n}", "imap_sieve is not loaded"),
        ("log_path = /var/log/dovecot.log", "standard error"),
        ("no_such_setting = 1", "unknown"),
        ("mail_locaton = x", "did you mean mail_location"),
        ("plugin {\n no_such = 1\n}", "no plugin that is known"),
        ("local_name {\n ssl_cert = </dev/null\n ssl_key = </dev/null\n}", "a name and two files"),
        ("userdb {\n driver = prefetch\n default_fields = uid=root\n}", "say it in the query"),
        ("passdb {\n driver = sql\n args = /sql\n username_filter = *@example.org\n}", "others get in than before"),
        ("passdb {\n driver = sql\n args = /sql\n override_fields = allow_nets=10.0.0.0/8\n}", "others get in than before"),
        ("passdb {\n driver = sql\n args = /sql\n pass = yes\n}", "in their order"),
        ("protocol lmtp {\n auth_username_format = %n\n}", "other users are looked up"),
        ("namespace a {\n inbox = yes\n location = mbox:~/mail\n}", "not in mbox"),
        ("plugin {\n sieve_virustest_text_value3 = %u\n}", "a variable"),
        ("strange {\n a = 1\n b {\n c = 2\n }\n}", "unknown block"),
        ("ssl_alt_key = # hidden, use -P to show it", "doveconf has hidden the value"),
    ],
)  # fmt: skip
def test_what_is_left_out_says_why(text: str, why: str) -> None:
    _, said = with_accounts(text)
    assert any(why in line for line in said), said
    assert "secret" not in "".join(said)


@pytest.mark.parametrize(
    ("connect", "url"),
    [
        ("host=db.example.net dbname=m user=u password=p", "mysql+aiomysql://u:p@db.example.net/m"),
        ("host=localhost dbname=m user=u", "mysql+aiomysql://u@localhost/m?unix_socket=/run/mysqld/mysqld.sock"),
        ("host=/tmp/s dbname=m user=u", "mysql+aiomysql://u@localhost/m?unix_socket=/tmp/s"),
        (
            """host=::1 port=3307 dbname=m user=u password='a b/@"#'""",
            "mysql+aiomysql://u:a%20b%2F%40%22%23@[::1]:3307/m",
        ),
    ],
)
def test_mysql_connections(connect: str, url: str) -> None:
    tree, done = converted(TLS + ACCOUNTS, sql=f"driver = mysql\nconnect = {connect}\n")
    assert tree["passdb"][0]["url"] == url
    assert left(done) == []


def test_other_databases() -> None:
    tree, _ = converted(TLS + ACCOUNTS, sql="driver = pgsql\nconnect = host=db user=u dbname=m maxconns=3\n")
    assert tree["passdb"][0]["url"] == "postgresql+asyncpg://u@db/m"
    assert tree["passdb"][0]["max_connections"] == 3
    tree, _ = converted(TLS + ACCOUNTS, sql="driver = sqlite\nconnect = /etc/db.sqlite\n")
    assert tree["passdb"][0]["url"] == "sqlite+aiosqlite:////etc/db.sqlite"


def test_accounts() -> None:
    tree, done = converted(TLS + ACCOUNTS)
    assert tree["passdb"] == [
        {
            "url": "mysql+aiomysql://mas:p%40ss%20%23%20w%2Frd@127.0.0.1:3307/mail",
            "default_scheme": "BLF-CRYPT",
            "query": "SELECT email AS user, password FROM mailbox WHERE email = '%Lu'",
        }
    ]
    assert tree["userdb"] == [{"home": "/var/vmail/%d/%n"}]
    assert left(done) == []


def test_who_owns_the_mail() -> None:
    tree, done = converted(TLS + "mail_uid = 5000\nmail_gid = 5001\n" + ACCOUNTS.replace("uid=vmail gid=vmail ", ""))
    assert tree["mail"] == {"uid": "5000", "gid": "5001"}
    assert left(done) == []
    _, done = converted(TLS + "mail_uid = 5000\n" + ACCOUNTS)
    assert any("belongs to one user" in line for line in left(done))


def test_masters_and_the_socket_of_the_userdb() -> None:
    masters = "passdb {\n driver = sql\n master = yes\n pass = yes\n args = /sql\n}\n"
    text = "service auth {\n unix_listener /run/dovecot/auth-userdb {\n mode = 0660\n }\n}\n"
    tree, done = converted(TLS + "auth_master_user_separator = *\n" + masters + ACCOUNTS + text)
    assert [entry.get("master", False) for entry in tree["passdb"]] == [True, False]
    assert tree["auth"]["socket"][0]["type"] == "userdb"
    assert left(done) == []


def test_prefetch_then_sql() -> None:
    text = ACCOUNTS.split("userdb")[0] + "userdb {\n driver = prefetch\n}\nuserdb {\n driver = sql\n args = /sql\n}\n"
    tree, done = converted(TLS + text)
    assert [entry["driver"] for entry in tree["userdb"]] == ["prefetch", "sql"]
    assert "url" not in tree["userdb"][1]
    assert left(done) == []


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("driver = pam", "SQL databases only"),
        ("driver = sql\n deny = yes\n args = /sql", "refuses users"),
        ("driver = sql\n args = /nowhere", "No such file"),
        ("driver = sql", "without args"),
        ("args = /sql", "without a driver"),
    ],
)
def test_a_passdb_that_is_left_out(block: str, why: str) -> None:
    tree, done = converted(f"{TLS}passdb {{\n {block}\n}}\n")
    assert any(why in line for line in left(done))
    assert tree["passdb"] == [{"url": "sqlite+aiosqlite:////etc/mas/accounts.sqlite"}]
    assert "[[passdb]] below is a place for your accounts" in done.text


def test_a_query_that_mas_cannot_ask_is_left_out() -> None:
    _, done = converted(TLS + ACCOUNTS, sql=SQL.replace("'%Lu'", "'%Lu' AND '%w' = 'x'"))
    assert any("there is no %w" in line for line in left(done))


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    return {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}


def packaged() -> None:
    if not (PACKAGE / "conf.d" / "20-managesieve.conf").exists():
        need("/usr/lib/dovecot/managesieve")


def check(text: str, directory: Path) -> None:
    path = directory / "mas.toml"
    path.write_text(text)
    done = run("config", "--check", config=path)
    assert done.returncode == 0, done.stderr


@pytest.mark.e2e
def test_the_guide_converts_with_nothing_left_over(tmp_path: Path, certificate: dict[str, str]) -> None:
    packaged()
    if is_24():
        pytest.skip("Debian's files of Dovecot 2.3 are not installed; test_a_real_24 has those of 2.4")
    path = Guide(tmp_path / "dovecot", **certificate).write()
    done = import_dovecot(str(path))
    assert left(done) == []
    check(done.text, tmp_path)
    config = load(tmp_path / "mas.toml")
    assert config.auth.mechanisms == ("PLAIN", "LOGIN")
    assert [rule.name for rule in config.mailbox] == ["Drafts", "Sent", "Archives", "Junk", "Trash"]
    assert config.mailbox[3].autoexpunge == 90 * 86400
    assert config.quota.rules == ("*:storage=15G", "Trash:storage=+500M", "Junk:storage=+500M")
    assert config.quota.warning[0].command == ("/usr/local/bin/quota-warning.sh", "95", "%u")
    assert [str(socket.path) for socket in config.lmtp.socket] == ["/var/spool/postfix/private/dovecot-lmtp"]
    assert [str(socket.path) for socket in config.auth.socket] == ["/var/spool/postfix/private/auth"]
    assert config.imap.max_user_ip_connections == 50
    assert [rule.mailbox for rule in config.imapsieve] == ["Junk", "*"]
    assert [(remark.kind, remark.setting) for remark in done.remarks] == [(Kind.CHECK, "allow_all_users = yes")]


@pytest.mark.e2e
def test_the_guide_through_doveconf(tmp_path: Path, certificate: dict[str, str]) -> None:
    """The same from the output of ``doveconf -nP``; without -P the key (of 2.4, the database's password) is hidden, and said so."""
    packaged()
    guide = guide_class()(tmp_path / "dovecot", **certificate)
    guide.owner = guide.group = "nobody"
    path = guide.write()
    plain = {}
    for option in ("-nP", "-n"):
        output = subprocess.run(
            [need("doveconf"), "-c", path, option], capture_output=True, text=True, check=True, timeout=30
        )
        (tmp_path / f"doveconf{option}").write_text(output.stdout)
        plain[option] = import_dovecot(str(tmp_path / f"doveconf{option}"))
    direct = import_dovecot(str(path))
    ours, theirs = tomllib.loads(direct.text), tomllib.loads(plain["-nP"].text)
    for each in (ours, theirs):
        each["mailbox"].sort(key=lambda entry: entry["name"])
    assert ours == theirs
    assert left(plain["-nP"]) == []
    hidden = "password" if is_24() else "ssl_key"
    assert any(hidden in line and "doveconf -nP" in line for line in left(plain["-n"])), left(plain["-n"])


@pytest.mark.e2e
def test_the_package_as_it_comes(tmp_path: Path, certificate: dict[str, str]) -> None:
    """Debian's own files: an almost empty file, with a word on system accounts and mbox, which MAS has not."""
    packaged()
    shutil.copytree(PACKAGE / "conf.d", tmp_path / "conf.d")
    shutil.copy(PACKAGE / "dovecot.conf", tmp_path)
    guide = Guide(tmp_path)
    if is_24():
        files = {"ssl_server_cert_file": certificate["certificate"], "ssl_server_key_file": certificate["key"]}
    else:
        files = {"ssl_cert": f"<{certificate['certificate']}", "ssl_key": f"<{certificate['key']}"}
    guide.change("conf.d/10-ssl.conf", **files)
    done = import_dovecot(str(tmp_path))
    assert not done.of(Kind.UNKNOWN)
    tree = tomllib.loads(done.text)
    tables = {"protocols", "tls", "imap", "lmtp", "auth", "passdb", "userdb", "mailbox", "quota", "sieve"}
    assert set(tree) <= tables | ({"managesieve"} if is_24() else set())
    assert len([line for line in left(done) if "pam" in line or "passwd" in line or "mbox" in line]) == 3
    check(done.text, tmp_path)


@pytest.mark.e2e
def test_every_setting_of_this_dovecot_is_known(tmp_path: Path) -> None:
    """``doveconf -d``: no setting of the installed version is unknown, and its defaults are what an empty file means."""
    if is_24():
        pytest.skip("doveconf -d of Dovecot 2.4 prints what belongs into blocks as if it stood alone")
    output = subprocess.run([need("doveconf"), "-d"], capture_output=True, text=True, timeout=30).stdout
    (tmp_path / "defaults").write_text(output)
    done = import_dovecot(str(tmp_path / "defaults"))
    assert done.of(Kind.UNKNOWN) == []
    tree, empty = tomllib.loads(done.text), tomllib.loads(convert(build("", "f", lambda a, b: []), read).text)
    for key in DEFAULTS:
        section, _, name = key.partition(".")
        assert tree.get(section, {}).get(name) == empty.get(section, {}).get(name), key


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "dovecot.conf"
    path.write_text("protocols = imap pop3\nx {\n")
    done = run("import-dovecot", str(path))
    assert done.returncode == 1
    assert f"{path}:2: 'x {{' without its '}}'" in done.stderr
    path.write_text("protocols = imap pop3\nodd = 1\n")
    done = run("import-dovecot", str(path))
    assert done.returncode == 0
    assert f"#   {path}:1: protocols = imap pop3: MAS has no pop3\n" in done.stdout
    assert f"#   {path}:2: odd = 1: unknown\n" in done.stdout
    assert "1 left out, 1 unknown" in done.stderr
    assert '"kind": "unknown"' in run("import-dovecot", str(path), "--json").stdout
    assert run("import-dovecot", str(tmp_path / "nowhere")).returncode == 1


_KEYS = st.sampled_from([*TABLE, "mail_location", "mail_uid", "mail_home", "odd"])
_VALUES = st.text(max_size=30) | st.sampled_from(
    ["yes", "no", "10M", "5 mins", "maildir:~/M:LAYOUT=fs", "%u", "%%", "</x", "0660"]
)
_PLUGIN_KEYS = st.sampled_from(
    ["quota", "quota_rule", "quota_warning", "quota_grace", "sieve", "sieve_before", "sieve_max_actions", "x"]
)


@settings(deadline=None)
@given(st.lists(st.tuples(_KEYS, _VALUES), max_size=12), st.lists(st.tuples(_PLUGIN_KEYS, _VALUES), max_size=8))
def test_whatever_the_values_are_mas_takes_the_file(
    plain: list[tuple[str, str]], plugin: list[tuple[str, str]]
) -> None:
    lines = [f"{key} = {value}" for key, value in plain]
    lines += ["mail_plugins = quota", "plugin {", *(f"{key} = {value}" for key, value in plugin), "}"]
    with contextlib.suppress(DovecotConfigError):
        converted("\n".join(lines) + "\nprotocols = lmtp\nssl_cert =\nssl_key =\nssl_dh =\n")
