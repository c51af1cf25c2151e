"""One file an RFC. ``default_registry`` knows every extension of the package, in the order in which they are announced."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

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
    legacy,
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
    mime.REPLACE,
    mime.ENCLOSE,
    regex.REGEX,
    fcc.FCC,
    legacy.NOTIFY,
    legacy.IMAPFLAGS,
    legacy.DUPLICATE,
)
"""Available without a setting."""

OPTIONAL: tuple[Extension, ...] = (
    vacation.VACATION_SECONDS,
    editheader.EDITHEADER,
    *spamtest.extensions(),
    imapsieve.IMAPSIEVE,
    imapsieve.DOVECOT_IMAPSIEVE,
    dovecot.PIPE,
    dovecot.FILTER,
    dovecot.EXECUTE,
    environment.DOVECOT_ENVIRONMENT,
    dovecot.DEBUG,
    dovecot.REPORT,
    mailbox.MBOXMETADATA,
    mailbox.SERVERMETADATA,
)
"""Available when the administrator says so, as with Pigeonhole."""

ASKING: tuple[Extension, ...] = (extlists.EXTLISTS,)
"""For callers that have external lists: offered when lists are configured."""


def default_registry(*, add: Collection[Extension] = ()) -> Registry:
    """The base language, the default extensions, and some more."""
    return Registry([base.BASE, *DEFAULT, *add])


def registry_of(
    setting: str,
    *,
    default: Collection[Extension] = DEFAULT,
    known: Collection[Extension] = (*DEFAULT, *OPTIONAL),
    also: Collection[str] = (),
    implicit: Collection[str] = (),
) -> Registry:
    """The language that an administrator chose of the ``known`` extensions.

    setting: ``+name -name`` changes the ``default`` list, a list of bare names replaces it, empty is the default list. also: names that are
    offered whatever that says. implicit: of what is offered, the names that need no ``require``.
    Raises ValueError for a name that is not known and for a mixture of both forms.
    """
    by_name = {extension.name: extension for extension in known}
    words = setting.split()
    signed = [word for word in words if word[0] in "+-"]
    if signed and len(signed) != len(words):
        raise ValueError("either +name and -name, or a list of bare names, not both")
    names = [extension.name for extension in default if extension.name in by_name] if signed or not words else []
    for word in words:
        name = word.lstrip("+-")
        _must_be_known(name, by_name)
        if word.startswith("-"):
            names = [other for other in names if other != name]
        elif name not in names:
            names.append(name)
    for name in also:
        _must_be_known(name, by_name)
        if name not in names:
            names.append(name)
    for name in implicit:
        _must_be_known(name, names)
    return Registry([base.BASE, *(by_name[name] for name in names)], implicit=implicit)


def _must_be_known(name: str, names: Collection[str]) -> None:
    if name not in names:
        near = get_close_matches(name, names, 1)
        raise ValueError(f"unknown Sieve extension {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
