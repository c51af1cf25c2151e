"""Where mail lies, namespaces and their mailboxes. Pure."""

from __future__ import annotations

from mas.dovecot_config.conversion import Conversion
from mas.dovecot_config.grammar import Setting
from mas.dovecot_config.location import judge
from mas.dovecot_config.target import Tree
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import duration, number
from mas.dovecot_config.variables import template

MAIL_KEYS = frozenset({"mail_location", "mail_uid", "mail_gid", "mail_home"})
"""Settings that are this module's."""

_NEEDLESS_PARTS = ("NO-NOSELECT", "ITERINDEX")
_ONE_NAMESPACE = "MAS has one namespace, the user's own, without a prefix"


def convert_mail(conversion: Conversion) -> None:
    """mail_location, mail_uid, mail_gid; before the accounts, which may ask for them."""
    root = conversion.root
    if location := root.settings.get("mail_location"):
        conversion.apply(root, location, _location)
    for key in ("mail_uid", "mail_gid"):
        if setting := root.settings.get(key):
            conversion.apply(root, setting, _owner)


def convert_home(conversion: Conversion) -> None:
    """mail_home: the home where no userdb gives one. After the accounts."""
    home = conversion.root.settings.get("mail_home")
    if home is None or not home.value:
        return
    used = [entry for entry in conversion.target.get("userdb", []) if entry.get("home")]
    if not used:
        conversion.left(conversion.root, home, "have the userdb's query give home")


def convert_namespaces(conversion: Conversion) -> None:
    """The namespace that holds INBOX; others are left out."""
    spaces = list(conversion.root.of("namespace"))
    inboxes = [space for space in spaces if space.value("inbox") == "yes"] or spaces[:1]
    mailboxes: list[Tree] = []
    for space in spaces:
        if space is not inboxes[0]:
            conversion.leave_block(space, _ONE_NAMESPACE)
            continue
        for setting in space.settings.values():
            conversion.apply(space, setting, _namespace)
        for block in space.blocks:
            if block.kind == "mailbox":
                _mailbox(conversion, block, mailboxes)
            else:
                conversion.leave_block(block, _ONE_NAMESPACE)
    conversion.target.tree["mailbox"] = mailboxes
    location = str(conversion.target.get("mail.location", ""))
    if conversion.target.get("mail.separator") is None and "LAYOUT=fs" in location.split(":"):
        conversion.put("mail.separator", "/")  # Dovecot's own for this layout


def _location(conversion: Conversion, block: Block, setting: Setting) -> None:
    if not setting.value:
        return
    kind, _, rest = setting.value.partition(":")
    if kind != "maildir":
        raise ValueError(f"MAS keeps mail in Maildirs, not in {kind}: convert it with dsync first")
    path, *parts = rest.split(":")
    if needless := [part for part in parts if part in _NEEDLESS_PARTS]:
        conversion.left(block, setting, f"of it {', '.join(needless)}: MAS has no such part")
    kept = [part for part in parts if part not in _NEEDLESS_PARTS]
    location = template(":".join(["maildir", path, *kept]))
    judge(location)
    conversion.put("mail.location", location)


def _owner(conversion: Conversion, _: Block, setting: Setting) -> None:
    if setting.value:
        conversion.put(f"mail.{setting.key.removeprefix('mail_')}", setting.value)


def _namespace(conversion: Conversion, block: Block, setting: Setting) -> None:
    match setting.key:
        case "separator":
            if setting.value:
                conversion.put("mail.separator", setting.value)
        case "location":
            # Of the namespace that has INBOX: it wins over mail_location.
            _location(conversion, block, setting)
        case (
            "inbox"
            | "type"
            | "hidden"
            | "list"
            | "subscriptions"
            | "prefix"
            | "ignore_on_failure"
            | "order"
            | "disabled"
        ):
            usual = {
                "inbox": "yes", "type": "private", "hidden": "no", "list": "yes", "subscriptions": "yes", "prefix": "",
                "disabled": "no",
            }  # fmt: skip
            if setting.value not in ("", usual.get(setting.key, setting.value)):
                raise ValueError(_ONE_NAMESPACE)
        case "alias_for":
            if setting.value:
                raise ValueError(_ONE_NAMESPACE)
        case _:
            conversion.unknown(block, setting, "unknown in a namespace")


def _mailbox(conversion: Conversion, block: Block, mailboxes: list[Tree]) -> None:
    entry: Tree = {"name": block.name}
    taken = {use.lower(): other["name"] for other in mailboxes for use in other.get("special_use", "").split()}
    before = len(conversion.remarks)
    for setting in block.settings.values():
        try:
            match setting.key:
                case "auto":
                    entry["auto"] = setting.value
                case "autoexpunge":
                    entry["autoexpunge"] = duration(setting.value)
                case "autoexpunge_max_mails":
                    entry["autoexpunge_max_mails"] = number(setting.value)
                case "special_use":
                    uses = setting.value.split()
                    free = [use for use in uses if use.lower() not in taken]
                    if free:
                        entry["special_use"] = " ".join(free)
                    if len(free) < len(uses):
                        owner = taken[next(use for use in uses if use.lower() in taken).lower()]
                        conversion.left(block, setting, f'MAS gives a special use to one mailbox, here to "{owner}"')
                case "name":
                    entry["name"] = setting.value
                case "comment":
                    conversion.left(block, setting, "METADATA: MAS has none")
                case "driver":
                    if setting.value not in ("", "maildir"):
                        conversion.left(block, setting, "MAS keeps mail in Maildirs")
                case _:
                    conversion.unknown(block, setting, "unknown in a mailbox")
        except ValueError as error:
            conversion.left(block, setting, str(error))
    if len(entry) == 1:
        return  # a name and nothing else: Dovecot does nothing with it
    try:
        conversion.target.add("mailbox", entry)
    except ValueError as error:
        del conversion.remarks[before:]
        conversion.leave_block(block, f"MAS's [[mailbox]]: {error}")
    else:
        conversion.carried += len(block.settings)
        mailboxes.append(entry)
