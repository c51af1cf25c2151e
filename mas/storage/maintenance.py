"""Long work on one account, for the command line and for idle moments: a new index, verification, quota, collecting what nobody needs.

All of it runs beside sessions and deliveries: in pieces, each under the account's lock for milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mas.storage import contents, control_files, index, save, uidlist, verify
from mas.storage.model import MailboxName, QuotaUsage

if TYPE_CHECKING:
    from mas.storage.account import MaildirAccount

Progress = Callable[[str, int, int], None]
"""Called with a mailbox's name, how many of its messages are done, and how many there are."""
GARBAGE = 200
"""Messages that went since contents were last collected, from which on it is worth it."""
DEAD_LINES = 1000
"""Lines of a uid list without a message, from which on it is written anew (when they are also more than the living)."""


def _nothing(name: str, done: int, total: int) -> None:
    """No progress to show."""


async def rebuild(account: MaildirAccount, progress: Progress = _nothing) -> int:
    """Make the index anew from the Maildir and parse every message. Returns how many messages there are.

    Sessions go on: uids are the uid lists' own. Modseqs start again above the old ones, so clients ask for all flags once. Flags that only
    the old index has go into the files' names first. Raises DiskFull before anything was touched, when there is no room for two.
    """
    await account.blocking.run(account.engine.require_room)
    await account.flush_all()
    await account.blocking.settled(account.replace_index())
    total = 0
    for name in sorted(account.faces):
        face = account.faces.get(name)
        if face is None:
            continue
        await account.synchronise(face, everything=True)
        face = account.faces.get(name)
        if face is None:
            continue
        done, last, messages = 0, 0, face.status.messages
        progress(name, 0, messages)
        while True:
            waiting = await account.blocking.run(contents.unparsed, account.engine, face.id, 64, last)
            if not waiting:
                break
            last = waiting[-1][0]
            await account.fill(face.id, [uid for uid, _ in waiting])
            done += len(waiting)
            progress(name, done, messages)
        progress(name, messages, messages)
        total += messages
    return total


async def check(account: MaildirAccount) -> list[str]:
    """What is wrong, one line each; empty when index and Maildir agree. Changes by other programs are taken in first."""
    await account.list()
    for face in list(account.faces.values()):
        await account.synchronise(face)
    return await account.write(lambda: verify.verify(account.engine))


async def recalculate(account: MaildirAccount) -> tuple[list[QuotaUsage], bool]:
    """Count usage again from the messages. Returns it, and whether any counter was wrong."""

    def work() -> bool:
        wrong = False
        engine = account.engine
        with engine.transaction(durable=True) as transaction:
            for row in engine.rows.values():
                counted = index.count_messages(transaction.database, row)
                if counted != (row.messages, row.unseen, row.deleted, row.size, row.deleted_size):
                    row.messages, row.unseen, row.deleted, row.size, row.deleted_size = counted
                    transaction.touch(row)
                    wrong = True
        return account.quotas.settle(account.sums()) or wrong

    wrong = await account.write(work)
    return list(await account.quota(MailboxName("INBOX"))), wrong


async def tidy(account: MaildirAccount) -> None:
    """In an idle moment: remove contents that no message has, shorten uid lists that are mostly of the dead, forget unused keywords, and
    let the index rest."""
    engine = account.engine

    def work() -> None:
        clean()
        engine.rest()

    def clean() -> None:
        with engine.mutex:
            ((garbage,),) = index.fetch_all(engine.database, "SELECT garbage FROM account")
        engine.keep_reserve()
        save.forget_unused_keywords(engine)
        if garbage < GARBAGE:
            return
        contents.collect(engine)
        for row in list(engine.rows.values()):
            path = control_files.uidlist_path(engine, row)
            if uidlist.identity(path) != row.uidlist:
                continue
            listed = uidlist.read_uidlist(path)
            if listed is not None and listed.lines - row.messages > max(DEAD_LINES, row.messages):
                with engine.transaction(durable=True) as transaction:
                    control_files.rewrite_uidlist(engine, row)
                    transaction.touch(row)

    await account.write(work)
