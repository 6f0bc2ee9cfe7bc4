"""Vachana by Gnani.ai: speech recognition over `/stt/v3/stream`, audio out, JSON text in.

Documentation: https://docs.gnani.ai (2026), Python SDK `gnani-vachana` 0.8.2 (`GnaniSTTStreamClient`).

What is odd about it:

- All configuration travels in headers of the upgrade request; nothing can be changed afterwards. The client says
  nothing but audio, in frames of exactly 1,024 bytes at every sample rate.
- `connected` says that audio may follow; an `error` instead of it is a refusal.
- The server's voice activity detection cuts the audio, and cannot be adjusted: `endpointing_ms` has no counterpart.
  `processing` says that an utterance is over, `transcript` what was said. There are no partials and no words.
- No message has a position. An utterance ends where the audio stood when `processing` came, and began its
  `audio_duration_ms` before. Both are late by the silence the detection waits for, and by the network.
- Neither "finals now" nor "no more audio" can be said. Silence is put in instead, so that the detection closes what is
  open: when the client asks for finals, when its audio stops (a muted microphone), and at the end.
- It says no end. When it has been silent for `quiet_s()` after the last audio, everything has been said; the SDK
  waits for 1 s and then closes, whatever is open.

Guesses, each a constant or a small function: how much silence closes an utterance (`_SILENCE_MS`), how long the last
words take (`_QUIET_END_S`), that each `processing` is followed by one `transcript` and that these keep their order,
which words mean a refused key or a passing trouble (`faults`). Inverse text normalisation
(`x-format: transcribe`) is not asked for: as with the SDK, text is as spoken.
"""

from typing import Final

from routeraudio.providers.base import Entry
from routeraudio.providers.vachana.adapter import Vachana
from routeraudio.providers.vachana.native import NATIVE
from routeraudio.providers.vachana.request import TITLE, check, target

ENTRY: Final = Entry(
    name="vachana",
    title=TITLE,
    default_url="wss://api.vachana.ai",
    needs_key=True,
    has_positions=False,
    adapter=Vachana,
    audio_format=target,
    check=check,
    native=NATIVE,
)
