"""Quota is taken where bytes become durable, not where they arrive.

A check at RCPT and a save after DATA race with other sessions, so ``check_delivery`` is only a courtesy. ``admit`` decides; it runs inside
the transaction that assigns the UID, under the account's lock, with the mailbox counters of that transaction.

A user's own roots have no state here: usage is the sum of the counters that the index keeps, so it cannot drift from the index.
A root shared by several users (``scope = "%d"``) needs one number over many indexes. ``SharedUsage`` keeps what each user has, as a
whole and never as a difference, and a total that triggers keep equal to the sum:

    admit    one transaction of the shared file: others + what the user will have <= limit? then write what the user will have
    commit   of the user's index
    settle   after expunge, rename, delete, a failed save, and when an account is opened: write what the user has now

Crash windows. After admit and before the commit: the shared total counts a message that never came; after an expunge's commit and before
settle: it counts one that is gone. Both err to the safe side, and the next settle of that account (its next open or change) mends them,
because it writes the whole. Both files are fsynced with their commits, so a power cut makes no difference to this.
Both writers of one user's row are under that user's lock, so an older value cannot overwrite a newer one.

A root whose limits are all 0 is unlimited: reported with no limits, never refused.
Must not know: IMAP, LMTP, reply texts, how the index stores its counters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import structlog

from mas import variables
from mas.config.mailstore import Quota as QuotaConfig
from mas.config.mailstore import QuotaRoot, QuotaWarning
from mas.errors import ConfigError, MessageTooBig, OverQuota
from mas.quota_rules import Limits, Rules, parse_rules, parse_threshold, with_user_rules
from mas.storage.model import INBOX, QuotaUsage
from mas.storage.shared_usage import SharedUsage, Usage
from mas.user import User

_log = structlog.get_logger(area="quota")

Sum = tuple[str, int, int]
"""``(mailbox name, octets, messages)``: the counters of one mailbox as they are in the present transaction, before the change asked for."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A warning that is due once the change is committed. ``usage`` and ``limits`` are those of the user's root after the change."""

    warning: QuotaWarning
    usage: Usage
    limits: Limits


class Quota:
    """The quota of every user of this host. One per process, made before or after a fork; the shared file is opened when first needed."""

    def __init__(self, config: QuotaConfig, state_dir: Path) -> None:
        self.config = config
        self.shared = SharedUsage(state_dir / "quota.sqlite")
        self.warnings = [(parse_threshold(warning.threshold), warning) for warning in config.warning]

    def account(self, user: User) -> AccountQuota:
        """The quota of ``user``, by the rules that came with it from the user database. Make it anew whenever the User is."""
        roots = [_Root(self.config.name, self._rules(self.config.rules, user, 1), "")]
        for number, root in enumerate(self.config.root, start=2):
            roots.append(_Root(root.name, self._rules(root.rules, user, number), _scope(root, user)))
        return AccountQuota(self, user, tuple(roots))

    def _rules(self, configured: tuple[str, ...], user: User, root: int) -> Rules:
        if user.quota_rules:
            try:
                return _parsed(tuple(with_user_rules(configured, user.quota_rules, root)))
            except ConfigError as error:
                # A slip of the pen in an account's row must not stop its mail: the host's own rules hold.
                _log.error("quota rule from the user database is wrong", user=user.name, error=str(error))
        return _parsed(configured)

    def close(self) -> None:
        """Close the shared file."""
        self.shared.close()


@dataclass(frozen=True, slots=True)
class _Root:
    name: str
    rules: Rules
    scope: str
    """Whom the root counts together; empty: this user alone."""

    def counted(self, sums: Iterable[Sum]) -> Usage:
        octets = messages = 0
        ignores = self.rules.ignores
        for mailbox, size, count in sums:
            if not ignores(mailbox):
                octets += size
                messages += count
        return octets, messages


class AccountQuota:
    """The quota roots of one user. Synchronous: called in the thread that holds the account's lock and transaction."""

    def __init__(self, quota: Quota, user: User, roots: tuple[_Root, ...]) -> None:
        self._quota = quota
        self._user = user
        self._roots = roots

    @property
    def shared(self) -> bool:
        """Whether a root counts several users: then asking needs the shared file, in a thread."""
        return any(root.scope for root in self._roots)

    def check_size(self, octets: int) -> None:
        """Raises MessageTooBig above ``quota.max_mail_size``. First of all checks, for every mailbox, whatever the rules say."""
        limit = self._quota.config.max_mail_size
        if limit and octets > limit:
            raise MessageTooBig(limit)

    def check_delivery(self, sums: Iterable[Sum], octets: int = 0) -> None:
        """Whether a delivery of ``octets`` (0 = unknown) to INBOX would fit now. Nothing is taken. Raises OverQuota, MessageTooBig."""
        self.check_size(octets)
        sums = list(sums)
        for root in self._roots:
            own = root.counted(sums)
            used = self._quota.shared.with_others(root.name, root.scope, self._user.name, own) if root.scope else own
            self._check(root, INBOX, used, (max(octets, 1), 1), delivery=True)

    def admit(
        self,
        sums: Iterable[Sum],
        mailbox: str,
        octets: int,
        messages: int,
        *,
        delivery: bool = False,
        enforce: bool = True,
        moved_from: str | None = None,
    ) -> Crossing | None:
        """Take room for ``messages`` messages of ``octets`` octets together in ``mailbox``. Raises OverQuota, and then nothing is taken.

        sums: the counters before the change. delivery: grace is granted. enforce False: counted, never refused, no warning.
        moved_from: the mailbox that loses these messages in the same transaction.
        Returns the warning to fire after the commit. When the commit fails, or anything before it, call settle().
        """
        sums = list(sums)
        plans = []
        for root in self._roots:
            own = root.counted(sums)
            source = Limits(ignored=True) if moved_from is None else root.rules.limits(moved_from)
            target = root.rules.limits(mailbox)
            leaving = (0, 0) if source.ignored else (octets, messages)
            added = (0, 0) if target.ignored else (octets, messages)
            checked = enforce and not (leaving[1] and _at_least(target, source))
            after = (own[0] - leaving[0] + added[0], own[1] - leaving[1] + added[1])
            plans.append((root, own, (own[0] - leaving[0], own[1] - leaving[1]), added, after, checked))
        for root, _, rest, added, _, checked in plans:
            if checked and not root.scope:
                self._check(root, mailbox, rest, added, delivery=delivery)
        try:
            for root, _, rest, added, after, checked in plans:
                if root.scope:
                    with self._quota.shared.changing(root.name, root.scope, self._user.name) as row:
                        if checked:
                            others = row.others()
                            used = (others[0] + rest[0], others[1] + rest[1])
                            self._check(root, mailbox, used, added, delivery=delivery)
                        row.write(after)
        except BaseException:
            self.settle(sums)
            raise
        root, before, _, _, after, _ = plans[0]
        return self._crossing(root, before, after) if enforce else None

    def settle(self, sums: Iterable[Sum]) -> bool:
        """Tell the shared roots what the user has. Returns whether they had it wrong. Costs nothing when every root is the user's own."""
        wrong = False
        sums = list(sums)
        for root in self._roots:
            if root.scope:
                wrong |= self._quota.shared.settle(root.name, root.scope, self._user.name, root.counted(sums))
        return wrong

    def released(self, sums: Iterable[Sum], mailbox: str, octets: int, messages: int) -> Crossing | None:
        """After a commit that removed messages from ``mailbox``; ``sums`` are the counters after it. Settles; returns the warning that is
        due (a threshold with ``-``)."""
        sums = list(sums)
        self.settle(sums)
        root = self._roots[0]
        after = root.counted(sums)
        if root.rules.ignores(mailbox):
            return None
        return self._crossing(root, (after[0] + octets, after[1] + messages), after)

    def usage(self, sums: Iterable[Sum]) -> list[QuotaUsage]:
        """Every root that holds for the user, the user's own first, with its default limits (as Dovecot shows them for any mailbox)."""
        sums = list(sums)
        found = []
        for root in self._roots:
            own = root.counted(sums)
            used = self._quota.shared.with_others(root.name, root.scope, self._user.name, own) if root.scope else own
            limits = root.rules.default
            found.append(QuotaUsage(root.name, used[0], limits.storage, used[1], limits.messages))
        return found

    def _check(self, root: _Root, mailbox: str, used: Usage, added: Usage, *, delivery: bool) -> None:
        """``used`` is what the root holds without the messages in question."""
        limits = root.rules.limits(mailbox)
        config = self._quota.config
        over = bool(limits.messages) and added[1] > 0 and used[1] + added[1] > limits.messages
        if limits.storage and added[0] > 0 and used[0] + added[0] > limits.storage:
            # Grace is for the last mail: it may pass the limit, but only from below.
            grace = config.grace.of(root.rules.default.storage) if delivery else 0
            over |= used[0] >= limits.storage or used[0] + added[0] > limits.storage + grace
        if over:
            raise OverQuota(root.name, config.exceeded_message)

    def _crossing(self, root: _Root, before: Usage, after: Usage) -> Crossing | None:
        for threshold, warning in self._quota.warnings:
            if threshold.crossed(root.rules.default, before, after):
                return Crossing(warning, after, root.rules.default)
        return None


@lru_cache(maxsize=4096)
def _parsed(texts: tuple[str, ...]) -> Rules:
    return parse_rules(texts)


def _scope(root: QuotaRoot, user: User) -> str:
    """``%d`` of the user; empty when it names this user alone."""
    scope = variables.expand(root.scope, variables.values_of(user.name))
    return "" if scope == user.name else scope


def _at_least(limits: Limits, other: Limits) -> bool:
    """Whether ``limits`` allows all that ``other`` allows."""
    if limits.ignored:
        return True

    def fits(limit: int, smaller: int) -> bool:
        return not limit or (0 < smaller <= limit)

    return not other.ignored and fits(limits.storage, other.storage) and fits(limits.messages, other.messages)
