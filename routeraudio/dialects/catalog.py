"""Every client protocol, one line each."""

from typing import Final

from routeraudio.dialects import listen
from routeraudio.dialects.base import DialectEntry
from routeraudio.dialects.vachana import protocol

DIALECTS: Final[tuple[DialectEntry, ...]] = (listen.ENTRY, protocol.ENTRY)

BY_PATH: Final[dict[str, DialectEntry]] = {path: entry for entry in DIALECTS for path in entry.paths}
