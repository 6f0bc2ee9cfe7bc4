"""ElevenLabs: Scribe realtime over `/v1/speech-to-text/realtime`.

Documentation: https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime (2026-11), the
vendor's AsyncAPI file of 2026-08-22, Python SDK 2.78.0. What is marked *seen* was logged from the live service by
others; what is marked *guess* nobody has shown.

What is odd about it:

- Audio is base64 inside JSON. There is no end-of-stream message: the client asks for a *commit* and, when it has
  come, closes.
- A commit of less than 0.3 s of audio gets `commit_throttled`, and the server closes with 1000, sometimes before
  the commit before it has been answered (seen). The server commits by itself when its voice detection hears
  silence, and nobody outside knows when that was. So before every commit there is silence here that outlasts the
  voice detection by more than 0.3 s.
- With timestamps every commit arrives twice, plain first, without any id; seldom the timed twin comes first (seen).
- Nothing says which commit is the answer to ours. But all that was said before our silence is committed before it,
  so ours is empty, and an empty commit is answered with empty text (seen with manual commits; with voice detection
  a guess). See `_is_last`.
- A line without audio is closed after 10 to 15 s, with 1000. WebSocket pings do not help; silence does.
- After most errors the server closes with 1000: the error before the close is the one that counts.
- Partials and plain commits have no times; they get the time of the audio sent.
- Times of words come late by some 100 ms more after each commit of the voice detection (elevenlabs-python#849).
"""

from decimal import Decimal
from typing import Final

from routeraudio.providers.base import Entry
from routeraudio.providers.elevenlabs.adapter import AHEAD, Scribe
from routeraudio.providers.elevenlabs.native import NATIVE
from routeraudio.providers.elevenlabs.request import TITLE, check, target

ENTRY: Final = Entry(
    name="elevenlabs",
    title=TITLE,
    default_url="wss://api.elevenlabs.io",
    needs_key=True,
    gateway_price_per_hour_usd=Decimal("0.39"),  # memories.ai's audio stream, section 3
    pace=AHEAD,
    adapter=Scribe,
    audio_format=target,
    check=check,
    native=NATIVE,
)
