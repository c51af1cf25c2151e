"""Quota rules and warning thresholds: the grammar that mail hosts already have in their configuration and in their SQL tables.

    rule      = mask ":" ("ignore" / limit *(":" limit))
    mask      = "*" / "?" / mailbox-pattern           ; "*" and "?" alone: the default of the root
    limit     = resource "=" ["+" / "-"] 1*DIGIT [unit]
    resource  = "storage" / "bytes" / "messages"
    unit      = ("b" / "k" / "M" / "G" / "T" / "%") *CHAR     ; either case; only the first letter is read: "GB" is "G"
    threshold = ["+" / "-"] limit *(":" limit)        ; "-": fires when usage falls below, not when it rises above

A bare ``storage`` is KiB, ``bytes`` and ``messages`` are what they say, units are powers of 1024 for all three (``messages=1k`` is 1024).

What a rule for a folder says is added to the default: ``+`` and a bare number mean the same (seen on Dovecot 2.3, which also warns about
the bare form), ``-`` subtracts, ``%`` is of the default. The first mask that matches in the order of definition decides, and pattern masks
(``*`` and ``?`` as wildcards) work. Rules that repeat a mask are one rule. A root whose default is unlimited has no folder limits at all,
and then ``ignore`` has nothing to be ignored by: messages are counted everywhere.

Deviation: where Dovecot lets a folder rule that takes away more than the default has mean "unlimited", here nothing fits any more.

Pure: no configuration, no user, no usage. ``Rules.limits`` is what ``mas.storage.quota`` asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mas.errors import ConfigError

UNITS: Mapping[str, int] = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
BARE_UNIT: Mapping[str, int] = {"storage": 1 << 10, "bytes": 1, "messages": 1}
MAX_LIMIT = (1 << 63) - 1
"""What fits the signed 64-bit numbers of SQLite and of IMAP's QUOTA [RFC9208 5]."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one mailbox: octets and messages that the root may hold when the mail goes there; 0 = no limit.

    ``ignored`` mailboxes are neither counted nor limited.
    """

    storage: int = 0
    messages: int = 0
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class _Amount:
    """A limit as written. ``of_default`` means ``number`` is percent."""

    number: int
    of_default: bool = False

    def resolve(self, default: int) -> int:
        return default * self.number // 100 if self.of_default else self.number


@dataclass(frozen=True, slots=True)
class _FolderRule:
    mask: str
    ignore: bool = False
    storage: _Amount = _Amount(0)
    messages: _Amount = _Amount(0)


@dataclass(frozen=True, slots=True)
class Rules:
    """The parsed rules of one quota root. Build with parse_rules()."""

    default: Limits = Limits()
    folders: tuple[_FolderRule, ...] = ()

    def limits(self, mailbox: str) -> Limits:
        """The limits that hold when something is saved to ``mailbox`` (the name as users see it)."""
        if not self.default.storage and not self.default.messages:
            return self.default
        for rule in self.folders:
            if _matches(rule.mask, mailbox):
                if rule.ignore:
                    return Limits(ignored=True)
                return Limits(_added(self.default.storage, rule.storage), _added(self.default.messages, rule.messages))
        return self.default

    def ignores(self, mailbox: str) -> bool:
        """Whether messages in ``mailbox`` do not count."""
        return self.limits(mailbox).ignored


@dataclass(frozen=True, slots=True)
class Threshold:
    """When to warn. Build with parse_threshold()."""

    downwards: bool = False
    storage: _Amount | None = None
    messages: _Amount | None = None

    def crossed(self, limits: Limits, before: tuple[int, int], after: tuple[int, int]) -> bool:
        """Whether usage ``(octets, messages)`` went past this threshold: ``before < x <= after``, for ``-`` ``after < x <= before``."""
        low, high = (after, before) if self.downwards else (before, after)
        for amount, limit, index in ((self.storage, limits.storage, 0), (self.messages, limits.messages, 1)):
            if amount is not None:
                mark = amount.resolve(limit)
                if mark > 0 and low[index] < mark <= high[index]:
                    return True
        return False


def parse_rules(texts: Sequence[str], where: str = "quota.rules") -> Rules:
    """Parse the rules of one root. Raises ConfigError with one line for each bad rule: its place, its text and the column."""
    problems: list[str] = []
    reading = _Reading()
    for position, text in enumerate(texts, start=1):
        try:
            reading.add(text)
        except _BadRule as bad:
            problems.append(f"{where}[{position}]: {text!r}, column {bad.column + 1}: {bad}")
    if problems:
        raise ConfigError(problems)
    return reading.rules()


def parse_threshold(text: str, where: str = "quota.warning.threshold") -> Threshold:
    """Parse a warning's threshold. Raises ConfigError that names ``where`` and the column."""
    start = 1 if text[:1] in ("+", "-") else 0
    found: dict[str, _Amount] = {}
    try:
        for name, amount in _limits(text, start):
            if amount.number <= 0:
                raise _BadRule(start, "a threshold is above 0")
            found[name] = amount
    except _BadRule as bad:
        raise ConfigError([f"{where}: {text!r}, column {bad.column + 1}: {bad}"]) from None
    return Threshold(text.startswith("-"), found.get("storage"), found.get("messages"))


def with_user_rules(configured: Sequence[str], fields: Mapping[str, str], root: int = 1) -> list[str]:
    """Put the rules from the user database in the place of configured ones: ``quota_rule`` the first, ``quota_rule2`` the second …

    ``root`` is the root's number: the second one's fields are ``quota2_rule``, ``quota2_rule2``. Empty values (NULL in SQL) change nothing.
    Fields beyond the configured rules are added behind them, by number.
    """
    prefix = "quota_rule" if root == 1 else f"quota{root}_rule"
    texts = list(configured)
    numbered: list[tuple[int, str]] = []
    for name, text in fields.items():
        number = name.removeprefix(prefix)
        if text and name.startswith(prefix) and (not number or (number.isascii() and number.isdigit())):
            numbered.append((int(number or "1"), text))
    for place, text in sorted(numbered):
        if 1 <= place <= len(configured):
            texts[place - 1] = text
        else:
            texts.append(text)
    return texts


class _BadRule(Exception):
    def __init__(self, column: int, problem: str) -> None:
        super().__init__(problem)
        self.column = column


@dataclass(slots=True)
class _Reading:
    """Rules gathered so far: repeated masks are one rule."""

    default: dict[str, int] = field(default_factory=dict)
    folders: dict[str, _FolderRule] = field(default_factory=dict)

    def add(self, text: str) -> None:
        mask, colon, rest = text.partition(":")
        if not colon:
            raise _BadRule(len(text), "expected ':' after the mailbox mask")
        if not mask:
            raise _BadRule(0, "the mailbox mask is empty")
        start = len(mask) + 1
        is_default = mask in ("*", "?")
        if rest == "ignore":
            if is_default:
                raise _BadRule(start, "'ignore' needs a mailbox; to have no limit, leave the rule out")
            self._merge(mask, ignore=True)
            return
        if rest.startswith("backend="):
            raise _BadRule(start, "'backend=' is not known here; write the limits")
        for name, amount in _limits(text, start):
            if not is_default:
                if name == "storage":
                    self._merge(mask, storage=amount)
                else:
                    self._merge(mask, messages=amount)
                continue
            if amount.of_default:
                raise _BadRule(start, "the default cannot be a percentage of itself")
            if amount.number < 0:
                raise _BadRule(start, "the default cannot be negative")
            self.default[name] = amount.number

    def _merge(
        self, mask: str, *, ignore: bool = False, storage: _Amount | None = None, messages: _Amount | None = None
    ) -> None:
        mask = _canonical(mask)
        old = self.folders.get(mask, _FolderRule(mask))
        self.folders[mask] = _FolderRule(mask, ignore or old.ignore, storage or old.storage, messages or old.messages)

    def rules(self) -> Rules:
        return Rules(
            Limits(self.default.get("storage", 0), self.default.get("messages", 0)), tuple(self.folders.values())
        )


def _limits(text: str, start: int) -> list[tuple[str, _Amount]]:
    """``limit *(":" limit)`` from ``start``: (``storage`` or ``messages``, amount) in the order written."""
    found = []
    for part in text[start:].split(":"):
        name, equals, value = part.partition("=")
        if not equals or name not in BARE_UNIT:
            raise _BadRule(start, "expected storage=, bytes= or messages=" + (" or ignore" if ":" in text else ""))
        value_start = start + len(name) + 1
        found.append(("messages" if name == "messages" else "storage", _amount(value, BARE_UNIT[name], value_start)))
        start += len(part) + 1
    return found


def _amount(value: str, bare_unit: int, column: int) -> _Amount:
    """``["+" / "-"] 1*DIGIT [unit]``."""
    sign = -1 if value.startswith("-") else 1
    digits_start = 1 if value[:1] in ("+", "-") else 0
    end = digits_start
    while end < len(value) and "0" <= value[end] <= "9":
        end += 1
    if end == digits_start:
        raise _BadRule(column + digits_start, "expected a number")
    if end - digits_start > 19:
        raise _BadRule(column + digits_start, "the number is too large")
    number = sign * int(value[digits_start:end])
    unit = value[end : end + 1].upper()
    if unit == "%":
        return _Amount(number, of_default=True)
    if unit and unit not in UNITS:
        raise _BadRule(column + end, f"{value[end]!r} is no unit: use b, k, M, G, T or %")
    number *= UNITS[unit] if unit else bare_unit
    if abs(number) > MAX_LIMIT:
        raise _BadRule(column + digits_start, "the number is too large")
    return _Amount(number)


def _added(default: int, amount: _Amount) -> int:
    """A folder's limit: default plus amount. Taking away everything leaves a limit that nothing fits, since 0 would be no limit."""
    extra = amount.resolve(default)
    if not extra:
        return default
    return min(max(default + extra, 1), MAX_LIMIT)


def _canonical(mask: str) -> str:
    """INBOX has no case, the rest of a name has."""
    return "INBOX" + mask[5:] if mask[:5].upper() == "INBOX" and mask[5:6] in ("", "/", ".") else mask


def _matches(mask: str, name: str) -> bool:
    """Wildcards ``*`` (any characters, the separator too) and ``?`` (one). Linear in memory, at worst mask times name in time."""
    if "*" not in mask and "?" not in mask:
        return mask == name
    at = position = 0
    star, resume = -1, 0
    while position < len(name):
        if at < len(mask) and mask[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(mask) and mask[at] in ("?", name[position]):
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return mask[at:].strip("*") == ""
