"""Domain errors to IMAP's words: the one place where ``mas.errors`` become NO or BAD, a response code and a text.

[RFC5530] [RFC9051 7.1]
"""

from __future__ import annotations

from mas import errors
from mas.protocols.imap import responses
from mas.protocols.imap.commands import Append, Command, Copy, Create, Move, SetMetadata
from mas.protocols.imap.responses import Code
from mas.protocols.imap.state import Done, Refused

_TARGETS = (Append, Copy, Move)
SERVERBUG = Done(
    b"Internal error occurred. Refer to server log for more information.", responses.SERVERBUG, b"NO", expunge=False
)


def refusal(error: errors.MasError, command: Command | None) -> Done:
    """The tagged status response for an error of a command."""
    code, text = _words(error, command)
    condition = b"BAD" if isinstance(error, Refused) and error.bad else b"NO"
    # What goes into a response text is one line of printable octets, whatever a mailbox is called [RFC9051 9 text].
    safe = "".join(character if character.isprintable() else "?" for character in text)
    octets = safe.encode("ascii", "replace")
    return Done(octets or b"Refused.", code, condition, expunge=False)


def _words(error: errors.MasError, command: Command | None) -> tuple[Code | None, str]:
    match error:
        case Refused():
            return error.code, error.text
        case errors.PasswordExpired():
            return responses.EXPIRED, error.reason or "The password has expired."
        case errors.NotAuthorized():
            return responses.AUTHORIZATIONFAILED, "Not authorized to act as this user."
        case errors.UserDisabled():
            return responses.CONTACTADMIN, error.reason or "Account is disabled."
        case errors.AuthUnavailable():
            return responses.UNAVAILABLE, "Temporary authentication failure."
        case errors.AuthFailed() | errors.UserUnknown():
            return responses.AUTHENTICATIONFAILED, "Authentication failed."
        case errors.TooManyConnections():
            return responses.LIMIT, "Maximum number of connections from user+IP exceeded."
        case errors.MailboxNotFound() if isinstance(command, _TARGETS):
            return responses.TRYCREATE, f"Mailbox doesn't exist: {error.name}"
        case errors.MailboxNotFound():
            return responses.NONEXISTENT, f"Mailbox doesn't exist: {error.name}"
        case errors.MailboxNotSelectable() if isinstance(command, _TARGETS):
            return responses.TRYCREATE, f"Mailbox isn't selectable: {error.name}"
        case errors.MailboxNotSelectable():
            return responses.NONEXISTENT, f"Mailbox isn't selectable: {error.name}"
        case errors.MailboxExists():
            return responses.ALREADYEXISTS, f"Mailbox already exists: {error.name}"
        case errors.MailboxHasChildren():
            return responses.HASCHILDREN, f"Mailbox has children, delete them first: {error.name}"
        case errors.MailboxForbidden() if isinstance(command, Create) and command.special_use:
            return responses.USEATTR, f"Special use is not possible here: {error.detail or error.name}"
        case errors.MailboxForbidden() if isinstance(command, SetMetadata):
            return responses.USEATTR, f"Special use is not possible here: {error.detail or error.name}"
        case errors.InvalidMailboxName() | errors.MailboxForbidden():
            return responses.CANNOT, str(error)
        case errors.KeywordLimit():
            return responses.LIMIT, f"The mailbox has too many keywords. {error.detail}".strip()
        case errors.OverQuota():
            return responses.OVERQUOTA, error.message
        case errors.MessageTooBig():
            return responses.TOOBIG, f"Message is larger than {error.limit} octets."
        case errors.MessageGone():
            return responses.EXPUNGEISSUED, "Some of the requested messages no longer exist."
        case errors.Rejected():
            return responses.CANNOT, f"The message is refused: {error}."
        case errors.UnknownEncoding():
            return responses.UNKNOWN_CTE, "The part's Content-Transfer-Encoding cannot be decoded."
        case errors.AnnotationTooBig():
            return responses.metadata_maxsize(error.limit), str(error)
        case errors.TooManyAnnotations():
            return responses.METADATA_TOOMANY, str(error)
        case errors.LimitExceeded():
            return responses.LIMIT, str(error)
        case errors.StorageUnavailable():
            # The reason is the administrator's: paths and users are in the log, not on the wire.
            return responses.UNAVAILABLE, "Temporary failure of the mail store."
        case _:
            return responses.CANNOT, "The command cannot be done."
