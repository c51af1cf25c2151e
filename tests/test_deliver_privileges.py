"""``mas deliver`` gives up root before it touches mail."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from mas import deliver
from mas.errors import ConfigError

pytestmark = pytest.mark.slow

CODE = "import os; from mas.deliver import _drop_root; _drop_root('nobody', 'nogroup');"
CODE += " print(os.getresuid(), os.getresgid(), os.getgroups())"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_is_given_up_for_good() -> None:
    entry = pwd.getpwnam("nobody")
    out = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=60).stdout
    assert out == f"{(entry.pw_uid,) * 3} {(entry.pw_gid,) * 3} [{entry.pw_gid}]\n"


@pytest.mark.parametrize(
    ("uid", "gid", "key"), [("no-such-user", "nogroup", "mail.uid"), ("nobody", "no-such-group", "mail.gid")]
)
def test_unknown_accounts_are_errors_of_the_configuration(uid: str, gid: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        deliver._drop_root(uid, gid)
