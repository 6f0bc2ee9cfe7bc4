"""Which providers can be emulated: one line each."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from routeraudio.emulators.kit.hearing import Service

_NAMES: Final = (
    "assemblyai",
    "deepgram",
    "elevenlabs",
    "gradium",
    "openai",
    "soniox",
    "speechmatics",
    "vachana",
)
"""Folders whose `serve` is a stand-in."""

EMULATORS: Final[Mapping[str, Service]] = {
    name: import_module(f"routeraudio.emulators.{name}").serve for name in _NAMES
}
"""By the name that configuration uses."""
