"""``conf/mas.toml`` and the code say the same: every key, and every default."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from mas.config import Config, Section, load, loads

SAMPLE = Path(__file__).parent.parent.parent / "conf" / "mas.toml"


def required_made_real(text: str, directory: Path) -> str:
    """The sample's certificate and database files, in a directory that exists."""
    (directory / "database.url").write_text("sqlite+aiosqlite:////var/lib/mas/accounts.sqlite\n")
    text = text.replace("/etc/mas/", f"{directory}/")
    for name in re.findall(r'"(/etc/ssl/[^"]+)"', text):
        (directory / Path(name).name).touch()
        text = text.replace(name, str(directory / Path(name).name))
    return text


def uncommented(text: str) -> str:
    """With every default switched on."""
    return re.sub(r"^#(?=[a-z\[])", "", text, flags=re.MULTILINE)


def with_examples(text: str) -> str:
    """With every default and every indented example switched on."""
    return re.sub(r"^#   (?=[a-z_]+ = |\[\[)", "", uncommented(text), flags=re.MULTILINE)


def sections(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for inner in get_args(annotation) if (found := sections(inner))), None)


def keys(model: type[Section], prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        inner = sections(field.annotation)
        found |= keys(inner, key + ".") if inner else {key}
    return found


def shown(tree: Any, prefix: str = "") -> set[str]:
    if isinstance(tree, dict):
        return {key for name, item in tree.items() for key in shown(item, f"{prefix}{name}.")}
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return {key for item in tree for key in shown(item, prefix)}
    return {prefix.rstrip(".")}


@pytest.fixture
def sample(tmp_path: Path) -> str:
    return required_made_real(SAMPLE.read_text(), tmp_path)


def test_the_sample_is_the_default_configuration(sample: str, tmp_path: Path) -> None:
    file = tmp_path / "mas.toml"
    file.write_text(sample)
    as_it_is = load(file)
    required = {"passdb", "userdb", "tls"}
    assert as_it_is.model_dump(exclude=required) == Config().model_dump(exclude=required)


def test_every_default_that_it_shows_is_the_codes(sample: str, tmp_path: Path) -> None:
    assert loads(uncommented(sample), tmp_path / "mas.toml") == loads(sample, tmp_path / "mas.toml")


def test_it_shows_every_key_that_has_a_default() -> None:
    listed = shown(tomllib.loads(uncommented(SAMPLE.read_text())))
    examples_only = (
        "tls.sni.",
        "imap.listener.",
        "managesieve.listener.",
        "lmtp.listener.",
        "quota.warning.",
        "quota.root.",
        "imapsieve.",
        "sieve.list.",
    )
    missing = {key for key in keys(Config) - listed if not key.startswith(examples_only)}
    assert missing == {"userdb.url", "userdb.uid", "userdb.gid"}, "these have no default, and an example"


def test_its_examples_are_valid(sample: str, tmp_path: Path) -> None:
    text = with_examples(sample)
    text = text.replace(
        "\ntrusted_networks = []", '\ntrusted_networks = ["192.0.2.10"]'
    )  # the examples of proxied listeners need it
    text = re.sub(r'^query = ""\n', "", text, flags=re.MULTILINE)  # the example of a query stands above the default
    config = loads(text, tmp_path / "mas.toml")
    assert config.imapsieve
    assert config.quota.root
    assert len(config.quota.warning) == 2
    assert config.lmtp.listener[0].port == 24
    assert config.imap.listener[0].proxy
    assert config.managesieve.listener[0].proxy
    assert config.tls.sni
    assert config.userdb[0].query


def test_it_names_every_key_of_the_examples() -> None:
    text = SAMPLE.read_text()
    for key in keys(Config):
        assert re.search(rf"\b{key.rpartition('.')[2]}\b", text), key
