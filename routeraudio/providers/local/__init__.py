"""The local engine: a recogniser behind a protocol of our own, on this machine, without key or network.

Protocol: the docstring of `routeraudio.engine.protocol`, which this file deliberately does not import: the engine is
another process and may be another version.

What is odd about it:

- It takes 16 kHz mono PCM only. What it speaks depends on its models: English, where nothing else is configured.
- There are no speakers, whatever `diarize` says, and no confidence: it has none worth telling.
- Words may be null: then nobody knows when they were said.
- `endpointing_ms` below 210 means 210.
- It sends no final without words: silence and noise give nothing.
- It reads as fast as it decodes, so a burst fills the socket and pings wait behind the audio.
"""

from typing import Final

from routeraudio.providers.base import Entry
from routeraudio.providers.local.adapter import Local
from routeraudio.providers.local.native import NATIVE
from routeraudio.providers.local.request import check, target

ENTRY: Final = Entry(
    name="local",
    title="Local engine",
    default_url="ws://127.0.0.1:7071",
    needs_key=False,
    adapter=Local,
    audio_format=target,
    check=check,
    native=NATIVE,
)
