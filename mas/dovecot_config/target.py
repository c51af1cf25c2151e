"""MAS's file as it grows: a key is taken only with a value that MAS accepts, and written only when it differs from the default. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

from pydantic import ValidationError

from mas.config import Config, Section

Tree = dict[str, Any]


class Target:
    """The tree of TOML values: tables are dicts, lists of tables lists of dicts."""

    def __init__(self) -> None:
        self.tree: Tree = {}

    def put(self, key: str, value: Any) -> None:
        """Set ``section.key``. Raises ValueError with what MAS says of the value."""
        section, name, model = _place(key)
        _refuse_files(value)
        _check(model, name, value)
        table = self.tree.setdefault(section, {}) if section else self.tree
        table[name] = value

    def add(self, key: str, entry: Tree) -> None:
        """Add a table to a list of tables (``mailbox``, ``lmtp.socket``). Raises ValueError."""
        section, name, model = _place(key)
        for part in entry.values():
            _refuse_files(part)
        _check_entry(_entry_model(model, name), entry)
        table = self.tree.setdefault(section, {}) if section else self.tree
        table.setdefault(name, []).append(entry)

    def get(self, key: str, default: Any = None) -> Any:
        """The value that was put."""
        section, name, _ = _place(key)
        return (self.tree.get(section, {}) if section else self.tree).get(name, default)

    def differing(self) -> Tree:
        """What is not the default, in the order of the documentation of the keys."""
        return _differing(Config, self.tree)


def _differing(model: type[Section], tree: Tree) -> Tree:
    kept: Tree = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in tree:
            continue
        value = tree[key]
        inner = field.annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Section):
            if below := _differing(inner, value):
                kept[key] = below
        elif isinstance(value, list):
            if value or _default(model, name):
                entry = _entry_model(model, name)
                kept[key] = [_differing(entry, item) for item in value]
        elif field.is_required() or getattr(_with(model, key, value), name) != _default(model, name):
            kept[key] = value
    return kept


def _place(key: str) -> tuple[str, str, type[Section]]:
    """``imap.max_line`` -> ``imap``, ``max_line`` and the model of the section."""
    section, _, name = key.rpartition(".")
    if not section:
        return "", name, Config
    model = Config.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, Section)
    return section, name, model


def _entry_model(model: type[Section], name: str) -> type[Section]:
    for field_name, field in model.model_fields.items():
        if (field.alias or field_name) == name:
            for inner in get_args(field.annotation):
                if isinstance(inner, type) and issubclass(inner, Section):
                    return inner
    raise KeyError(name)


def _check(model: type[Section], name: str, value: Any) -> None:
    try:
        model.model_validate({name: value} if not isinstance(value, list) else {name: tuple(value)})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["loc"][:1] == (name,) or not detail["loc"]:
                raise ValueError(_sentence(detail)) from None


def _check_entry(model: type[Section], entry: Tree) -> None:
    try:
        model.model_validate({key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
    except ValidationError as error:
        raise ValueError("; ".join(_sentence(detail) for detail in error.errors(include_url=False))) from None


def _refuse_files(value: Any) -> None:
    """A text that MAS would take for the name of a file that holds the value."""
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and text.startswith("<") and not text.endswith(">"):
            raise ValueError(f"{text!r} begins with <, which names a file in MAS")


def _sentence(detail: Any) -> str:
    return str(detail.get("ctx", {}).get("error") or detail["msg"].removeprefix("Input "))


def _with(model: type[Section], key: str, value: Any) -> Any:
    """A section with only this key set; required ones are left out unchecked."""
    try:
        return model.model_validate({key: value})
    except ValidationError:
        required = {
            (field.alias or name): _PLACEHOLDER[name]
            for name, field in model.model_fields.items()
            if field.is_required()
        }
        return model.model_validate({**required, key: value})


_PLACEHOLDER: dict[str, Any] = {
    "url": "sqlite+aiosqlite:////x",
    "path": "/x",
    "name": "x",
    "threshold": "storage=1%",
    "port": 24,
    "cert": "/x",
    "key": "/x",
    "names": ("x",),
}


@cache
def _default(model: type[Section], name: str) -> Any:
    from mas.config.dump import default_of

    return default_of(model, name)
