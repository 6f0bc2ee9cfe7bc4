"""conf/routeraudio.toml and the schema say the same."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from routeraudio.config.loading import load
from routeraudio.config.schema import (
    Access,
    Config,
    Failover,
    Key,
    Log,
    Provider,
    Pull,
    RouteTable,
    Server,
    Store,
    Wyoming,
)
from routeraudio.policy.limits import Limits
from routeraudio.providers.catalog import PROVIDERS
from tests.config.expected import ENVIRON, expected

FILE = Path(__file__).parents[2] / "conf" / "routeraudio.toml"

TABLES: dict[str, type[msgspec.Struct]] = {
    "server": Server,
    "access": Access,
    "store": Store,
    "pull": Pull,
    "providers": Provider,
    "failover": Failover,
    "routes": RouteTable,
    "limits": Limits,
    "log": Log,
    "keys": Key,
    "wyoming": Wyoming,
}


class Shown(msgspec.Struct):
    """One key as the file shows it."""

    table: str
    key: str
    value: Any
    is_set: bool
    explanation: str


def shown() -> Iterator[Shown]:
    table, explanation = "", ""
    for line in FILE.read_text().splitlines():
        if heading := re.fullmatch(r"#?\[+([a-z]+)(?:\.[a-z]+)?\]+", line):
            table = heading[1]
        elif key := re.fullmatch(r"(#?)([a-z_]+) = (.+)", line):
            yield Shown(table, key[2], tomllib.loads(f"x = {key[3]}")["x"], key[1] == "", explanation)
        explanation = line.removeprefix("# ") if line.startswith("# ") else ""


@pytest.mark.parametrize("table", TABLES)
def test_shows_exactly_the_keys_of_the_schema(table: str) -> None:
    """Every key of a table is in the file, and no other."""
    assert {key.key for key in shown() if key.table == table} == set(TABLES[table].__struct_fields__)


def test_tables_are_those_of_the_schema() -> None:
    """Every table of the schema is compared here."""
    assert set(TABLES) == set(Config.__struct_fields__)


@pytest.mark.parametrize("key", list(shown()), ids=lambda key: f"{key.table}.{key.key}")
def test_shows_the_default_and_explains(key: Shown) -> None:
    """A key is explained in one line; its value is the default, or the line says that there is none."""
    field = {f.name: f for f in msgspec.structs.fields(TABLES[key.table])}[key.key]
    assert key.explanation
    if field.required:
        assert "Required" in key.explanation
    elif field.default is None:
        assert type(None) in get_args(field.type)
        assert "Not set" in key.explanation
    elif key.is_set:
        assert f"default: {str(field.default).lower()}" in key.explanation
    else:
        assert key.value == (list(field.default) if isinstance(field.default, tuple) else field.default)


def test_the_file_loads() -> None:
    """The file as it is shipped is a valid configuration with the local engine and the tables of other providers."""
    shipped = load(FILE, ENVIRON)
    others = {name: Provider() for name in shipped.providers if name != "local"}
    assert set(others) <= set(PROVIDERS)
    assert shipped == expected(providers={"local": Provider(spawn=True)} | others)
