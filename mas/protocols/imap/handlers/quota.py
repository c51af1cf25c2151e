"""GETQUOTA, GETQUOTAROOT, SETQUOTA.  [RFC9208 4]"""

from __future__ import annotations

from mas.protocols.imap.commands import GetQuota, GetQuotaRoot, SetQuota
from mas.protocols.imap.encode import encode_quota, encode_quotaroot
from mas.protocols.imap.responses import CANNOT, NONEXISTENT, QuotaResource
from mas.protocols.imap.state import Done, Refused, Session
from mas.storage.model import QuotaUsage


async def handle_getquota(session: Session, command: GetQuota) -> Done:
    """GETQUOTA [RFC9208 4.2.1]."""
    for root in await session.mail.quota():
        if root.name == command.root:
            session.channel.write(encode_quota(root.name, _resources(root)))
            return Done(b"Getquota completed.")
    raise Refused("No such quota root.", NONEXISTENT)


async def handle_getquotaroot(session: Session, command: GetQuotaRoot) -> Done:
    """GETQUOTAROOT [RFC9208 4.2.2]: the limits that hold for this mailbox."""
    roots = await session.mail.quota(command.mailbox)
    session.channel.write(encode_quotaroot(session.mailbox_text(command.mailbox), [root.name for root in roots]))
    for root in roots:
        session.channel.write(encode_quota(root.name, _resources(root)))
    return Done(b"Getquotaroot completed.")


async def handle_setquota(session: Session, command: SetQuota) -> Done:
    """SETQUOTA is not offered (no QUOTASET): limits belong to the administrator [RFC9208 4.2.3]."""
    raise Refused("Quota is set by the administrator.", CANNOT)


def _resources(root: QuotaUsage) -> list[QuotaResource]:
    """Resources with a limit; usage in units of 1024 octets, rounded up [RFC9208 5.1]."""
    resources = []
    if root.storage_limit:
        resources.append(QuotaResource("STORAGE", -(-root.storage // 1024), root.storage_limit // 1024))
    if root.messages_limit:
        resources.append(QuotaResource("MESSAGE", root.messages, root.messages_limit))
    return resources
