"""From a file to a Config, or to a list of everything that is wrong with it.

All mistakes are found in one go: a problem reads ``/etc/mas/mas.toml:12: imap.max_lin: unknown key; did you mean "max_line"?``.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mas.config.file import Config
from mas.config.positions import Place, line_of, positions
from mas.config.section import Section
from mas.errors import ConfigError

_MAX_FILE = 4 << 20
_MAX_SECRET = 64 << 10


def load(path: str | Path) -> Config:
    """Read and check the file. Raises ConfigError with one problem a mistake, in the order of the file."""
    path = Path(path)
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    if len(octets) > _MAX_FILE:
        raise ConfigError([f"{path}: larger than {_MAX_FILE} octets"])
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: not UTF-8"]) from None
    return loads(text, path)


def loads(text: str, path: Path) -> Config:
    """As ``load``, for the text of a file that is called ``path`` in problems; relative paths start in its directory."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(path, text, str(error))]) from None
    problems: list[tuple[Place, str]] = []
    directory = path.absolute().parent
    tree = _read_values(raw, (), directory, problems)
    try:
        config = Config.model_validate(tree, context={"directory": directory})
    except ValidationError as error:
        details = _without_consequences(error.errors(include_url=False))
        wrong = [_place(detail, tree) for detail in details]
        problems += zip(wrong, map(_problem, details), strict=True)
        problems += _check_rest(tree, wrong, directory)
    else:
        problems += config.check_whole()
    if problems:
        found = positions(text)
        located = sorted({(line_of(place, found) or 0, _dotted(place), what) for place, what in problems})
        # Problems without a line (a section that is missing) come last.
        located.sort(key=lambda problem: problem[0] or _MAX_FILE)
        raise ConfigError([f"{path}:{line or ''}{':' if line else ''} {key}: {what}" for line, key, what in located])
    return config


def _read_values(value: Any, place: Place, directory: Path, problems: list[tuple[Place, str]]) -> Any:
    """The tree with lists as tuples (sections are frozen) and every ``"<path"`` replaced by what that file holds."""
    if isinstance(value, dict):
        return {key: _read_values(item, (*place, key), directory, problems) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_read_values(item, (*place, i), directory, problems) for i, item in enumerate(value))
    # "<robot@example.net>" is an address, as sieve.redirect_envelope_from takes it.
    if isinstance(value, str) and value.startswith("<") and not value.endswith(">") and place[0] != "tls":
        try:
            with (directory / value[1:].strip()).open(encoding="utf-8") as file:
                return file.read(_MAX_SECRET).rstrip("\r\n")
        except (OSError, ValueError) as error:
            problems.append((place, f"{value[1:]} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"))
    return value


def _syntax_problem(path: Path, text: str, message: str) -> str:
    if match := re.search(r" \(at line (\d+), column (\d+)\)$", message):
        return f"{path}:{match[1]}:{match[2]}: {message[: match.start()]}"
    return f"{path}:{text.count(chr(10)) + 1}: {message.removesuffix(' (at end of document)')}"


def _without_consequences(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """A list is "too short" as well when none of its entries is right: that one is wrong has been said."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(place[: len(detail["loc"])] == detail["loc"] != place for place in places)
    ]


def _place(detail: ErrorDetails, tree: Any) -> Place:
    """pydantic's place without what is not in the file (steps into unions)."""
    place: Place = ()
    for step in detail["loc"]:
        inside = isinstance(tree, tuple) if isinstance(step, int) else isinstance(tree, dict)
        if not inside:
            break
        place = (*place, step)
        tree = tree.get(step) if isinstance(tree, dict) else tree[int(step)]
    return place


def _problem(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(detail["loc"])
        case "missing":
            return "is required"
        case "value_error":
            return str(detail.get("ctx", {}).get("error", detail["msg"]))
        case "int_type" | "int_from_float":
            return "a whole number without quotes"
        case "bool_type":
            return "true or false, without quotes"
        case "string_type":
            return "a text in quotes"
        case "tuple_type":
            return 'a list in brackets, as ["one", "two"]'
        case "model_type" | "model_attributes_type":
            return "a section of keys, not one value"
        case "too_short":
            return "at least one entry is required"
        case "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch":
            return f"does not have the form {detail.get('ctx', {}).get('pattern', '')}"
    return detail["msg"].removeprefix("Input ").replace("should be", "has to be")


def _unknown_key(place: tuple[str | int, ...]) -> str:
    """``unknown key`` with the nearest name of the same section, or the section that does have such a key."""
    *outer, name = place
    here = _section(tuple(outer))
    keys = _keys(here) if here else []
    if near := difflib.get_close_matches(str(name), keys, 1, 0.6):
        return f'unknown key; did you mean "{near[0]}"?'
    elsewhere = [
        section
        for section, field in Config.model_fields.items()
        if (model := _model_of(field.annotation)) and name in _keys(model)
    ]
    if name in Config.model_fields:
        return "unknown key here; it belongs at the top of the file, before the first [section]"
    if elsewhere:
        return f"unknown key here; there is {' and '.join(f'{section}.{name}' for section in elsewhere)}"
    return f"unknown key; there are {', '.join(keys)}"


def _section(place: tuple[str | int, ...]) -> type[Section] | None:
    model: type[Section] | None = Config
    for step in place:
        if isinstance(step, str) and model:
            field = model.model_fields.get(step)
            model = _model_of(field.annotation) if field else None
    return model


def _keys(model: type[Section]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_of(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for inner in get_args(annotation):
        if found := _model_of(inner):
            return found
    return None


def _check_rest(tree: dict[str, Any], wrong: list[Place], directory: Path) -> list[tuple[Place, str]]:
    """What the whole would still be told, with the wrong values taken out; nothing about those, or about what holds them."""
    try:
        rest = Config.model_validate(_without(tree, (), wrong), context={"directory": directory})
    except ValidationError:
        return []
    return [
        (place, what)
        for place, what in rest.check_whole()
        if not any(place[: len(bad)] == bad or bad[: len(place)] == place for bad in wrong)
    ]


def _without(value: Any, place: Place, wrong: list[Place]) -> Any:
    """The tree without the keys that are ``wrong``; a list with a wrong entry, or a table that lacks a key, goes as a whole."""
    if isinstance(value, dict):
        return {
            key: _without(item, (*place, key), wrong)
            for key, item in value.items()
            if not any(bad == (*place, key) or _spoils((*place, key), item, bad) for bad in wrong)
        }
    if isinstance(value, tuple):
        return tuple(_without(item, (*place, index), wrong) for index, item in enumerate(value))
    return value


def _spoils(place: Place, value: Any, bad: Place) -> bool:
    """Whether ``bad`` is an entry of the list ``value``, or a key that is missing in it or in a table of it."""
    if bad[: len(place)] != place or len(bad) == len(place):
        return False
    if len(bad) == len(place) + 1:
        return isinstance(value, tuple) or bad[-1] not in value
    return isinstance(value, tuple) and len(bad) == len(place) + 2 and bad[-1] not in value[int(bad[-2])]


def _dotted(place: Place) -> str:
    """``passdb[2].query``: the second ``[[passdb]]``, as an operator counts."""
    text = ""
    for step in place:
        text += f"[{step + 1}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
    return text
