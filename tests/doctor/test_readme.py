"""What the README tells an operator is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_readmes_log_lines_are_in_the_code() -> None:
    rows = re.findall(r"^\| (`.*`) \| ", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    lines = [
        line for row in rows for line in re.findall(r"`([a-z][a-z ,]+)`", row) if " " in line and "mas " not in line
    ]
    assert len(lines) >= 9
    source = "\n".join(path.read_text() for path in (ROOT / "mas").rglob("*.py"))
    for line in lines:
        assert re.search(re.escape(line).replace("damaged", "(damaged|{why})"), source), line
