"""Every client protocol, one line each."""

from importlib import import_module
from typing import Final

from routeraudio.dialects.base import DialectEntry, Request

_NAMES: Final = (
    "listen",
    "vachana.protocol",
    "deepgram",
    "openai",
    "assemblyai",
)
"""Modules whose `ENTRY` is a dialect."""

DIALECTS: Final[tuple[DialectEntry, ...]] = tuple(
    import_module(f"routeraudio.dialects.{name}").ENTRY for name in _NAMES
)

BY_PATH: Final[dict[str, DialectEntry]] = {path: entry for entry in DIALECTS for path in entry.paths}

_CLAIMANTS: Final = [(entry, entry.claims) for entry in DIALECTS if entry.claims is not None]


def find(request: Request) -> DialectEntry | None:
    """Whose protocol a request is; None: nobody's."""
    for entry, claims in _CLAIMANTS:
        if claims(request):
            return entry
    return BY_PATH.get(request.path)
