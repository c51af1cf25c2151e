"""Run the rows on both servers in turn and print the table."""

from __future__ import annotations

import argparse
import datetime
import fnmatch
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.mail import messages
from bench.rows import BIG_USER, ROWS, Bench, fill
from bench.servers import prepare, start_dovecot, start_mas, write_scripts


def main() -> int:
    """The command line. Returns 1 when a row failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="*", help="only rows whose name matches this pattern")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each row on each server")
    parser.add_argument("--messages", type=int, default=20000, help="messages of the big mailbox")
    parser.add_argument("--only", choices=["mas", "dovecot"], help="one server alone, without ratios")
    options = parser.parse_args()
    if os.getuid():
        parser.error("run it as root: Dovecot wants to")
    if not all(shutil.which(program) for program in ("dovecot", "sievec")):
        packages = ["dovecot-imapd", "dovecot-lmtpd", "dovecot-sqlite", "dovecot-sieve"]
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], check=True)
    # Memory first: later the servers would take it out of what other rows have left behind.
    names = sorted(
        (name for name in ROWS if fnmatch.fnmatch(name, options.rows)), key=lambda name: "memory" not in name
    )
    mail = messages(2000)
    directory = Path(tempfile.mkdtemp(prefix="mas-bench-"))
    failed = False
    servers = []
    try:
        prepare(directory)
        starters = [
            start for start in (start_dovecot, start_mas) if not options.only or start.__name__.endswith(options.only)
        ]
        servers += [start(directory) for start in starters]
        benches = [Bench(server, mail, options.messages) for server in servers]
        for bench in benches:
            write_scripts(bench.server)
            print(f"filling {bench.server.name}: {options.messages} messages", file=sys.stderr, flush=True)
            imap = bench.session(BIG_USER)
            fill(imap, "Big", [mail[number % len(mail)] for number in range(options.messages)])
            imap.run(b"SELECT Big")
            imap.close()
        # Dovecot scans a Maildir again while its last change is young.
        time.sleep(2.5)
        print(_machine())
        print(_ONE_SERVER if options.only else _BOTH_SERVERS)
        for name in names:
            failed |= not _row(name, benches, options.rounds)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


_ONE_SERVER = "| operation | wall | CPU |\n|---|---|---|"
_BOTH_SERVERS = """\
| operation | Dovecot wall | MAS wall | wall ratio | Dovecot CPU | MAS CPU | CPU ratio |
|---|---|---|---|---|---|---|"""


def _machine() -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=False).stdout.split()[0]
    cpu = f"{os.cpu_count()} CPUs ({platform.processor() or platform.machine()})"
    return f"{today}, {cpu}, Python {platform.python_version()}, Dovecot {version}\n"


def _row(name: str, benches: list[Bench], rounds: int) -> bool:
    found: dict[str, list[tuple[float, float, dict[str, float]]]] = {bench.server.name: [] for bench in benches}
    for number in range(rounds):
        for bench in benches if number % 2 == 0 else reversed(benches):
            bench.values = {}
            try:
                ROWS[name](bench)
            except (RuntimeError, OSError) as error:
                print(f"| {name} | {bench.server.name} FAILED: {error} |", flush=True)
                return False
            found[bench.server.name].append((bench.wall, bench.cpu, dict(bench.values)))
    cells = [name]
    if "bytes" in next(iter(found.values()))[0][2]:
        # The largest: from the second run on a server takes what the run before has given back.
        sizes = [max(values["bytes"] for _, _, values in runs) for runs in found.values()]
        cells += [f"{size / 1024:.0f} KiB" for size in sizes]
        if len(sizes) == 2:
            cells += [f"**{sizes[1] / sizes[0]:.2f}**", "", "", ""]
    else:
        walls = [[wall for wall, _, _ in runs] for runs in found.values()]
        cpus = [[cpu for _, cpu, _ in runs] for runs in found.values()]
        for series in (walls, cpus):
            cells += [_time(statistics.median(values)) for values in series]
            if len(series) == 2:
                pairs = [b / a for a, b in zip(*series, strict=True) if a > 0]
                cells.append(f"**{statistics.median(pairs):.2f}**" if pairs else "")
    print("| " + " | ".join(cells) + " |", flush=True)
    return True


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 0.001 else f"{seconds * 1e3:.1f} ms"


if __name__ == "__main__":
    raise SystemExit(main())
