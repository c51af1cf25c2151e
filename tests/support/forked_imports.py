"""What children of ``tests.support.forks`` have imported already: all that ``mas`` imports for its commands, the driver of SQLite, and
where the work of children is."""

from __future__ import annotations

import importlib
import pkgutil

import sqlalchemy.dialects.sqlite.aiosqlite as aiosqlite

import mas.cli
import tests.cli.program
import tests.crash.test_power_cut  # noqa: F401
from mas.config import Config
from mas.server.preload import preload

preload(Config())
aiosqlite.dialect.import_dbapi()
for module in pkgutil.iter_modules(mas.cli.__path__):
    importlib.import_module(f"mas.cli.{module.name}")
