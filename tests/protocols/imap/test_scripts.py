"""Every script of tests/scripts/imap in this process: on the model store, and on the Maildir store."""

from __future__ import annotations

from pathlib import Path

import pytest

from mas.config import Config
from mas.storage.store import MaildirStore
from mas.user import User
from tests.support.imap_in_process import USER, InProcessHost
from tests.support.script_runner import Script, load, run_script

SCRIPTS = sorted((Path(__file__).parents[2] / "scripts" / "imap").glob("*.script"))
ON_DISK = [path for path in SCRIPTS if not InProcessHost.needs_the_model(load(path))]


async def run(script: Script, host: InProcessHost) -> None:
    await host.prepare(script)
    logged_in = script.header.get("state", ["login"])[0] != "none"
    try:
        await run_script(script, host, login=host.login if logged_in else None)
    finally:
        await host.close()


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
async def test_script(path: Path) -> None:
    await run(load(path), InProcessHost())


@pytest.mark.parametrize("path", ON_DISK, ids=[path.stem for path in ON_DISK])
async def test_script_on_maildir(path: Path, tmp_path: Path) -> None:
    config = Config(mailbox=(), state_dir=tmp_path, run_dir=tmp_path)
    store = MaildirStore(config)
    try:
        user = User(name=USER, home=tmp_path / "kim", location=f"maildir:{tmp_path}/kim/Maildir")
        await run(load(path), InProcessHost(store, config, user))
    finally:
        await store.close()
