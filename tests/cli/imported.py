"""What every process of ``run_forked`` has imported already: all that ``mas`` imports for its commands, and the driver of SQLite."""

from __future__ import annotations

import importlib
import pkgutil

import sqlalchemy.dialects.sqlite.aiosqlite as aiosqlite

import mas.cli
from mas.config import Config
from mas.server.preload import preload

preload(Config())
aiosqlite.dialect.import_dbapi()
for module in pkgutil.iter_modules(mas.cli.__path__):
    importlib.import_module(f"mas.cli.{module.name}")
