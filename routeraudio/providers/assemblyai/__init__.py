"""AssemblyAI: Universal-Streaming, API v3 (`/v3/ws`).

Documentation: https://www.assemblyai.com/docs/universal-streaming (2026-11), Python SDK 1.8.2 `streaming.v3`, and what
others recorded of the live service in September 2026.

What is odd about it:

- There are two families with the same messages and different meanings. "Pro" models (`universal-3-…`, `u3-…`) put the
  whole turn so far into `transcript`. "Universal-Streaming" models (`universal-streaming-…`, `whisper-rt`) put only
  finalised words there: their partials are read from `words`.
- With `format_turns` the English Universal-Streaming model ends a turn twice: unformatted, then formatted, both with
  the same `turn_order`. The first is held until the second comes, and told if it does not. Only messages can bring it
  out, so heartbeats are asked for where a final may be held.
- Turns are known by `turn_order`, never by time: a word may move by a second between partial and final.
- The key stands in `Authorization` without any scheme. A bad key, and a bad parameter, still get 101; then comes an
  `Error`, then a close. No `Termination` follows an `Error`.
- A message must hold 50–1000 ms of audio, or the session is ended (3007), about a second later.
- When a client's audio stops (a muted microphone) the last turn never ends: it is ended with `ForceEndpoint`.
- An unknown parameter is silently ignored, and the default model has changed without notice: it is always named.
"""

from decimal import Decimal
from typing import Final

from routeraudio.providers.assemblyai.adapter import AHEAD, AssemblyAI
from routeraudio.providers.assemblyai.native import NATIVE
from routeraudio.providers.assemblyai.request import TITLE, check, target
from routeraudio.providers.base import Entry

ENTRY: Final = Entry(
    name="assemblyai",
    title=TITLE,
    default_url="wss://streaming.assemblyai.com",
    needs_key=True,
    gateway_price_per_hour_usd=Decimal("0.15"),  # memories.ai's audio stream, section 3
    session_s=3 * 3600.0,  # `Begin` says when they end
    pace=AHEAD,
    adapter=AssemblyAI,
    audio_format=target,
    check=check,
    native=NATIVE,
)
