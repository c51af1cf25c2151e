"""``python -m mas``."""

from mas.cli import main

main()
