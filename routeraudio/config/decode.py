"""From untyped values to the schema's structs, one key at a time.

msgspec checks every single value; the walk over tables is ours because an error must name the whole path
(msgspec says `$.providers[...]`), the allowed keys and the nearest of them, and must never quote a secret.
"""

import difflib
import math
import types
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from routeraudio.config.secret import Secret
from routeraudio.config.source import Path, Source
from routeraudio.model.errors import ConfigFault

QUOTED_MAX: Final = 60
"""Characters of a wrong value that an error repeats."""

UNQUOTED: Final = frozenset(
    {"hash", "id", "url"}
    | {f"{stem}{way}" for stem in ("api_key", "admin_key", "token_secret") for way in ("", "_file", "_env")}
)
"""Keys whose value no error repeats: people put the secret itself there by mistake, or inside a URL."""


def decode(kind: Any, raw: object, path: Path, source: Source) -> Any:
    """Turn ``raw`` into a ``kind`` of the schema.

    Raises:
        ConfigFault: naming place, path, what came and what is allowed.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if is_union(kind) and is_struct(arguments[0]) and raw is not None:
        return decode(arguments[0], raw, path, source)
    if is_struct(kind):
        return _struct(kind, _table(raw, kind, path, source), path, source)
    if origin is dict:
        table = _table(raw, kind, path, source)
        return {name: decode(arguments[1], value, (*path, name), source) for name, value in table.items()}
    if origin is tuple and is_struct(arguments[0]) and isinstance(raw, list):
        return tuple(decode(arguments[0], value, (*path, at), source) for at, value in enumerate(raw))
    return _leaf(kind, raw, path, source)


def is_struct(kind: Any) -> bool:
    """Whether this is a table of the schema."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def is_union(kind: Any) -> bool:
    """Whether this is `X | None`, or another choice of types."""
    return get_origin(kind) in (Union, types.UnionType)


def unknown(name: str, allowed: Iterable[str], *, what: str = "key") -> str:
    """Says that a name is not among the allowed ones, with the nearest of them."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f"unknown {what}; allowed here: {', '.join(names)}{hint}"


def expected(kind: Any) -> str:
    """What a value of this type looks like, in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(arguments[0], kind.__metadata__)
    if is_union(kind):
        return expected(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in arguments)
    if origin is tuple:
        return "tables" if is_struct(arguments[0]) else "a list of texts"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Secret: "a text"}
    return words.get(kind, "a table")


def came(raw: object, path: Path) -> str:
    """What stood there instead: type and value, only the type where it could be a secret."""
    name, is_short = _type_name(raw), isinstance(raw, bool | int | float | str)
    if not is_short or path[-1] in UNQUOTED:
        return name
    return (
        f"{name} {str(raw)[:QUOTED_MAX]!r}"
        if isinstance(raw, str)
        else f"{name} {str(raw)[:QUOTED_MAX].lower()}"
    )


def _struct(kind: Any, table: dict[str, object], path: Path, source: Source) -> Any:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in table:
        if name not in fields:
            raise source.fault((*path, name), unknown(name, fields))
    for field in fields.values():
        if field.required and field.name not in table:
            raise source.fault((*path, field.name), f"is missing; expected {expected(field.type)}")
    return kind(
        **{name: decode(fields[name].type, raw, (*path, name), source) for name, raw in table.items()}
    )


def _table(raw: object, kind: Any, path: Path, source: Source) -> dict[str, object]:
    if not isinstance(raw, dict):
        raise _mismatch(kind, raw, path, source)
    return raw


def _leaf(kind: Any, raw: object, path: Path, source: Source) -> Any:
    if isinstance(raw, float) and not math.isfinite(raw):
        raise _mismatch(kind, raw, path, source)
    try:
        return msgspec.convert(raw, kind, dec_hook=_secret)
    except (msgspec.ValidationError, OverflowError):
        raise _mismatch(kind, raw, path, source) from None


def _secret(kind: type, raw: object) -> object:
    if kind is not Secret or not isinstance(raw, str):
        raise msgspec.ValidationError
    return Secret(raw)


def _mismatch(kind: Any, raw: object, path: Path, source: Source) -> ConfigFault:
    return source.fault(path, f"expected {expected(kind)}, got {came(raw, path)}")


def _bounded(kind: Any, metadata: Iterable[Any]) -> str:
    meta = next(item for item in metadata if isinstance(item, msgspec.Meta))
    if meta.description is not None:
        return meta.description
    words = expected(kind)
    if meta.ge is not None:
        words += f" from {meta.ge:g} to {meta.le:.0f}"
    if meta.gt is not None:
        words += f" above {meta.gt:g}, at most {meta.le:.0f}"
    if meta.min_length is not None:
        words += f" with {meta.min_length} to {meta.max_length} entries"
    return words


def _type_name(raw: object) -> str:
    names = {
        bool: "the boolean",
        int: "the number",
        float: "the number",
        str: "the text",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(raw), "nothing" if raw is None else "a date or time")
