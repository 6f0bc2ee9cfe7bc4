"""Every provider there is. A new one is a folder beside this file and a line here."""

from importlib import import_module
from typing import Final

from routeraudio.providers.base import Entry

_NAMES: Final = (
    "assemblyai",
    "deepgram",
    "elevenlabs",
    "gradium",
    "local",
    "openai",
    "soniox",
    "speechmatics",
    "vachana",
)
"""Folders whose `ENTRY` is a provider, in the order in which they are listed."""

PROVIDERS: Final[dict[str, Entry]] = {
    name: import_module(f"routeraudio.providers.{name}").ENTRY for name in _NAMES
}
"""By the name that clients and configuration use."""
