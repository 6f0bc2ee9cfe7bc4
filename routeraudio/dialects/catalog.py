"""Every client protocol, one line each."""

from typing import Final

from routeraudio.dialects import listen, vachana
from routeraudio.dialects.base import DialectEntry

DIALECTS: Final[tuple[DialectEntry, ...]] = (listen.ENTRY, vachana.ENTRY)

BY_PATH: Final[dict[str, DialectEntry]] = {path: entry for entry in DIALECTS for path in entry.paths}
