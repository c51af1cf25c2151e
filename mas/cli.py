"""The command line: what ``mas`` and ``python -m mas`` do with their arguments."""


def main() -> None:
    """Parse ``sys.argv`` and run the command."""
    raise SystemExit("mas: no command is built yet")
