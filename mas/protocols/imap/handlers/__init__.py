"""Handlers: one async function a command, one file a group of commands. They take the session and the command and return how it ended;
what they refuse, and what the store refuses, they raise. ``HANDLERS`` is the table that the session runs by.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mas.protocols.imap import commands
from mas.protocols.imap.handlers.any import handle_capability, handle_enable, handle_id, handle_logout, handle_noop
from mas.protocols.imap.handlers.append import handle_append
from mas.protocols.imap.handlers.auth import handle_authenticate, handle_login, handle_starttls
from mas.protocols.imap.handlers.copy_move import handle_copy, handle_move
from mas.protocols.imap.handlers.expunge import handle_close, handle_expunge, handle_unselect
from mas.protocols.imap.handlers.fetch import handle_fetch
from mas.protocols.imap.handlers.idle import handle_idle
from mas.protocols.imap.handlers.list import handle_list, handle_lsub, handle_namespace, handle_xlist
from mas.protocols.imap.handlers.mailboxes import (
    handle_create,
    handle_delete,
    handle_rename,
    handle_subscribe,
    handle_unsubscribe,
)
from mas.protocols.imap.handlers.metadata import handle_getmetadata, handle_setmetadata
from mas.protocols.imap.handlers.quota import handle_getquota, handle_getquotaroot, handle_setquota
from mas.protocols.imap.handlers.search import handle_search
from mas.protocols.imap.handlers.select import handle_select
from mas.protocols.imap.handlers.status import handle_status
from mas.protocols.imap.handlers.store import handle_store
from mas.protocols.imap.state import Done, Session

Handler = Callable[[Session, Any], Awaitable[Done | None]]

HANDLERS: Final[Mapping[type[commands.Command], Handler]] = {
    commands.Capability: handle_capability,
    commands.Noop: handle_noop,
    commands.Check: handle_noop,
    commands.Logout: handle_logout,
    commands.Id: handle_id,
    commands.Enable: handle_enable,
    commands.StartTls: handle_starttls,
    commands.Authenticate: handle_authenticate,
    commands.Login: handle_login,
    commands.Select: handle_select,
    commands.Create: handle_create,
    commands.Delete: handle_delete,
    commands.Rename: handle_rename,
    commands.Subscribe: handle_subscribe,
    commands.Unsubscribe: handle_unsubscribe,
    commands.List: handle_list,
    commands.Lsub: handle_lsub,
    commands.Xlist: handle_xlist,
    commands.Namespace: handle_namespace,
    commands.Status: handle_status,
    commands.Append: handle_append,
    commands.Idle: handle_idle,
    commands.GetQuota: handle_getquota,
    commands.GetQuotaRoot: handle_getquotaroot,
    commands.SetQuota: handle_setquota,
    commands.GetMetadata: handle_getmetadata,
    commands.SetMetadata: handle_setmetadata,
    commands.Close: handle_close,
    commands.Unselect: handle_unselect,
    commands.Expunge: handle_expunge,
    commands.Search: handle_search,
    commands.Fetch: handle_fetch,
    commands.Store: handle_store,
    commands.Copy: handle_copy,
    commands.Move: handle_move,
}
