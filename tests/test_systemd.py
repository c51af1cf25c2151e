"""The units are right by systemd's own check, and fit the defaults of the configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mas.config import Config
from tests.support.servers import need

UNITS = Path(__file__).parent.parent / "systemd"


@pytest.mark.e2e
@pytest.mark.parametrize("unit", ["mas.service", "mas.socket"])
def test_systemd_accepts_them(unit: str, tmp_path: Path) -> None:
    program = need("systemd-analyze")
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    service = tmp_path / "mas.service"
    # What is not installed on the machine of the test.
    service.write_text(service.read_text().replace("/opt/mas/.venv/bin/mas", "/bin/true"))
    (tmp_path / "mariadb.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=one", str(tmp_path / unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or unit in line]
    assert (done.returncode, said) == (0, [])


def test_mistakes_in_the_configuration_fail_a_reload_and_end_a_start() -> None:
    """systemd looks at the exit status of the main process alone: a failed ExecStartPre= would be tried for ever."""
    text = (UNITS / "mas.service").read_text()
    program = "/opt/mas/.venv/bin/mas"
    assert re.findall(r"^Exec\w+=.*", text, re.MULTILINE) == [
        f"ExecStart={program}",
        f"ExecReload={program} config --check",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ]
    assert f"\nRestartPreventExitStatus={os.EX_CONFIG}\n" in text


def test_a_mariadb_that_comes_back_brings_mas_back() -> None:
    """BindsTo= alone stops MAS when MariaDB crashes, and leaves it stopped when systemd has restarted MariaDB."""
    text = (UNITS / "mas.service.d" / "mariadb.conf").read_text()
    settings = [line for line in text.splitlines() if line and not line.startswith(("#", "["))]
    assert settings == ["After=mariadb.service", "BindsTo=mariadb.service", "WantedBy=mariadb.service"]


def test_the_socket_units_ports_are_the_configurations() -> None:
    ports = {int(port) for port in re.findall(r"ListenStream=\S+:(\d+)", (UNITS / "mas.socket").read_text())}
    config = Config()
    assert ports == {config.imap.port, config.imap.tls_port, config.managesieve.port}


def test_the_service_may_write_where_the_configuration_points() -> None:
    text = (UNITS / "mas.service").read_text()
    config = Config()
    for place in (config.state_dir, config.lmtp.socket[0].path.parent, config.auth.socket[0].path.parent):
        assert f"-{place}" in text
    assert f"RuntimeDirectory={config.run_dir.name}\n" in text
    stop = int(re.findall(r"TimeoutStopSec=(\d+)s", text)[0])
    assert stop > config.drain_timeout
