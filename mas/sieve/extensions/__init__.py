"""One file an RFC. ``default_registry`` knows every extension of the package, in the order in which they are announced."""

from __future__ import annotations

from collections.abc import Collection

from mas.sieve.definition import Extension, Registry
from mas.sieve.extensions import (
    base,
    body,
    date,
    dovecot,
    duplicate,
    editheader,
    enotify,
    environment,
    extlists,
    fcc,
    ihave,
    imap4flags,
    imapsieve,
    include,
    mailbox,
    mime,
    regex,
    spamtest,
    vacation,
    variables,
)

DEFAULT: tuple[Extension, ...] = (
    base.FILEINTO,
    base.REJECT,
    base.EREJECT,
    base.ENVELOPE,
    base.ENCODED_CHARACTER,
    vacation.VACATION,
    base.SUBADDRESS,
    base.NUMERIC,
    base.UNICODE_CASEMAP,
    base.RELATIONAL,
    imap4flags.IMAP4FLAGS,
    base.COPY,
    include.INCLUDE,
    variables.VARIABLES,
    body.BODY,
    enotify.ENOTIFY,
    environment.ENVIRONMENT,
    mailbox.MAILBOX,
    mailbox.SPECIAL_USE,
    mailbox.MAILBOXID,
    date.DATE,
    date.INDEX,
    ihave.IHAVE,
    duplicate.DUPLICATE,
    mime.MIME,
    mime.FOREVERYPART,
    mime.EXTRACTTEXT,
    regex.REGEX,
    fcc.FCC,
    extlists.EXTLISTS,
)
"""Available without a setting."""

OPTIONAL: tuple[Extension, ...] = (
    vacation.VACATION_SECONDS,
    mailbox.MBOXMETADATA,
    mailbox.SERVERMETADATA,
    editheader.EDITHEADER,
    *spamtest.extensions(),
    imapsieve.IMAPSIEVE,
    dovecot.PIPE,
    dovecot.FILTER,
    dovecot.EXECUTE,
    environment.DOVECOT_ENVIRONMENT,
    dovecot.DEBUG,
    dovecot.REPORT,
)
"""Available when the administrator says so, as with Pigeonhole."""


def default_registry(*, add: Collection[Extension] = (), remove: Collection[str] = ()) -> Registry:
    """The base language and the default extensions, with some more and without some."""
    added = {extension.name: extension for extension in add}
    chosen = [base.BASE, *(e for e in DEFAULT if e.name not in added and e.name not in remove), *added.values()]
    return Registry(chosen)
