"""Soniox: real-time speech-to-text over `/transcribe-websocket`.

Documentation: https://soniox.com/docs/stt/api-reference/websocket-api (2026-11), Python SDK 2.10.0.

What is odd about it:

- Text comes as tokens, pieces of words (`transcript`). A final token comes once and stays; the tokens that
  are not final are all void with the next message, even with one that has none. There are no utterances: the
  token `<end>` says that the speaker's is over, `<fin>` that a `finalize` has been carried out.
- The key travels in the handshake. In the first message too it would be refused; there alone it will be
  refused from 2027-01-15.
- There is no message of readiness, and no HTTP refusal: a bad key, a bad start message, an empty account are
  answered by the first message, `error_code` in it, and a *normal* close.
- An empty *text* message ends the stream; an empty binary one is documented too, and was found unreliable.
  The vendor's own end is `finished`; a close without it is none, whatever its code.
- Without audio the line dies after 20 s unless it is kept alive. Silence detection stops with the audio, so a
  pause gets one `finalize`, as in the SDK's `pause()`: the last words would wait for ever.
- `max_endpoint_delay_ms` is an upper bound: `<end>` may come earlier, by what was said.
- Control tokens have times of any kind (0 too); positions come from words only.
- Texts are always punctuated, and non-final tokens always come: there is no switch for either.
"""

from typing import Final

from routeraudio.providers.base import Entry
from routeraudio.providers.soniox.adapter import Soniox
from routeraudio.providers.soniox.native import NATIVE
from routeraudio.providers.soniox.request import TITLE, check, target

ENTRY: Final = Entry(
    name="soniox",
    title=TITLE,
    default_url="wss://stt-rt.soniox.com",
    needs_key=True,
    session_s=300 * 60.0,  # the limits page: fixed
    adapter=Soniox,
    audio_format=target,
    check=check,
    native=NATIVE,
)
