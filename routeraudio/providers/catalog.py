"""Every provider there is. A new one is a file beside this one and a line here."""

from typing import Final

from routeraudio.providers import deepgram, local
from routeraudio.providers.base import Entry

PROVIDERS: Final[dict[str, Entry]] = {
    "deepgram": deepgram.ENTRY,
    "local": local.ENTRY,
}
"""By the name that clients and configuration use."""
