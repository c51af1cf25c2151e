"""The same in the language of Dovecot 2.4: the tree of tests/dovecot_config/dovecot24 (Debian's of 2.4.1 with the guide's changes) with a
host's own directories, accounts and ports."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.dovecot_guide import Guide
from tests.support.dovecot_version import is_24
from tests.support.host import ROOT

TREE = ROOT / "tests" / "dovecot_config" / "dovecot24"


def guide_class() -> type[Guide]:
    """The guide that the installed Dovecot can read."""
    return Guide24 if is_24() else Guide


@dataclass(slots=True)
class Guide24(Guide):
    """See the module."""

    def write(self) -> Path:
        """Write the tree; returns dovecot.conf."""
        shutil.copytree(TREE / "conf.d", self.directory / "conf.d")
        shutil.copy(TREE / "dovecot.conf", self.directory)
        database = dict(word.split("=", 1) for word in self.connect.split())
        for file, old, new in (
            ("10-mail", "/var/vmail/", f"{self.mail}/"),
            ("10-mail", "mail_uid = vmail\nmail_gid = vmail\n", f"mail_uid = {self.owner}\nmail_gid = {self.group}\n"),
            ("10-mail", "mail_privileged_group = mail", f"mail_privileged_group = {self.group}"),
            ("10-master", "/var/spool/postfix/private/dovecot-lmtp", f"{self.spool}/dovecot-lmtp"),
            ("10-master", "/var/spool/postfix/private/auth", f"{self.spool}/auth"),
            ("10-master", "user = vmail", f"user = {self.owner}"),
            ("10-ssl", "/etc/ssl/certs/example.net.chained.cert.pem", self.certificate),
            ("10-ssl", "/etc/ssl/private/example.net.key.pem", self.key),
            ("90-quota", "/usr/local/bin/quota-warning", self.warning),
            ("90-quota", "user = vmail", f"user = {self.owner}"),
            ("20-managesieve", "  inet_listener sieve_deprecated {\n    port = 2000\n  }\n", ""),
            ("auth-sql", "uid = vmail\n    gid = vmail", f"uid = {self.owner}\n    gid = {self.group}"),
            ("auth-sql", "/var/vmail/", f"{self.mail}/"),
            ("auth-sql", "user = mailuser", f"user = {database['user']}\n  port = {database.get('port', '3306')}"),
            ("auth-sql", "password = a-long-password", f"password = {database['password']}"),
            ("auth-sql", "dbname = mailserver", f"dbname = {database['dbname']}"),
        ):
            name = f"conf.d/{file}.conf"
            self._everywhere(name if file != "auth-sql" else f"{name}.ext", old, new)
        self._everywhere("conf.d/10-master.conf", "= postfix", f"= {self.socket_owner}")
        # Newer ones give each new message a keyword for whether it has attachments.
        self.append("dovecot.conf", f"listen = {self.listen}\nmail_attachment_detection_options =\n")
        return self.directory / "dovecot.conf"

    def _everywhere(self, file: str, old: str, new: str) -> None:
        path = self.directory / file
        text, changed = re.subn(r"\s+".join(map(re.escape, old.split())), new.replace("\\", r"\\"), path.read_text())
        assert changed, f"{file} has no {old!r}"
        path.write_text(text)
