"""Every provider there is. A new one is a file beside this one and a line here."""

from typing import Final

from routeraudio.providers import (
    assemblyai,
    deepgram,
    elevenlabs,
    gradium,
    local,
    openai,
    soniox,
    speechmatics,
    vachana,
)
from routeraudio.providers.base import Entry

PROVIDERS: Final[dict[str, Entry]] = {
    "assemblyai": assemblyai.ENTRY,
    "deepgram": deepgram.ENTRY,
    "elevenlabs": elevenlabs.ENTRY,
    "gradium": gradium.ENTRY,
    "local": local.ENTRY,
    "openai": openai.ENTRY,
    "soniox": soniox.ENTRY,
    "speechmatics": speechmatics.ENTRY,
    "vachana": vachana.ENTRY,
}
"""By the name that clients and configuration use."""
