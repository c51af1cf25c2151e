"""LMTP replies: reply code [RFC5321 4.2.3], enhanced status code [RFC3463] [RFC2034], text; and what each domain error becomes.

The codes for over quota and unknown users are those of Dovecot: Postfix decides by them whether to bounce or to keep the mail.

=====================  =============  ==============================================================
UserUnknown            550 5.1.1
UserDisabled           550 5.2.1
Rejected               550 5.7.1
OverQuota              552 5.2.2      452 4.2.2 with ``lmtp.quota_full_tempfail``: the mail stays queued
MessageTooBig          552 5.3.4
LimitExceeded          451 4.3.0      recipients: 452 4.5.3, said by the session
DiskFull               452 4.3.1
AuthUnavailable        451 4.3.0      the account database does not answer
StorageUnavailable     451 4.3.0
ConfigError            451 4.3.5
anything else          451 4.3.0      a bug of ours never bounces mail
=====================  =============  ==============================================================

Pure. Texts name the recipient, never a path, a query or a stack.
"""

from __future__ import annotations

from mas.errors import (
    AuthUnavailable,
    ConfigError,
    DiskFull,
    MessageTooBig,
    OverQuota,
    Rejected,
    StorageUnavailable,
    UserDisabled,
    UserUnknown,
)

MAX_TEXT = 400
"""[RFC5321 4.5.3.1.5]: a reply line has at most 512 octets."""


def reply(code: int, status: str, text: str) -> bytes:
    """One line. Control characters of the text (an address, a configured message) become blanks."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    line = text.encode(errors="replace")
    if len(line) > MAX_TEXT:
        line = line[:MAX_TEXT].decode(errors="ignore").encode()
    return b"%d %s %s\r\n" % (code, status.encode(), line)


def lines(code: int, texts: list[str]) -> bytes:
    """A reply of several lines, without enhanced codes: LHLO, HELP."""
    last = len(texts) - 1
    return b"".join(b"%d%s%s\r\n" % (code, b" " if i == last else b"-", text.encode()) for i, text in enumerate(texts))


def error_reply(error: BaseException, address: str, *, quota_full_tempfail: bool = False) -> bytes:
    """The reply to one recipient whose delivery (or RCPT) failed."""
    code, status, text = _meaning(error, quota_full_tempfail)
    return reply(code, status, f"<{address}> {text}")


def _meaning(error: BaseException, quota_full_tempfail: bool) -> tuple[int, str, str]:
    match error:
        case UserUnknown():
            return 550, "5.1.1", "User doesn't exist"
        case UserDisabled():
            return 550, "5.2.1", "Mailbox is disabled"
        case OverQuota():
            return (452, "4.2.2", error.message) if quota_full_tempfail else (552, "5.2.2", error.message)
        case MessageTooBig():
            return 552, "5.3.4", f"Message is larger than {error.limit} octets"
        case Rejected():
            # No SMTPUTF8 for reply texts: other characters are replaced [RFC5429 2.1.1].
            return 550, "5.7.1", " ".join(str(error).split())[:400].encode("ascii", "replace").decode()
        case AuthUnavailable():
            return 451, "4.3.0", "Account database is not available, try again later"
        case DiskFull():
            return 452, "4.3.1", "Out of disk space, try again later"
        case ConfigError():
            return 451, "4.3.5", "Configuration error, try again later"
        case StorageUnavailable():
            return 451, "4.3.0", "Mailbox is not available, try again later"
    return 451, "4.3.0", "Temporary internal error, try again later"


BAD_SEQUENCE = reply(503, "5.5.1", "Bad sequence of commands")
BUG = reply(421, "4.3.0", "Internal error, try again later")
CLOSING = reply(421, "4.3.2", "Shutting down, try again later")
DATA_GO_AHEAD = b"354 End data with <CR><LF>.<CR><LF>\r\n"
FLUSHED = reply(250, "2.0.0", "OK")
GOODBYE = reply(221, "2.0.0", "Bye")
HELP_TEXT = lines(214, ["LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS QUIT"])
LHLO_FIRST = reply(503, "5.5.1", "LHLO first")
NESTED_MAIL = reply(503, "5.5.1", "MAIL already given")
NO_RECIPIENTS = reply(503, "5.5.1", "No valid recipients")
READY_FOR_TLS = reply(220, "2.0.0", "Begin TLS negotiation now")
SENDER_OK = reply(250, "2.1.0", "OK")
TIMED_OUT = reply(421, "4.4.2", "Idle for too long")
TLS_NOT_OFFERED = reply(502, "5.5.1", "STARTTLS is not available")
TOO_MANY_BAD = reply(421, "4.7.0", "Too many bad commands")
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients")
VRFY_UNSURE = reply(252, "2.5.0", "Try RCPT")
NEEDS_SMTPUTF8 = reply(553, "5.6.7", "Non-ASCII address without SMTPUTF8")
