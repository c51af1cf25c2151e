"""Which scripts run for a user, compiled and kept by the identity of their files.

There are two languages: what the administrator's scripts may use may be more than what the users' may.

Order: the administrator's ``before``, the user's own (or ``default`` when there is none), ``after``. A folder stands for all its
``*.sieve`` files in the order of their names. A file whose identity (inode, size, mtime) has not changed is not read again.
All methods but ``ready`` block: call them in a thread.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from mas.config import Config
from mas.filtering.compiled import COMPILED, MAX_OCTETS, weight
from mas.sieve.definition import Registry
from mas.sieve.limits import Limits
from mas.sieve.program import Program
from mas.sieve.source import ScriptError
from mas.storage.scripts import InvalidScriptName, check_name
from mas.user import User
from mas.variables import expand, values_of

_CACHED_PROGRAMS = 2000
_OFF = frozenset({"no", "n", "false", "0", "off"})
Identity = tuple[int, int, int, int]


@lru_cache(maxsize=4096)
def _path(template: str, user: str, home: str) -> Path:
    """A path of the configuration for a user; every delivery asks for the same."""
    text = expand(template, values_of(user, home=home, service="sieve"))
    return Path(home, text[2:]) if text.startswith("~/") else Path(text)


@dataclass(frozen=True, slots=True)
class Broken:
    """A script that is there and does not compile."""

    name: str
    personal: bool
    problems: Sequence[str]


Load = Callable[[Path, bool], Program | Broken | None]
"""A file's script, None when there is none; whether it is the user's own."""


class Scripts:
    """The scripts of this host."""

    def __init__(self, config: Config, personal: Registry, administrators: Registry, limits: Limits) -> None:
        self._settings = config.sieve
        self._registries = {True: personal, False: administrators}
        self._limits = limits
        self._cache: OrderedDict[tuple[str, bool], tuple[Identity, Program | Broken, int]] = OrderedDict()
        self._octets = 0
        self._lock = Lock()

    def of(self, user: User) -> tuple[list[Program], list[Broken]]:
        """What runs for a user, in order, and what should but does not compile."""
        return self._of(user, self._load)

    def ready(self, user: User) -> tuple[list[Program], list[Broken]] | None:
        """The same, when neither a file nor a folder has to be read for it. On the loop: a look-up of a name or two for each script, where
        users without scripts and those with known ones would else wait for two changes of thread."""
        if not self.enabled(user):
            return [], []
        try:
            return self._of(user, self._kept)
        except LookupError:
            return None

    def _of(self, user: User, load: Load) -> tuple[list[Program], list[Broken]]:
        settings = self._settings
        own = load(self.path(settings.active, user), True)
        if own is None and settings.default:
            own = load(self.path(settings.default, user), False)
        return _sorted([*self._all(settings.before, user, load), own, *self._all(settings.after, user, load)])

    def named(self, templates: Sequence[str], user: User) -> tuple[list[Program], list[Broken]]:
        """Scripts of the administrator, in order, and those that do not compile (or are not there)."""
        return _sorted(
            [
                one or Broken(template, False, [f"{template}: no such script"])
                for template in templates
                for one in self._all([template], user, self._load)
            ]
        )

    def owned(self, name: str, user: User) -> Program | Broken | None:
        """A script of the user by the name that it has in ManageSieve; None when there is none of that name."""
        try:
            check_name(name)
        except InvalidScriptName:
            return None
        if not self.enabled(user):
            return None
        return self._load(self.path(self._settings.dir, user) / f"{name}.sieve", personal=True)

    def enabled(self, user: User) -> bool:
        """Whether scripts run for a user: as ``sieve_enabled`` of the user database says, else the configuration."""
        said = user.fields.get("sieve_enabled")
        return self._settings.enabled if said is None else said.strip().lower() not in _OFF

    def included(self, user: User, name: str, personal: bool) -> Program | None:
        """A script that another one includes; None when there is none that compiles."""
        folder = self.path(self._settings.dir if personal else self._settings.global_dir, user)
        found = self._load(folder / f"{name}.sieve", personal)
        return found if isinstance(found, Program) else None

    def text(self, template: str, user: User) -> str:
        """A text of the configuration for a user."""
        return expand(template, values_of(user.name, home=str(user.home), service="sieve"))

    def path(self, template: str, user: User) -> Path:
        """A path of the configuration for a user."""
        return _path(template, user.name, str(user.home))

    def _all(self, templates: Sequence[str], user: User, load: Load) -> list[Program | Broken | None]:
        found: list[Program | Broken | None] = []
        for template in templates:
            path = self.path(template, user)
            if path.is_dir():
                if load == self._kept:
                    raise LookupError(path)  # a folder must be read
                found.extend(load(entry, False) for entry in sorted(path.glob("*.sieve")))
            else:
                found.append(load(path, False))
        return found

    def _kept(self, path: Path, personal: bool) -> Program | Broken | None:
        """A script as it was compiled; None when there is none. Raises LookupError when its file must be read."""
        try:
            identity = _identity(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise LookupError(path) from error
        with self._lock:
            kept = self._cache[str(path), personal]
            if kept[0] != identity:
                raise LookupError(path)
            self._cache.move_to_end((str(path), personal))
            return kept[1]

    def _load(self, path: Path, personal: bool) -> Program | Broken | None:
        with contextlib.suppress(LookupError):
            return self._kept(path, personal)
        try:
            identity = _identity(path)
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return Broken(path.name, personal, [f"{path}: {error.strerror}"])
        compiled: Program | Broken
        try:
            name = path.name.removesuffix(".sieve")
            compiled = COMPILED.program(content, self._registries[personal], self._limits, name)
        except ScriptError as error:
            compiled = Broken(path.name, personal, [str(problem) for problem in error.problems])
        with self._lock:
            self._forget((str(path), personal))
            counts = weight(len(content) if isinstance(compiled, Program) else 0)
            self._cache[str(path), personal] = (identity, compiled, counts)
            self._octets += counts
            while len(self._cache) > _CACHED_PROGRAMS or self._octets > MAX_OCTETS:
                self._forget(next(iter(self._cache)))
        return compiled

    def _forget(self, key: tuple[str, bool]) -> None:
        """The caller holds the lock."""
        kept = self._cache.pop(key, None)
        if kept is not None:
            self._octets -= kept[2]


def _identity(path: Path) -> Identity:
    stat = os.stat(path)
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _sorted(found: Sequence[Program | Broken | None]) -> tuple[list[Program], list[Broken]]:
    return (
        [one for one in found if isinstance(one, Program)],
        [one for one in found if isinstance(one, Broken)],
    )
