"""Every client protocol, one line each."""

from importlib import import_module
from typing import Final

from routeraudio.dialects.base import DialectEntry

_NAMES: Final = (
    "listen",
    "vachana.protocol",
)
"""Modules whose `ENTRY` is a dialect."""

DIALECTS: Final[tuple[DialectEntry, ...]] = tuple(
    import_module(f"routeraudio.dialects.{name}").ENTRY for name in _NAMES
)

BY_PATH: Final[dict[str, DialectEntry]] = {path: entry for entry in DIALECTS for path in entry.paths}
