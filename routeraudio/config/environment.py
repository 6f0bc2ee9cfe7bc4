"""`ROUTERAUDIO__SECTION__KEY`: every value of the configuration, overridden from the environment.

Lists are JSON or comma-separated texts, tables are JSON, an empty value unsets an optional key. A name that
the schema does not know is an error: a misspelt override, silently ignored, would be found in production.
"""

import copy
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from routeraudio.config.decode import is_struct, unknown
from routeraudio.config.files import ways_to
from routeraudio.config.schema import Config
from routeraudio.config.source import Path, Source
from routeraudio.model.errors import ConfigFault

PREFIX: Final = "ROUTERAUDIO__"


def overlay(source: Source, environ: Mapping[str, str]) -> Source:
    """The source with the environment's values laid over it; ``source`` stays as it is.

    Raises:
        ConfigFault: naming a variable that names no key.
    """
    values = copy.deepcopy(source.values)
    variables: dict[Path, str] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        raw = _read(_kind_at(path, variable), environ[variable])
        _place(values, path, raw, variables)
        variables[path] = variable
    return Source(values=values, file=source.file, variables=variables)


def _kind_at(path: tuple[str, ...], variable: str) -> Any:
    """The schema's type of the value a variable names."""
    kind: Any = Config
    for name in path:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
            continue
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)} if is_struct(kind) else {}
        if name not in fields:
            raise ConfigFault(f"environment variable {variable}: {name}: {unknown(name, fields)}")
        kind = fields[name]
    if is_struct(kind) or get_origin(kind) is dict:
        raise ConfigFault(
            f"environment variable {variable}: names a table; add __ and the name of a key in it"
        )
    return kind


def _read(kind: Any, text: str) -> object:
    """The value as TOML would have given it; what cannot be read stays text, for `decode` to refuse."""
    if get_origin(kind) is Annotated:
        return _read(get_args(kind)[0], text)
    if get_origin(kind) in (Union, types.UnionType):
        return None if text == "" else _read(get_args(kind)[0], text)
    if get_origin(kind) is tuple:
        is_list = text.lstrip().startswith("[") or is_struct(get_args(kind)[0])
        return _json(text) if is_list else [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    return _json(text) if kind in (int, float) else text


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text


def _place(
    values: dict[str, object], path: tuple[str, ...], raw: object, variables: Mapping[Path, str]
) -> None:
    table: Any = values
    for name in path[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return  # the file has no table here: decoding it says so
    for other in ways_to(path[-1]):  # an override of one way replaces whichever the file uses
        if (*path[:-1], other) not in variables:
            table.pop(other, None)
    table[path[-1]] = raw
