"""The same host in the words of 2.4 converts to the same file as in those of 2.3."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.dovecot_config.conversion import Kind
from mas.dovecot_config.convert import Converted, convert
from mas.dovecot_config.files import import_dovecot
from mas.dovecot_config.grammar import DovecotConfigError
from mas.dovecot_config.tree import build

REAL = Path(__file__).parent / "dovecot24"

HOST = """\
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols {
  imap = yes
  lmtp = yes
  sieve = yes
}
hostname = mail.example.net
mail_driver = maildir
mail_path = ~/Maildir
mailbox_list_layout = maildir++
mail_index_path = /var/index/%{user}
mail_uid = vmail
mail_gid = vmail
mail_plugins {
  quota = yes
}
auth_mechanisms = plain login
auth_username_format = %{user | lower}
auth_allow_cleartext = no
ssl = required
ssl_server_cert_file = /etc/ssl/cert.pem
ssl_server_key_file = /etc/ssl/key.pem
ssl_server_prefer_ciphers = server
sql_driver = mysql
mysql 127.0.0.1 {
  user = mailuser
  password = "a b"
  dbname = mailserver
}
passdb sql {
  query = SELECT username, domain, password FROM users WHERE username = '%{user | username}' AND domain = '%{user | domain}'
  default_password_scheme = SHA512-CRYPT
}
userdb static {
  fields {
    uid = vmail
    gid = vmail
    home = /var/vmail/%{user | domain}/%{user | username}
  }
  allow_all_users = yes
}
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
    user = postfix
    group = postfix
  }
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
namespace inbox {
  inbox = yes
  separator = .
  mailbox Junk {
    auto = subscribe
    special_use = \\Junk
    autoexpunge = 90d
    quota_storage_extra = 500M
    sieve_script spam {
      type = before
      cause = copy append
      path = /etc/dovecot/learn-spam.sieve
    }
    imapsieve_from Trash {
      sieve_script ham {
        type = before
        cause = copy
        path = /etc/dovecot/learn-ham.sieve
      }
    }
  }
  mailbox Trash {
    special_use = \\Trash
    quota_storage_percentage = 110
  }
}
quota "User quota" {
  driver = count
  storage_size = 15G
  warning full {
    storage_percentage = 95
    execute quota-warning {
      args = 95 %{user}
    }
  }
}
quota_mail_size = 25M
service quota-warning {
  executable = script /usr/local/bin/quota-warning.sh
  unix_listener quota-warning {
    user = vmail
  }
}
protocol imap {
  mail_max_userip_connections = 50
  mail_plugins {
    imap_quota = yes
    imap_sieve = yes
  }
}
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
sieve_script personal {
  path = ~/sieve
  active_path = ~/.active.sieve
}
sieve_script default {
  type = default
  path = /etc/dovecot/default.sieve
}
sieve_script first {
  type = before
  path = /etc/dovecot/first.sieve
}
sieve_plugins {
  sieve_imapsieve = yes
  sieve_extprograms = yes
}
sieve_extensions {
  editheader = yes
  reject = no
}
sieve_vacation_min_period = 1h
sieve_quota_script_count = 10
local_name mail.example.org {
  ssl_server_cert_file = /etc/ssl/other.pem
  ssl_server_key_file = /etc/ssl/other.key
}
"""


SQL = "sql_driver = mysql\nmysql h {\n user = u\n}\npassdb sql {\n query = SELECT password FROM users WHERE name = '%{user}'\n}\n"
EVENT = "protocol imap {\n mail_plugins {\n imap_sieve = yes\n }\n}\nsieve_plugins {\n sieve_imapsieve = yes\n}\n"


def converted(text: str) -> tuple[dict[str, Any], Converted]:
    def nothing(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    done = convert(build(text, "dovecot.conf", lambda pattern, relative_to: []), nothing)
    return tomllib.loads(done.text), done


def test_a_real_24() -> None:
    """Debian's tree of 2.4.1 with a usual guide's changes, and what its doveconf -nP prints of it."""
    expected = (REAL / "mas.toml").read_text()
    for source in (REAL, REAL / "doveconf"):
        done = import_dovecot(str(source))
        assert done.text == expected, source
        assert done.remarks == (), source


def test_a_whole_host() -> None:
    tree, done = converted(HOST)
    assert [str(remark) for remark in done.remarks if remark.kind is not Kind.CHECK] == []
    assert tree["tls"]["sni"] == [
        {"names": ["mail.example.org"], "cert": "/etc/ssl/other.pem", "key": "/etc/ssl/other.key"}
    ]
    assert tree["tls"]["cert"] == "/etc/ssl/cert.pem"
    assert tree["mail"] == {"location": "maildir:~/Maildir:INDEX=/var/index/%u"}
    assert tree["passdb"] == [{"url": "mysql+aiomysql://mailuser:a%20b@127.0.0.1/mailserver"}]
    assert tree["userdb"] == [{"home": "/var/vmail/%d/%n", "allow_all_users": True}]
    assert tree["auth"]["socket"][0]["path"] == "/var/spool/postfix/private/auth"
    assert tree["lmtp"]["socket"][0]["path"] == "/var/spool/postfix/private/dovecot-lmtp"
    assert [box["name"] for box in tree["mailbox"]] == ["Junk", "Trash"]
    assert tree["quota"]["rules"] == ["*:storage=15G", "Junk:storage=+500M", "Trash:storage=+10%"]
    assert tree["quota"]["warning"] == [
        {"threshold": "storage=95%", "command": ["/usr/local/bin/quota-warning.sh", "95", "%u"]}
    ]
    assert tree["quota"]["max_mail_size"] == "25M"
    sieve = tree["sieve"]
    assert (sieve["active"], sieve["default"], sieve["before"]) == (
        "~/.active.sieve", "/etc/dovecot/default.sieve", ["/etc/dovecot/first.sieve"],
    )  # fmt: skip
    assert (sieve["extensions"], sieve["vacation_min_period"], sieve["max_scripts"]) == (
        "+editheader -reject",
        "1h",
        10,
    )
    assert [(rule["mailbox"], rule.get("from"), rule["causes"]) for rule in tree["imapsieve"]] == [
        ("Junk", None, ["COPY", "APPEND"]),
        ("Junk", "Trash", ["COPY"]),
    ]
    assert "prefer_server_ciphers" not in tree["tls"]
    assert "user_concurrency_limit" not in tree.get("lmtp", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auth_allow_cleartext = yes", "never takes a password before TLS"),
        ("ssl_server_cert_file = /x\nquota a {\n storage_size = 1G\n odd = 1\n}", "no such setting"),
        ("sieve_script x {\n type = odd\n path = /x\n}", "no scripts of type odd"),
        ("@other = x", "there is no such group"),
        ("namespace inbox {\n inbox = yes\n mailbox Trash {\n quota_odd = 1\n }\n}", "no such limit"),
        ("passdb pam {\n}", "pam"),
        ("sieve_script x {\n driver = dict\n name = y\n}", "scripts are files in MAS"),
        ("sieve_script x {\n path = /x\n}\nsieve_script y {\n path = /y\n}", "one place of personal scripts"),
        ("sieve_script x {\n type = before\n path = /x\n precedence = 2\n}", "in the order of the file"),
        ("protocol lmtp {\n mail_path = /x\n}", "one place of mail"),
        ("local 127.0.0.1 {\n sql_driver = sqlite\n}", "one value"),
        ("protocol lmtp {\n auth_username_format = %{user | username | lower}\n}", "other users are looked up"),
        ("mail_driver = maildir\nmail_path = ~/M\nmailbox_list_utf8 = yes", "UTF-8"),
        ("mail_driver = maildir\nmail_path = ~/M\nmail_alt_path = /alt", "mail_alt_path"),
        ("mail_driver = maildir\nmail_path = ~/M\nmail_control_path = ~/M", "mail_control_path"),
        (
            "mail_driver = maildir\nmail_path = ~/M\nmail_control_path = ~/C\nmailbox_list_layout = fs\nmailbox_directory_name = d",
            "mail_control_path",
        ),
        (f"mysql one {{\n user = u\n password = # hidden, use -P to show it\n}}\n{SQL}", "doveconf -nP"),
        (f"mysql one {{\n user = u\n}}\nmysql two {{\n user = u\n}}\n{SQL}", "only the first of several hosts"),
        (f"{SQL}userdb sql {{\n query = SELECT path AS mail_path FROM users\n}}", "mail_path"),
        (f"{SQL}userdb sql {{\n query = SELECT home, quota AS quota_storage_size FROM users\n}}", "quota_rule"),
        (
            SQL + "passdb y {\n driver = sql\n query = SELECT 1 AS password WHERE '%{original_user}' = 'x'\n}\n",
            "no %{original_user}",
        ),
        ("quota a {\n storage_size = 1G\n quota_clone {\n odd = 1\n }\n}", "no such setting"),
    ],
)
def test_what_is_named(text: str, said: str) -> None:
    _, done = converted("dovecot_config_version = 2.4.1\n" + text)
    assert any(said in str(remark) for remark in done.remarks), done.remarks


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        # Real 2.4.1: INBOX is the Maildir itself, unless its path is said to be empty.
        ("mail_driver = maildir\nmail_path = /m/%{user}", "mail.location", "maildir:/m/%u"),
        ("mail_driver = maildir\nmail_path = ~/M\nmail_inbox_path =", "mail.location", "maildir:~/M:INBOX=~/M/.INBOX"),
        ("mail_driver = maildir\nnamespace inbox {\n inbox = yes\n mail_path = ~/Other\n}", "mail.location", "maildir:~/Other"),
        ("ssl_server {\n cert_file = /c\n}", "tls.cert", "/c"),
        ("ssl_server {\n prefer_ciphers = client\n}", "tls.prefer_server_ciphers", False),
        ("service lmtp {\n inet_listener x {\n listen = 127.0.0.1\n port = 24\n }\n}", "lmtp.listener", [{"port": 24}]),
        ("mail_plugins {\n quota = yes\n}\nquota_storage_size = 1G\nquota U {\n}", "quota.rules", ["*:storage=1G"]),
        ("mail_plugins {\n quota = yes\n}\nquota U {\n storage_size = 1G\n}", "quota.grace", "10M"),
        (f"mysql h {{\n user = u\n connection_limit = 7\n}}\n{SQL}", "passdb.0.max_connections", 7),
        (f"{SQL}userdb sql {{\n query = SELECT home FROM users\n fields {{\n uid = mail\n gid = mail\n }}\n}}", "mail.uid", "mail"),
        (f"{SQL}passdb x {{\n driver = sql\n sql_query = SELECT 'z' AS password\n}}", "passdb.1.query", "SELECT 'z' AS password"),
        # A mailbox outside of a namespace: its scripts run at IMAP's events, never at each delivery.
        (f"{EVENT}mailbox Spam {{\n sieve_script a {{\n type = before\n cause = copy\n path = /x\n }}\n}}", "imapsieve",
         [{"mailbox": "Spam", "causes": ["COPY"], "before": "/x"}]),
        (f"{EVENT}mailbox Spam {{\n sieve_script a {{\n type = before\n cause = copy\n path = /x\n }}\n}}", "sieve.before", None),
    ],
)  # fmt: skip
def test_what_a_real_24_means(text: str, key: str, value: Any) -> None:
    tree, _ = converted("dovecot_config_version = 2.4.1\n" + text)
    found: Any = tree
    for part in key.split("."):
        found = found[int(part)] if isinstance(found, list) else found.get(part, {})
    assert (found or None if value is None else found) == value


def test_the_group_of_default_mailboxes() -> None:
    tree, _ = converted(
        "dovecot_config_version = 2.4.1\nnamespace inbox {\n inbox = yes\n @mailbox_defaults = english\n}\n"
    )
    assert [box["name"] for box in tree["mailbox"]] == ["Drafts", "Junk", "Trash", "Sent"]


_LINES = HOST.splitlines()[2:]


@given(st.lists(st.sampled_from(_LINES), max_size=25))
def test_any_lines_convert_or_are_refused(lines: list[str]) -> None:
    with contextlib.suppress(DovecotConfigError):
        converted("dovecot_config_version = 2.4.1\n" + "\n".join(lines))
