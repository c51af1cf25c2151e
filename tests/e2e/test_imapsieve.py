"""The recipes of Dovecot's documentation for spam learning, word for word, with a client that moves mail into Junk and out of it."""

from __future__ import annotations

import contextlib
import imaplib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError
from sievelib.managesieve import Client

from tests.support.host import Host, running_host

pytestmark = pytest.mark.e2e
KIM = "kim@example.net"
SPAM = """\
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

if environment :matches "imap.user" "*" {
  set "username" "${1}";
}

pipe :copy "sa-learn-spam.sh" [ "${username}" ];
"""
HAM = """\
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

if environment :matches "imap.mailbox" "*" {
  set "mailbox" "${1}";
}

if string "${mailbox}" "Trash" {
  stop;
}

if environment :matches "imap.user" "*" {
  set "username" "${1}";
}

pipe :copy "sa-learn-ham.sh" [ "${username}" ];
"""
REPORT = """\
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "imap4flags"];

if environment :is "imap.cause" "COPY" {
    pipe :copy "sa-learn-spam.sh";
}

# Catch replied or forwarded spam
elsif anyof (allof (hasflag "\\\\Answered",
                    environment :contains "imap.changedflags" "\\\\Answered"),
             allof (hasflag "$Forwarded",
                    environment :contains "imap.changedflags" "$Forwarded")) {
    pipe :copy "sa-learn-spam.sh";
}
"""


class Programs:
    """Stand-ins of ``sa-learn``: each leaves a file with its arguments and its input, whole at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.chmod(0o755)
        self.learnt = folder / "learnt"
        self.learnt.mkdir()
        self.learnt.chmod(0o777)
        for kind in ("spam", "ham"):
            program = folder / f"sa-learn-{kind}.sh"
            program.write_text(
                f'#!/bin/sh\nf=$(mktemp {self.learnt}/.XXXXXX)\n(echo "{kind} $1"; cat) >$f\n'
                f"mv $f {self.learnt}/{kind}.${{f##*.}}\n"
            )
            program.chmod(0o755)
        for name, text in {"learn-spam": SPAM, "learn-ham": HAM, "report-spam": REPORT}.items():
            (folder / f"{name}.sieve").write_text(text)

    def lessons(self, kind: str) -> list[bytes]:
        lessons = [path.read_bytes() for path in self.learnt.glob(f"{kind}.*")]
        return sorted(lessons, key=lambda lesson: lesson.partition(b"Subject: ")[2])

    def wait(self, kind: str, count: int) -> list[bytes]:
        wait_for(lambda: len(self.lessons(kind)) >= count, f"{count} lessons of {kind}")
        return self.lessons(kind)


def wait_for(met: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Not in pytest's own folder: the workers are another user."""
    with tempfile.TemporaryDirectory(prefix="mas-sieve-") as folder:
        yield Programs(Path(folder))


def settings(programs: Programs, rules: str) -> str:
    return f"""
[sieve]
pipe_bin_dir = "{programs.folder}"
global_extensions = "+vnd.dovecot.pipe +vnd.dovecot.environment"
{rules.replace("/usr/lib/dovecot/sieve", str(programs.folder))}
"""


LEARN = """
[[imapsieve]]
mailbox = "Junk"
causes = ["COPY"]
before = "/usr/lib/dovecot/sieve/learn-spam.sieve"
[[imapsieve]]
mailbox = "*"
from = "Junk"
causes = ["COPY"]
before = "/usr/lib/dovecot/sieve/learn-ham.sieve"
"""


def client_of(host: Host) -> IMAPClient:
    client = IMAPClient("localhost", host.imaps_port, ssl_context=host.client_context(), timeout=30)
    client.login(KIM, host.users[KIM])
    return client


@pytest.fixture
def host(programs: Programs) -> Iterator[Host]:
    with running_host(settings=settings(programs, LEARN)) as host:
        yield host


def test_into_junk_and_back(host: Host, programs: Programs) -> None:
    for number in (1, 2, 3):
        host.deliver(KIM, b"Subject: mail %d\r\n\r\nx\r\n" % number)
    with client_of(host) as client:
        client.select_folder("INBOX")
        client.move([1, 2], "Junk")
        lessons = programs.wait("spam", 2)
        assert [lesson.splitlines()[0] for lesson in lessons] == [b"spam kim@example.net"] * 2
        assert b"Subject: mail 1" in lessons[0]
        assert b"Subject: mail 2" in lessons[1]
        client.select_folder("Junk")
        assert len(client.search()) == 2  # the message stays where the user has put it
        client.move([1], "INBOX")
        (lesson,) = programs.wait("ham", 1)
        assert b"Subject: mail 1" in lesson
        client.move([2], "Trash")
        client.select_folder("INBOX")
        client.copy([3], "Junk")
        assert b"Subject: mail 3" in b"".join(programs.wait("spam", 3))
        # By then the move to Trash was dealt with, as a user's events come in order: it has taught nothing.
        assert len(programs.lessons("ham")) == 1


def test_report_of_replied_spam(programs: Programs) -> None:
    rules = """
[[imapsieve]]
mailbox = "Junk"
causes = ["COPY", "FLAG"]
before = "/usr/lib/dovecot/sieve/report-spam.sieve"
"""
    with running_host(settings=settings(programs, rules)) as host, client_of(host) as client:
        client.append("Junk", b"Subject: appended\r\n\r\nx\r\n")
        client.select_folder("Junk")
        client.add_flags([1], [b"\\Flagged"])
        client.add_flags([1], [b"\\Answered"])
        client.remove_flags([1], [b"\\Answered"])
        client.add_flags([1], [b"$Forwarded"])
        assert len(programs.wait("spam", 2)) == 2
        host.deliver(KIM, b"Subject: moved\r\n\r\nx\r\n")
        client.select_folder("INBOX")
        client.move([1], "Junk")
        lessons = programs.wait("spam", 3)
        assert sum(b"Subject: appended" in lesson for lesson in lessons) == 2


def set_script(client: IMAPClient, mailbox: str, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(imaplib.Commands, "SETMETADATA", ("AUTH", "SELECTED"))
        status, told = client._imap._simple_command("SETMETADATA", f'"{mailbox}"', f"(/shared/imapsieve/script {name})")
    assert status == "OK", told


USERS = """\
require ["imapsieve", "environment", "imap4flags", "fileinto", "mailbox", "variables"];
if environment :matches "imap.cause" "*" { set "cause" "${1}"; }
if environment :contains "imap.changedflags" "\\\\Flagged" { set "cause" "FLAGGED"; }
fileinto :create "Events.${cause}";
"""


def test_scripts_of_users() -> None:
    """Put by ManageSieve, named by METADATA, run by whatever the client does, in the other worker as well."""
    with running_host(settings='[sieve]\nimapsieve_url = "sieve://localhost"\n', workers=2) as host:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(host.directory / "ca.pem"))
            scripts = Client("localhost", host.sieve_port)
            assert scripts.connect(KIM, host.users[KIM], starttls=True, authmech="PLAIN")
        assert "imapsieve" in scripts.get_sieve_capabilities()
        assert scripts.putscript("events", USERS)
        scripts.logout()
        with client_of(host) as client, client_of(host) as other:
            assert b"IMAPSIEVE=SIEVE://LOCALHOST" in [name.upper() for name in client.capabilities()]
            client.append("Junk", b"Subject: before\r\n\r\nx\r\n")
            set_script(client, "Junk", '"events"')
            other.append("Junk", b"Subject: appended\r\n\r\nx\r\n")
            wait_for(lambda: client.folder_exists("Events.APPEND"), "APPEND")
            client.append("INBOX", b"Subject: copied\r\n\r\nx\r\n")
            client.select_folder("INBOX")
            client.move([1], "Junk")
            wait_for(lambda: client.folder_exists("Events.COPY"), "COPY")
            client.select_folder("Junk")
            client.add_flags([1], [b"\\Flagged"])
            wait_for(lambda: client.folder_exists("Events.FLAGGED"), "FLAG")
            assert client.folder_status("Events.APPEND", "MESSAGES")[b"MESSAGES"] == 1
            # The account's script is for mailboxes that have none; an empty name is none.
            set_script(client, "", '"events"')
            set_script(client, "Trash", '""')
            other.append("Trash", b"Subject: nothing\r\n\r\nx\r\n")
            other.append("Drafts", b"Subject: the server's\r\n\r\nx\r\n")
            wait_for(lambda: client.folder_status("Events.APPEND", "MESSAGES")[b"MESSAGES"] == 2, "the account's")
            set_script(client, "Junk", "NIL")
            set_script(client, "", "NIL")


def test_nothing_is_lost_when_the_server_is_killed(programs: Programs) -> None:
    """A move is answered, the program has not ended yet, every process is killed: the next start runs the script again."""
    learn = programs.folder / "sa-learn-spam.sh"
    text = learn.read_text()
    learn.write_text(
        f"#!/bin/sh\necho $$ >{programs.learnt}/.pid\nmv {programs.learnt}/.pid {programs.learnt}/pid\nexec sleep 60\n"
    )
    with running_host(settings=settings(programs, LEARN)) as host:
        host.deliver(KIM, b"Subject: lesson\r\n\r\nx\r\n")
        with client_of(host) as client:
            client.select_folder("INBOX")
            client.move([1], "Junk")
            wait_for((programs.learnt / "pid").exists, "program")
            assert host.process is not None
            supervisor = host.process.pid
            workers = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
            host.kill()
            for worker in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(worker), signal.SIGKILL)
            with contextlib.suppress(IMAPClientError, OSError):
                client.noop()
                client.noop()
        os.kill(int((programs.learnt / "pid").read_text()), signal.SIGKILL)
        learn.write_text(text)
        host.start()
        (lesson,) = programs.wait("spam", 1)
        assert b"Subject: lesson" in lesson
