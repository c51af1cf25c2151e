"""Who may import whom. A wrong arrow fails here, not in a review."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mas"

# module prefix -> what of ``mas`` it may import (prefixes). The longest matching prefix rules; modules not named here may import all.
ARROWS: dict[str, tuple[str, ...]] = {
    "mas": (),
    "mas.errors": (),
    "mas.user": (),
    "mas.quota_rules": ("mas.errors",),
    "mas.variables": (),
    "mas.shared_database": (),
    "mas.config": ("mas.errors", "mas.quota_rules", "mas.variables", "mas.config"),
    "mas.logs": ("mas.errors", "mas.config"),
    "mas.dovecot_config": (
        "mas.errors",
        "mas.config",
        "mas.variables",
        "mas.auth.query",
        "mas.storage.location",
        "mas.dovecot_config",
    ),
    "mas.metrics": ("mas.metrics",),
    "mas.storage": (
        "mas.errors",
        "mas.metrics",
        "mas.user",
        "mas.config",
        "mas.quota_rules",
        "mas.variables",
        "mas.shared_database",
        "mas.storage",
    ),
    "mas.storage.mime": ("mas.errors", "mas.storage.mime"),
    "mas.storage.model": (),
    "mas.storage.query": (),
    "mas.auth": ("mas.errors", "mas.metrics", "mas.user", "mas.config", "mas.variables", "mas.auth"),
    "mas.sieve": ("mas.errors", "mas.sieve"),
    "mas.delivery": ("mas.errors", "mas.metrics", "mas.user", "mas.config", "mas.storage", "mas.auth", "mas.sieve"),
    "mas.services": (
        "mas.errors",
        "mas.config",
        "mas.storage.interface",
        "mas.auth.interface",
        "mas.delivery",
        "mas.protocols.session",
        "mas.storage.model",
        "mas.user",
    ),
    "mas.events": ("mas.errors", "mas.user", "mas.logs", "mas.storage.interface", "mas.storage.model", "mas.events"),
    "mas.training": (
        "mas.events.model",
        "mas.errors",
        "mas.user",
        "mas.logs",
        "mas.storage",
        "mas.outgoing",
        "mas.filtering.memory",
        "mas.training",
    ),
    "mas.sessions": ("mas.errors", "mas.logs", "mas.protocols.session", "mas.shared_database"),
    "mas.outgoing": ("mas.errors", "mas.logs", "mas.outgoing"),
    "mas.filtering": (
        "mas.errors",
        "mas.user",
        "mas.config",
        "mas.logs",
        "mas.variables",
        "mas.shared_database",
        "mas.delivery",
        "mas.storage",
        "mas.sieve",
        "mas.outgoing",
        "mas.events.model",
        "mas.filtering",
    ),
    "mas.svtest": (
        "mas.errors",
        "mas.user",
        "mas.config",
        "mas.delivery",
        "mas.storage",
        "mas.sieve",
        "mas.outgoing",
        "mas.filtering",
        "mas.svtest",
    ),
    "mas.protocols.framing": ("mas.errors",),
    "mas.protocols.session": (),
    "mas.protocols.proxy": (),
    "mas.protocols.bindings": (),
    "mas.protocols.pump": ("mas.errors", "mas.protocols.session", "mas.protocols.bindings"),
    "mas.protocols.tls": ("mas.errors", "mas.config", "mas.protocols.bindings"),
    "mas.protocols.http": ("mas.logs", "mas.protocols.session", "mas.protocols.http"),
    "mas.protocols.listener": (
        "mas.errors",
        "mas.metrics",
        "mas.logs",
        "mas.protocols.session",
        "mas.protocols.pump",
        "mas.protocols.proxy",
    ),
    "mas.protocols.imap": (
        "mas.errors",
        "mas.metrics",
        "mas.user",
        "mas.config",
        "mas.services",
        "mas.logs",
        "mas.storage",
        "mas.auth",
        "mas.protocols",
    ),
    "mas.protocols.lmtp": (
        "mas.errors",
        "mas.user",
        "mas.config",
        "mas.services",
        "mas.storage",
        "mas.auth",
        "mas.delivery",
        "mas.protocols",
    ),
    "mas.protocols.auth_socket": (
        "mas.errors",
        "mas.user",
        "mas.config",
        "mas.services",
        "mas.logs",
        "mas.auth",
        "mas.protocols",
    ),
    "mas.protocols.managesieve": (
        "mas.errors",
        "mas.metrics",
        "mas.user",
        "mas.config",
        "mas.services",
        "mas.logs",
        "mas.variables",
        "mas.storage",
        "mas.auth",
        "mas.sieve",
        "mas.filtering.compiled",
        "mas.filtering.limits",
        "mas.protocols",
    ),
}
UNBOUND = {"mas.server", "mas.cli", "mas.doctor", "mas.migrate", "mas.__main__", "mas.demo", "mas.demo_mail"}
SIBLINGS = (
    "mas.protocols.imap",
    "mas.protocols.lmtp",
    "mas.protocols.managesieve",
    "mas.protocols.auth_socket",
    "mas.protocols.http",
)


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name == "mas" or name.startswith("mas.")}


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


@pytest.mark.parametrize(("module", "path"), modules(), ids=[m for m, _ in modules()])
def test_arrows(module: str, path: Path) -> None:
    if any(within(module, free) for free in UNBOUND):
        return
    rules = [prefix for prefix in ARROWS if within(module, prefix) and (prefix != "mas" or module == "mas")]
    if not rules:
        return
    allowed = ARROWS[max(rules, key=len)]
    known = {m for m, _ in modules()}
    for name in imported(path):
        target = name if name in known else name.rpartition(".")[0]
        if target == "mas" or target == module:
            continue
        assert any(within(target, prefix) for prefix in allowed), f"{module} imports {target}"
        for sibling in SIBLINGS:
            if within(target, sibling):
                assert within(module, sibling), f"{module} imports {target}: one protocol from another"


PURE_FORBIDDEN = {
    "asyncio",
    "ssl",
    "socket",
    "os",
    "time",
    "logging",
    "pathlib",
    "threading",
    "subprocess",
    "structlog",
    "apsw",
}
PURE = (
    "mas.outgoing.compose",
    "mas.filtering.view",
    "mas.filtering.edits",
    "mas.migrate.view",
    "mas.storage.model",
    "mas.storage.query",
    "mas.storage.mime",
    "mas.errors",
    "mas.quota_rules",
    "mas.sieve",
    "mas.protocols.framing",
    "mas.protocols.proxy",
    *(
        f"mas.dovecot_config.{name}"
        for name in (
            "grammar", "tree", "variables", "values", "target", "conversion", "settings", "accounts", "services", "mailstore",
            "quota", "sieve", "toml", "dialect24", "convert",
        )
    ),
)  # fmt: skip
PURE_IMAP = (
    "abnf",
    "cursor",
    "commands",
    "parse_command",
    "parse_fetch",
    "parse_search",
    "parse_list",
    "parse_metadata",
    "numset",
    "mailbox_name",
    "capabilities",
    "responses",
    "encode",
    "encode_fetch",
    "events",
    "connection",
    "view",
)


@pytest.mark.parametrize(("module", "path"), modules(), ids=[m for m, _ in modules()])
def test_pure_modules_touch_nothing(module: str, path: Path) -> None:
    pure = any(within(module, p) for p in PURE) or module in {f"mas.protocols.imap.{name}" for name in PURE_IMAP}
    pure = pure or (
        module.startswith("mas.protocols.") and module.endswith((".connection", ".grammar", ".replies", ".responses"))
    )
    if not pure:
        return
    roots: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.partition(".")[0])
    assert not roots & PURE_FORBIDDEN, f"{module} is pure and imports {roots & PURE_FORBIDDEN}"
