"""The configuration that a guide to a mail host on Ubuntu ends with: the files of Debian's package, with the guide's changes.

Nothing is copied here: the tree is made from /usr/share/dovecot of the installed packages (dovecot-core, -imapd, -lmtpd, -managesieved,
-sieve), and ``Guide.change`` takes the ``#`` away from a line of theirs, as a reader of the guide does.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path("/usr/share/dovecot")

QUERIES = """\
driver = mysql
connect = {connect}
default_pass_scheme = SHA512-CRYPT
password_query = SELECT username, domain, password FROM users \\
  WHERE username = '%n' AND domain = '%d'
iterate_query = SELECT username, domain FROM users
"""


@dataclass(slots=True)
class Guide:
    """``directory`` becomes /etc/dovecot. ``spool`` is Postfix's private directory, ``mail`` where the homes are."""

    directory: Path
    mail: str = "/var/vmail"
    owner: str = "vmail"
    group: str = "vmail"
    spool: str = "/var/spool/postfix/private"
    certificate: str = "/etc/ssl/certs/example.net.chained.cert.pem"
    key: str = "/etc/ssl/private/example.net.key.pem"
    connect: str = "host=127.0.0.1 dbname=mailserver user=mailuser password=secret"
    socket_owner: str = "postfix"
    listen: str = "*, ::"
    warning: str = "/usr/local/bin/quota-warning.sh"

    def write(self) -> Path:
        """Write the tree; returns dovecot.conf."""
        shutil.copytree(PACKAGE / "conf.d", self.directory / "conf.d")
        shutil.copy(PACKAGE / "dovecot.conf", self.directory)
        queries = self.directory / "dovecot-sql.conf.ext"
        queries.write_text(QUERIES.format(connect=self.connect))
        self._dovecot_conf()
        self._auth(queries)
        self._mail()
        self._master()
        self._tls()
        self._delivery()
        self._mailboxes()
        self._protocols()
        self._plugins()
        return self.directory / "dovecot.conf"

    def change(self, file: str, **settings: str) -> None:
        """Set lines of a file that are there, commented out or not. KeyError-like assertion when there is none."""
        path = self.directory / file
        text = path.read_text()
        for key, value in settings.items():
            line = re.compile(rf"^([ \t]*)#?[ \t]?({key})[ \t]*=.*$", re.MULTILINE)
            assert line.search(text), f"{file} has no {key}"
            text = line.sub(lambda match, value=value: f"{match[1]}{match[2]} = {value}", text, count=1)  # type: ignore[misc]
        path.write_text(text)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text of a file."""
        path = self.directory / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def append(self, file: str, text: str) -> None:
        """Add to a file's end."""
        with (self.directory / file).open("a") as opened:
            opened.write(text)

    def _dovecot_conf(self) -> None:
        self.change("dovecot.conf", listen=self.listen)

    def _auth(self, queries: Path) -> None:
        self.change(
            "conf.d/10-auth.conf", disable_plaintext_auth="yes", auth_mechanisms="plain login", auth_username_format="%Lu",
            auth_cache_size="10M", auth_cache_ttl="1 hour", auth_cache_negative_ttl="1 min", auth_failure_delay="2 secs",
        )  # fmt: skip
        self.replace("conf.d/10-auth.conf", "!include auth-system.conf.ext", "#!include auth-system.conf.ext")
        self.replace("conf.d/10-auth.conf", "#!include auth-sql.conf.ext", "!include auth-sql.conf.ext")
        (self.directory / "conf.d/auth-sql.conf.ext").write_text(f"""\
passdb {{
  driver = sql
  args = {queries}
}}
userdb {{
  driver = static
  args = uid={self.owner} gid={self.group} home={self.mail}/%d/%n allow_all_users=yes
}}
""")

    def _mail(self) -> None:
        self.change(
            "conf.d/10-mail.conf", mail_location="maildir:~/Maildir", mail_uid=self.owner, mail_gid=self.group,
            mail_privileged_group=self.group, mail_plugins="$mail_plugins quota", first_valid_uid="100",
        )  # fmt: skip
        self.replace("conf.d/10-mail.conf", "  #separator = \n", "  separator = .\n")

    def _master(self) -> None:
        self.replace(
            "conf.d/10-master.conf", "service lmtp {\n  unix_listener lmtp {\n",
            f"service lmtp {{\n  unix_listener {self.spool}/dovecot-lmtp {{\n    mode = 0600\n    user = {self.socket_owner}\n"
            f"    group = {self.socket_owner}\n",
        )  # fmt: skip
        self.replace(
            "conf.d/10-master.conf", "  # Postfix smtp-auth\n",
            f"  unix_listener {self.spool}/auth {{\n    mode = 0660\n    user = {self.socket_owner}\n"
            f"    group = {self.socket_owner}\n  }}\n  # Postfix smtp-auth\n",
        )  # fmt: skip
        self.replace(
            "conf.d/10-master.conf", "  unix_listener auth-userdb {\n",
            f"  unix_listener auth-userdb {{\n    mode = 0600\n    user = {self.owner}\n",
        )  # fmt: skip

    def _tls(self) -> None:
        self.change(
            "conf.d/10-ssl.conf", ssl="required", ssl_cert=f"<{self.certificate}", ssl_key=f"<{self.key}",
            ssl_min_protocol="TLSv1.2", ssl_prefer_server_ciphers="yes",
            ssl_cipher_list="ECDHE+AESGCM:ECDHE+CHACHA20",
        )  # fmt: skip

    def _delivery(self) -> None:
        self.change(
            "conf.d/15-lda.conf", postmaster_address="postmaster@example.net", hostname="mail.example.net",
            quota_full_tempfail="no", recipient_delimiter="+", lda_mailbox_autocreate="yes", lda_mailbox_autosubscribe="yes",
        )  # fmt: skip
        self.replace(
            "conf.d/15-lda.conf", "  #mail_plugins = $mail_plugins\n", "  mail_plugins = $mail_plugins sieve\n"
        )
        self.change("conf.d/20-lmtp.conf", lmtp_save_to_detail_mailbox="no", lmtp_rcpt_check_quota="yes")
        self.replace(
            "conf.d/20-lmtp.conf", "  #mail_plugins = $mail_plugins\n",
            "  postmaster_address = postmaster@example.net\n  mail_plugins = $mail_plugins sieve\n",
        )  # fmt: skip

    def _mailboxes(self) -> None:
        (self.directory / "conf.d/15-mailboxes.conf").write_text("""\
namespace inbox {
  mailbox Drafts {
    auto = subscribe
    special_use = \\Drafts
  }
  mailbox Sent {
    auto = subscribe
    special_use = \\Sent
  }
  mailbox Archives {
    auto = subscribe
    special_use = \\Archive
  }
  mailbox Junk {
    auto = subscribe
    special_use = \\Junk
    autoexpunge = 90d
  }
  mailbox Trash {
    auto = subscribe
    special_use = \\Trash
    autoexpunge = 90d
  }
}
""")

    def _protocols(self) -> None:
        self.change("conf.d/20-imap.conf", imap_idle_notify_interval="2 mins", mail_max_userip_connections="50")
        self.replace(
            "conf.d/20-imap.conf",
            "  #mail_plugins = $mail_plugins\n",
            "  mail_plugins = $mail_plugins imap_quota imap_sieve\n",
        )
        self.change(
            "conf.d/20-managesieve.conf", managesieve_max_line_length="65536", managesieve_max_compile_errors="5",
            mail_max_userip_connections="10", managesieve_logout_format="bytes=%i/%o",
        )  # fmt: skip
        head = "#service managesieve-login {\n"
        self.replace(
            "conf.d/20-managesieve.conf", head,
            "service managesieve-login {\n  inet_listener sieve {\n    port = 4190\n  }\n}\n" + head,
        )  # fmt: skip

    def _plugins(self) -> None:
        self.append("conf.d/90-quota.conf", f"""
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=15G
  quota_rule2 = Trash:storage=+500M
  quota_rule3 = Junk:storage=+500M
  quota_grace = 10%%
  quota_max_mail_size = 25M
  quota_exceeded_message = Quota exceeded (mailbox for user is full)
  quota_warning = storage=95%% quota-warning 95 %u
  quota_warning2 = storage=80%% quota-warning 80 %u
}}
service quota-warning {{
  executable = script {self.warning}
  user = {self.owner}
  unix_listener quota-warning {{
    user = {self.owner}
    mode = 0660
  }}
}}
""")  # fmt: skip
        self.append("conf.d/90-sieve.conf", """
plugin {
  sieve_default = /var/lib/dovecot/sieve/default.sieve
  sieve_global = /var/lib/dovecot/sieve/
  sieve_before = /var/lib/dovecot/sieve/before.d/
  sieve_max_script_size = 1M
  sieve_max_actions = 32
  sieve_max_redirects = 4
  sieve_quota_max_scripts = 0
  sieve_quota_max_storage = 0
  sieve_plugins = sieve_imapsieve sieve_extprograms
  sieve_global_extensions = +vnd.dovecot.pipe
  sieve_pipe_bin_dir = /usr/local/lib/dovecot/sieve
  imapsieve_mailbox1_name = Junk
  imapsieve_mailbox1_causes = COPY APPEND
  imapsieve_mailbox1_before = file:/var/lib/dovecot/sieve/learn-spam.sieve
  imapsieve_mailbox2_name = *
  imapsieve_mailbox2_from = Junk
  imapsieve_mailbox2_causes = COPY
  imapsieve_mailbox2_before = file:/var/lib/dovecot/sieve/learn-ham.sieve
}
""")  # fmt: skip
