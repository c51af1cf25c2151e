"""The base language: its controls, actions and tests. [RFC5228 3, 4, 5] The actions and tests that must be required are here as well."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

from mas.sieve.actions import FileInto, Keep, Redirect, Reject
from mas.sieve.compiler import Checker
from mas.sieve.definition import Asking, Extension, Kind, Parameter, Role, TagRule, Tests, command, test
from mas.sieve.interpreter import StopScript
from mas.sieve.matching import ADDRESS_TAGS, MATCH_TAGS, address_part, is_address_syntax, match
from mas.sieve.program import Call, Value
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_FIELD_NAME = re.compile(r"[!-9;-~]+\Z")
_Field = TypeVar("_Field")
_ADDRESS = re.compile(
    r"[^\s@<>()\[\],;:\\\"]+(?:\.[^\s@<>()\[\],;:\\\"]+)*@[^\s@<>(),;:\\\"]+\Z|\"[^\"\r\n]*\"@[^\s@<>(),;]+\Z"
)
_NO_PHRASE = frozenset('"<>\\\r\n')
ADDRESS_FIELDS = frozenset(
    {
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "resent-from",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "resent-sender",
        "reply-to",
        "resent-reply-to",
        "return-path",
        "delivered-to",
        "x-original-to",
        "envelope-to",
        "disposition-notification-to",
        "errors-to",
        "mail-followup-to",
        "x-forwarded-to",
        "abuse-reports-to",
    }
)


def check_field_name(checker: Checker, text: str, offset: int) -> None:
    """field-name = 1*%d33-57 / %d59-126  [RFC5322 3.6.8]"""
    if not _FIELD_NAME.match(text):
        checker.note(offset, f"{text!r} is not a header field name")


def warn_field_name(checker: Checker, text: str, offset: int) -> None:
    """A test with a name that no field can have is false, not an error [RFC5228 2.4.2.2]."""
    if not _FIELD_NAME.match(text):
        checker.warn(offset, f"no header field can have the name {text!r}")


def check_mailbox(checker: Checker, text: str, offset: int) -> None:
    """A mailbox name that could be one."""
    if not text or (not text.isprintable() and any(ord(char) < 32 or char == "\x7f" for char in text)):
        checker.note(offset, f"{text!r} is not a mailbox name")


def is_address(text: str) -> bool:
    """Whether ``text`` is an address that mail can be sent to."""
    return bool(_ADDRESS.match(text))


def addr_spec(text: str) -> str:
    """The address of a sieve-address; empty when ``text`` is none. [RFC5228 2.4.2.3]

    sieve-address = addr-spec / phrase "<" addr-spec ">"
    """
    address = text.strip()
    if address.endswith(">"):
        phrase, opened, address = address[:-1].rpartition("<")
        phrase = phrase.strip()
        quoted = len(phrase) > 1 and phrase[0] == phrase[-1] == '"'
        if not opened or any(char in _NO_PHRASE for char in (phrase[1:-1].replace('\\"', "") if quoted else phrase)):
            return ""
    return address if is_address(address) else ""


def check_address(checker: Checker, text: str, offset: int) -> None:
    """sieve-address"""
    if not addr_spec(text):
        checker.note(offset, f"{text!r} is not an address")


# Controls


def run_if(run: Run, call: Call) -> Any:
    """if, elsif, else [RFC5228 3.1]; a generator only for what is to be done, or when a test asks."""
    for at, (test_call, commands) in enumerate(call.branches):
        if test_call is not None:
            run.line = test_call.line
            value = test_call.handler(run, test_call)
            if value.__class__ is GeneratorType:
                return _if_later(run, call.branches[at:], value)
            if not value:
                continue
        return run.block(commands)
    return None


def _if_later(run: Run, branches: Sequence[tuple[Call | None, Sequence[Call]]], value: Any) -> Asking:
    """``value``: of the first test, which asks."""
    for test_call, commands in branches:
        if value is None:
            value = True if test_call is None else run.evaluate(test_call)
        if value.__class__ is GeneratorType:
            value = yield from value
        if value:
            yield from run.block(commands)
            return
        value = None


def run_stop(run: Run, call: Call) -> None:
    """stop [RFC5228 3.3]"""
    raise StopScript


# Actions


def flags_of(run: Run, call: Call) -> tuple[str, ...] | None:
    """The flags an action files with: its ``:flags``, else the internal variable when imap4flags is in use."""
    if "imap4flags" not in run.enabled:
        return None
    from mas.sieve.extensions.imap4flags import split_flags

    given = run.tagged_list(call, "flags")
    return split_flags((run.variables.get("", ""),) if given is None else given)


def run_keep(run: Run, call: Call) -> None:
    """keep [RFC5228 4.3]"""
    run.act(Keep(flags_of(run, call)))


def run_discard(run: Run, call: Call) -> None:
    """discard [RFC5228 4.4]: only the implicit keep goes."""
    run.keep_implicit = False
    run.note("discard")


def run_fileinto(run: Run, call: Call) -> None:
    """fileinto [RFC5228 4.1]"""
    mailbox = run.argument(call, "mailbox")
    if not mailbox or (not mailbox.isprintable() and any(ord(char) < 32 for char in mailbox)):
        raise RunError(f"fileinto: {mailbox!r} is not a mailbox name", call.line)
    action = FileInto(
        mailbox,
        flags_of(run, call),
        create="create" in call.tags,
        special_use=run.tagged(call, "specialuse") or "",
        mailbox_id=run.tagged(call, "mailboxid") or "",
    )
    run.act(action, cancels_keep="copy" not in call.tags)


def run_redirect(run: Run, call: Call) -> None:
    """redirect [RFC5228 4.2]"""
    address = run.argument(call, "address")
    is_list = "list" in call.tags
    if not is_list:
        address, written = addr_spec(address), address
        if not address:
            raise RunError(f"redirect: {written!r} is not an address", call.line)
    run.act(Redirect(address, is_list), cancels_keep="copy" not in call.tags)


def check_redirect(checker: Checker, call: Call) -> None:
    """The address is checked unless it names a list."""
    address = call.arguments.get("address")
    if isinstance(address, str) and "list" not in call.tags:
        check_address(checker, address, call.offsets["address"])
    if checker.limits.max_redirects == 0:
        checker.note(call.offset, "redirect is not allowed here (max_redirects = 0)")


def run_reject(run: Run, call: Call) -> None:
    """reject, ereject [RFC5429 2.1, 2.2]"""
    run.act(Reject(run.argument(call, "reason"), call.definition.name == "ereject"))


# Tests


def run_true(run: Run, call: Call) -> bool:
    """true [RFC5228 5.10]"""
    return True


def run_false(run: Run, call: Call) -> bool:
    """false [RFC5228 5.6]"""
    return False


def run_not(run: Run, call: Call) -> Any:
    """not [RFC5228 5.8]"""
    test_call = call.tests[0]
    run.line = test_call.line
    value = test_call.handler(run, test_call)
    if value.__class__ is GeneratorType:
        return _not_later(value)
    return not value


def _not_later(value: Asking) -> Asking:
    return not (yield from value)


def run_allof(run: Run, call: Call) -> Any:
    """allof [RFC5228 5.2]; left to right, no further than needed [RFC5463 4]."""
    return _combine(run, call, stop_at=False)


def run_anyof(run: Run, call: Call) -> Any:
    """anyof [RFC5228 5.3]; left to right, no further than needed."""
    return _combine(run, call, stop_at=True)


def _combine(run: Run, call: Call, stop_at: bool) -> Any:
    for at, inner in enumerate(call.tests, 1):
        run.line = inner.line
        value = inner.handler(run, inner)
        if value.__class__ is GeneratorType:
            return _combine_later(run, value, call.tests[at:], stop_at)
        if value is stop_at:
            return stop_at
    return not stop_at


def _combine_later(run: Run, value: Asking, rest: Sequence[Call], stop_at: bool) -> Asking:
    if (yield from value) is stop_at:
        return stop_at
    for inner in rest:
        later = run.evaluate(inner)
        if later.__class__ is GeneratorType:
            later = yield from later
        if later is stop_at:
            return stop_at
    return not stop_at


def indexed(call: Call, values: Sequence[_Field]) -> Sequence[_Field]:
    """``:index`` and ``:last`` [RFC5260 6]: only that field, counted from 1."""
    index: Value | None = call.values.get("index")
    if index is None:
        return values
    assert isinstance(index, int)
    at = len(values) - index if "last" in call.tags else index - 1
    return [values[at]] if index > 0 and 0 <= at < len(values) else []


def run_header(run: Run, call: Call) -> Any:
    """header [RFC5228 5.7]; white space around a value is not looked at."""
    if "mime" in call.tags:
        return run.registry.mime_header(run, call)
    names = call.lists.get("header-names") or run.arguments(call, "header-names")
    if "index" in call.values:
        return match(run, call, [value.strip() for value in _indexed_fields(call, run.message.header, names)], names)
    values = run.known.get(names)
    if values is None:
        values = [value.strip() for name in names for value in run.message.header(name.lower())]
        run.known[names] = values
    return match(run, call, values, names)


def question(call: Call) -> str:
    """As of a Definition, for header, address and envelope."""
    names = call.lists.get("header-names") or call.lists.get("envelope-parts")
    if names is None or "index" in call.tags or "mime" in call.tags:
        return ""
    return "\0".join([call.definition.name, call.tags.get("address-part", "all"), *names]).lower()


def _indexed_fields(call: Call, fields: Callable[[str], Sequence[str]], names: Sequence[str]) -> list[str]:
    """All fields of those names are counted, in the order of the names [RFC5260 6]."""
    return list(indexed(call, [value for name in names for value in fields(name.lower())]))


def run_address(run: Run, call: Call) -> Any:
    """address [RFC5228 5.1]"""
    if "mime" in call.tags:
        return run.registry.mime_header(run, call)
    names = call.lists.get("header-names") or run.arguments(call, "header-names")
    part = call.tags.get("address-part", "all")
    if "index" in call.values:
        return match(run, call, addresses(run, part, _indexed_fields(call, run.message.encoded, names)), names)
    values = run.known.get((part, names))
    if values is None:
        fields = [value for name in names for value in run.message.encoded(name.lower())]
        values = run.known[part, names] = addresses(run, part, fields)
    return match(run, call, values, names)


def addresses(run: Run, part: str, fields: Sequence[str]) -> list[str]:
    """What stands in address fields' values, by address part: what is no address has but the whole [RFC5228 2.7.4]."""
    written = [address for field in fields for address in run.message.addresses(field)]
    if part == "all":
        return written
    found = [address_part(run, part, address) for address in written if is_address_syntax(address)]
    return [value for value in found if value is not None]


def check_address_fields(checker: Checker, call: Call) -> None:
    """The address test is for fields with addresses [RFC5228 5.1]."""
    names = call.arguments.get("header-names")
    if isinstance(names, tuple):
        for name in names:
            if isinstance(name, str) and name.lower() not in ADDRESS_FIELDS and not name.lower().startswith("x-"):
                checker.note(call.offsets["header-names"], f"header field {name!r} holds no addresses")


def run_envelope(run: Run, call: Call) -> Any:
    """envelope [RFC5228 5.4]; at an IMAP event there is none [RFC6785 4.6]."""
    if run.message_flags is not None:
        raise RunError("envelope: a message has no envelope at an IMAP event", call.line)
    part = call.tags.get("address-part", "all")
    values: list[str] = []
    names = run.arguments(call, "envelope-parts")
    for name in names:
        lowered = name.lower()
        if lowered == "from":
            address = run.transaction.sender
        elif lowered == "to":
            address = run.transaction.recipient
        elif lowered == "auth":
            address = run.transaction.auth
        else:
            raise RunError(f"envelope: unknown part {name!r}", call.line)
        if lowered == "auth" and not address:
            continue
        # The null reverse path is an empty address, whatever part is asked for.
        value = "" if not address else address_part(run, part, address)
        if value is not None:
            values.append(value)
    return match(run, call, values, names)


def check_envelope_part(checker: Checker, text: str, offset: int) -> None:
    """envelope-part = "from" / "to" / "auth" """
    if text.lower() not in ("from", "to", "auth"):
        checker.note(offset, f"unknown envelope part {text!r}: from, to or auth")


def run_exists(run: Run, call: Call) -> Any:
    """exists [RFC5228 5.5]"""
    if "mime" in call.tags:
        return run.registry.mime_header(run, call)
    names = run.arguments(call, "header-names")
    missing = [name for name in names if not run.message.header(name.lower())]
    if run.tracing:
        run.note(f"exists {', '.join(names)}: " + (f"false, no {missing[0]}" if missing else "true"))
    return not missing


def run_size(run: Run, call: Call) -> bool:
    """size [RFC5228 5.9]"""
    limit = call.arguments["limit"]
    assert isinstance(limit, int)
    size = run.message.size
    found = size > limit if call.tags["size"] == "over" else size < limit
    if run.tracing:
        run.note(f"size :{call.tags['size']} {limit}: {'true' if found else 'false'}, message has {size} octets")
    return found


def check_size(checker: Checker, call: Call) -> None:
    """One of :over and :under."""
    if "size" not in call.tags:
        checker.note(call.offset, "size takes :over or :under")


_HEADER_NAMES = Parameter("header-names", Kind.STRINGS, check=warn_field_name)
_KEYS = Parameter("keys", Kind.STRINGS)

BASE = Extension(
    "",
    definitions=(
        command("if", run_if, plain=True),
        command("stop", run_stop, plain=True),
        command("keep", run_keep, plain=True),
        command("discard", run_discard, plain=True),
        command("redirect", run_redirect, Parameter("address", Kind.STRING), check=check_redirect, plain=True),
        test("true", run_true, plain=True),
        test("false", run_false, plain=True),
        test("not", run_not, tests=Tests.ONE, plain=True),
        test("allof", run_allof, tests=Tests.MANY, plain=True),
        test("anyof", run_anyof, tests=Tests.MANY, plain=True),
        test("header", run_header, _HEADER_NAMES, _KEYS, tags=MATCH_TAGS, matches=True, plain=True, question=question),
        test(
            "address",
            run_address,
            _HEADER_NAMES,
            _KEYS,
            tags=(*MATCH_TAGS, *ADDRESS_TAGS),
            matches=True,
            check=check_address_fields,
            plain=True,
            question=question,
        ),
        test("exists", run_exists, _HEADER_NAMES, plain=True),
        test(
            "size",
            run_size,
            Parameter("limit", Kind.NUMBER),
            tags=(TagRule("over", group="size"), TagRule("under", group="size")),
            check=check_size,
            plain=True,
        ),
    ),
)
FILEINTO = Extension(
    "fileinto",
    (
        command(
            "fileinto",
            run_fileinto,
            Parameter("mailbox", Kind.STRING, check=check_mailbox),
            needs="fileinto",
            plain=True,
        ),
    ),
)
REJECT = Extension(
    "reject",
    (command("reject", run_reject, Parameter("reason", Kind.STRING), needs="reject", plain=True),),
    at_delivery=True,
)
EREJECT = Extension(
    "ereject",
    (command("ereject", run_reject, Parameter("reason", Kind.STRING), needs="ereject", plain=True),),
    at_delivery=True,
)
ENVELOPE = Extension(
    "envelope",
    (
        test(
            "envelope",
            run_envelope,
            Parameter("envelope-parts", Kind.STRINGS, check=check_envelope_part),
            _KEYS,
            tags=(*MATCH_TAGS, *ADDRESS_TAGS),
            matches=True,
            needs="envelope",
            plain=True,
            question=question,
        ),
    ),
)
ENCODED_CHARACTER = Extension("encoded-character", interprets=True)
NUMERIC = Extension("comparator-i;ascii-numeric", comparators=("i;ascii-numeric",))
UNICODE_CASEMAP = Extension("comparator-i;unicode-casemap", comparators=("i;unicode-casemap",))
SUBADDRESS = Extension(
    "subaddress",
    tags={
        (Role.TEST, name): (
            TagRule("user", group="address-part", needs="subaddress"),
            TagRule("detail", group="address-part", needs="subaddress"),
        )
        for name in ("address", "envelope")
    },
)
COPY = Extension(
    "copy", tags={(Role.COMMAND, name): (TagRule("copy", needs="copy"),) for name in ("redirect", "fileinto")}
)
RELATIONAL = Extension(
    "relational",
    match_types=(
        TagRule("count", Kind.STRING, group="match-type", needs="relational", constant=True),
        TagRule("value", Kind.STRING, group="match-type", needs="relational", constant=True),
    ),
)
