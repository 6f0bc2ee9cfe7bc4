"""Which providers can be emulated: one line each."""

from collections.abc import Mapping
from typing import Final

from routeraudio.emulators import (
    assemblyai,
    deepgram,
    elevenlabs,
    gradium,
    openai,
    soniox,
    speechmatics,
    vachana,
)
from routeraudio.emulators.kit.hearing import Service

EMULATORS: Final[Mapping[str, Service]] = {
    "assemblyai": assemblyai.serve,
    "deepgram": deepgram.serve,
    "elevenlabs": elevenlabs.serve,
    "gradium": gradium.serve,
    "openai": openai.serve,
    "soniox": soniox.serve,
    "speechmatics": speechmatics.serve,
    "vachana": vachana.serve,
}
