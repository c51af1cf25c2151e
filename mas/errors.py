"""What can go wrong, by meaning. No tag, no reply code, no wire text: each protocol has one function that turns these into its own words.

Raised, never logged and carried on. ``str(error)`` is written for the operator's log; what a client may see of it is the protocol's choice.
"""

from __future__ import annotations


class MasError(Exception):
    """Everything that MAS raises on purpose. Anything else that escapes is a bug: one log line, one fixed text to the peer."""


# Configuration


class ConfigError(MasError):
    """The configuration is wrong. ``problems`` has one line per mistake: where, what, and the nearest valid name."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


# Who


class AuthFailed(MasError):
    """Wrong user or wrong password: the peer is never told which."""


class UserDisabled(MasError):
    """The password was right, and the account may not log in (``nologin``). ``reason`` is the administrator's text for the user."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "account is disabled")
        self.reason = reason


class PasswordExpired(UserDisabled):
    """The password was right, and must be changed before anybody logs in by it (``pass_expired``)."""


class NotAuthorized(AuthFailed):
    """A master user's password was right, but it may not act as ``user``: there is none of that name."""

    def __init__(self, user: str, master: str) -> None:
        super().__init__(f"{master} cannot act as {user}")
        self.user = user
        self.master = master


class AddressNotAllowed(AuthFailed):
    """The account's ``allow_nets`` does not hold the peer's address."""


class AuthUnavailable(MasError):
    """The account database does not answer: a temporary failure everywhere, never 'wrong password'."""


class UserUnknown(MasError):
    """No such account (delivery side: a login gets AuthFailed instead)."""


class TooManyConnections(MasError):
    """``max_user_ip_connections`` of this protocol is reached."""


# Mailboxes


class MailboxError(MasError):
    """An operation on a mailbox that cannot be done; ``name`` is the mailbox name as users see it."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}" if detail else name)
        self.name = name
        self.detail = detail


class MailboxNotFound(MailboxError):
    """No mailbox of that name."""


class MailboxExists(MailboxError):
    """A mailbox of that name is there already."""


class MailboxNotSelectable(MailboxError):
    """The name is only a level of hierarchy (``\\NoSelect``)."""


class MailboxHasChildren(MailboxError):
    """The name cannot be removed while it has inferior names."""


class InvalidMailboxName(MailboxError):
    """The name can never be a mailbox: ``detail`` says why."""


class MailboxForbidden(MailboxError):
    """The mailbox may not be treated so (INBOX deleted, a special use taken, a read-only selection): ``detail`` says what."""


class KeywordLimit(MailboxError):
    """The mailbox cannot hold another keyword."""


# Messages


class OverQuota(MasError):
    """Saving would pass the limit of quota root ``root``. ``message`` is the configured text for the user."""

    def __init__(self, root: str, message: str) -> None:
        super().__init__(f"quota root {root!r}: {message}")
        self.root = root
        self.message = message


class MessageTooBig(MasError):
    """The message has more octets than ``limit`` allows."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"message is larger than {limit} octets")
        self.limit = limit


class MessageGone(MasError):
    """A message was expunged, or its file vanished, before it could be read."""


class Rejected(MasError):
    """The recipient's own rules refuse the message; ``str()`` is the recipient's reason, for the sender."""


class UnknownEncoding(MasError):
    """A part's Content-Transfer-Encoding cannot be decoded (BINARY only)."""


class LimitExceeded(MasError):
    """A limit of the configuration: ``key`` names it, ``limit`` is its value."""

    def __init__(self, key: str, limit: int) -> None:
        super().__init__(f"{key} = {limit} is exceeded")
        self.key = key
        self.limit = limit


class AnnotationTooBig(LimitExceeded):
    """The value of an annotation has more octets than ``limit``."""


class TooManyAnnotations(LimitExceeded):
    """A mailbox has too many annotations, or all those of the user take too much room: ``key`` says which."""


# The machine


class StorageUnavailable(MasError):
    """The disk or the index cannot be used now (I/O error, permission, lock held too long). The peer gets a temporary error."""


class DiskFull(StorageUnavailable):
    """ENOSPC or EDQUOT."""
