"""A user's Sieve scripts as files, where Pigeonhole keeps them: ``~/sieve/NAME.sieve``, the active one a symbolic link.

Promises: a script is replaced whole or not at all (written aside, fsynced, renamed); the active link never points nowhere for longer
than a rename; a name cannot leave the folder. A regular file found at the active path is kept as ``dovecot.orig.sieve`` [as Pigeonhole].
All methods block: call them in a thread. Must not know: Sieve, ManageSieve.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from mas.config import Config
from mas.errors import DiskFull, MasError, OverQuota, StorageUnavailable
from mas.user import User
from mas.variables import expand, values_of

SUFFIX = ".sieve"
MAX_NAME_OCTETS = 240
_ORIGINAL = "dovecot.orig"
_FORBIDDEN = frozenset([*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, ord("/")])


class ScriptError(MasError):
    """An operation on a script that cannot be done; ``name`` is the script's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ScriptNotFound(ScriptError):
    """No script of that name."""


class ScriptExists(ScriptError):
    """A script of that name is there already."""


class ScriptActive(ScriptError):
    """The active script cannot be deleted."""


class InvalidScriptName(ScriptError):
    """The name can never be a script's [RFC5804 1.6]."""


class TooManyScripts(OverQuota):
    """The user has as many scripts as allowed."""


class ScriptsTooBig(OverQuota):
    """The scripts together, or this one, would take more than allowed."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Tells two contents of a file apart without reading: a compiled script is good while its file has the same identity."""

    inode: int
    size: int
    mtime_ns: int


def check_name(name: str) -> None:
    """Raises InvalidScriptName."""
    if (
        not name
        or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_OCTETS
        or any(ord(char) in _FORBIDDEN or 0xD800 <= ord(char) <= 0xDFFF for char in name)
    ):
        raise InvalidScriptName(name)


class ScriptFolder:
    """The scripts of one user.

    directory: where scripts lie. active: path of the link. max_scripts, max_storage (octets): 0 = no limit. max_size: of one script.
    """

    def __init__(
        self, directory: Path, active: Path, *, max_scripts: int = 0, max_storage: int = 0, max_size: int = 0
    ) -> None:
        self.directory = directory
        self.active = active
        self.max_scripts = max_scripts
        self.max_storage = max_storage
        self.max_size = max_size

    def _path(self, name: str) -> Path:
        check_name(name)
        return self.directory / (name + SUFFIX)

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise ScriptNotFound(name)
        return path

    def names(self) -> list[str]:
        """All script names, sorted."""
        try:
            entries = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _failure(error) from error
        return sorted(
            entry.removesuffix(SUFFIX)
            for entry in entries
            if entry.endswith(SUFFIX) and entry != SUFFIX and not entry.startswith(".tmp.")
        )

    def active_name(self) -> str:
        """The active script's name; empty when there is none (or it lies elsewhere)."""
        try:
            target = os.readlink(self.active)
        except OSError:
            return ""
        path = (self.active.parent / target) if not os.path.isabs(target) else Path(target)
        if os.path.normpath(path.parent) != os.path.normpath(self.directory) or path.suffix != SUFFIX:
            return ""
        return path.name.removesuffix(SUFFIX)

    def read(self, name: str) -> bytes:
        """A script's octets."""
        try:
            return self._existing(name).read_bytes()
        except OSError as error:
            raise _failure(error) from error

    def read_active(self) -> tuple[Path, Identity] | None:
        """The file that the active path leads to, and its identity; None when there is none."""
        try:
            stat = os.stat(self.active)
        except OSError:
            return None
        return self.active, Identity(stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def check(self, name: str, size: int) -> None:
        """Whether a script may have this name and size: the part of check_space that looks at no file."""
        check_name(name)
        if self.max_size and size > self.max_size:
            raise ScriptsTooBig("sieve", f"a script may have {self.max_size} octets")

    def check_space(self, name: str, size: int) -> None:
        """Whether ``size`` octets would be taken as script ``name`` now: what HAVESPACE promises, PUTSCRIPT keeps."""
        self.check(name, size)
        if not self.max_scripts and not self.max_storage:
            return
        names = self.names()
        if self.max_scripts and name not in names and len(names) >= self.max_scripts:
            raise TooManyScripts("sieve", f"only {self.max_scripts} scripts are allowed")
        if self.max_storage:
            used = sum(self._size(other) for other in names if other != name)
            if used + size > self.max_storage:
                raise ScriptsTooBig("sieve", f"scripts may take {self.max_storage} octets together")

    def _size(self, name: str) -> int:
        with contextlib.suppress(OSError):
            return self._path(name).stat().st_size
        return 0

    def put(self, name: str, content: bytes) -> None:
        """Store a script, whole or not at all."""
        path = self._path(name)
        self.check_space(name, len(content))
        try:
            self._make_directory()
            _write(path, content)
        except OSError as error:
            raise _failure(error) from error

    def _make_directory(self) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(self.directory.parent)

    def delete(self, name: str) -> None:
        """Remove a script that is not active."""
        path = self._existing(name)
        if self.active_name() == name:
            raise ScriptActive(name)
        try:
            path.unlink()
            _sync(self.directory)
        except OSError as error:
            raise _failure(error) from error

    def rename(self, old: str, new: str) -> None:
        """Give a script another name; the active one stays active."""
        source, target = self._existing(old), self._path(new)
        if target.exists():
            raise ScriptExists(new)
        was_active = self.active_name() == old
        try:
            # Both names exist until the link has moved: no instant without an active script.
            os.link(source, target)
            if was_active:
                self._link(target)
            source.unlink()
            _sync(self.directory)
        except FileExistsError:
            raise ScriptExists(new) from None
        except OSError as error:
            raise _failure(error) from error

    def activate(self, name: str) -> None:
        """Make a script the active one; the empty name deactivates all."""
        try:
            if not name:
                self._keep_original()
                self.active.unlink(missing_ok=True)
                _sync(self.active.parent)
                return
            path = self._existing(name)
            self._keep_original()
            self._link(path)
        except OSError as error:
            raise _failure(error) from error

    def _keep_original(self) -> None:
        """A hand-written file at the active path becomes a script of its own."""
        if self.active.is_file() and not self.active.is_symlink():
            self._make_directory()
            kept = self.directory / (_ORIGINAL + SUFFIX)
            if not kept.exists():
                os.link(self.active, kept)

    def _link(self, path: Path) -> None:
        aside = self.active.with_name(f"{self.active.name}.{secrets.token_hex(6)}")
        os.symlink(os.path.relpath(path, self.active.parent), aside)
        os.replace(aside, self.active)
        _sync(self.active.parent)


def folder_of(user: User, config: Config) -> ScriptFolder:
    """The scripts of a user, where the configuration says."""
    settings = config.sieve

    def place(template: str) -> Path:
        path = expand(template, values_of(user.name, home=str(user.home), service="sieve"))
        return user.home / path[2:] if path.startswith("~/") else Path(path)

    return ScriptFolder(
        place(settings.dir),
        place(settings.active),
        max_scripts=settings.max_scripts,
        max_storage=settings.max_storage,
        max_size=settings.max_script_size,
    )


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".tmp.{secrets.token_hex(8)}{SUFFIX}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(error: OSError) -> StorageUnavailable:
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageUnavailable
    return kind(f"{error.filename or 'scripts'}: {error.strerror}")
