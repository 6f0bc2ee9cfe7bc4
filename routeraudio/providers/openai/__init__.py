"""OpenAI: transcription sessions of the Realtime API, in the shape of its general availability.

Documentation: guides "Realtime transcription" and "Voice activity detection", OpenAPI 2.3.0, Python SDK 3.52 (2026-11).

What is odd about it:

- `intent=transcription` must be in the address and `model` must not: with it the session is a conversation. The
  header `OpenAI-Beta` is refused since 2026-05.
- A bad key gets 101, then close 3000.
- *Live* models stream text while speech goes on and never end a turn: we listen ourselves (`audio.vad`) and commit
  after `endpointing_ms` of silence. They refuse `turn_detection`. All others end turns by themselves and say nothing
  before the end of a turn; the deltas that burst out then, a moment before the final, are no partials.
- Models speak the same languages, so the default is the cheapest that stays (why: `default_note` in the data file);
  who wants partials and names no model gets a live one.
- There are no word times. A turn's place is the vendor's own for models that end turns, else where we heard speech
  in the audio that we sent.
- There is no end-of-stream message, and the server never closes first. What was not committed is committed at the
  end, and the answers are waited for; where there is nothing to commit, an update that changes nothing is sent: its
  answer says that everything before it was read.
- A commit of less than 100 ms is an error that does no harm.
- `completed` of different turns may come out of order.
- The diarizing model's `segment` messages are not used: speakers belong to words, and there are none.
- Sessions die after an hour.
"""

from typing import Final

from routeraudio.providers.base import Entry
from routeraudio.providers.openai.adapter import Realtime
from routeraudio.providers.openai.native import NATIVE
from routeraudio.providers.openai.request import TITLE, check, target

ENTRY: Final = Entry(
    name="openai",
    title=TITLE,
    default_url="wss://api.openai.com",
    needs_key=True,
    session_s=3600.0,  # the vendor's guide
    adapter=Realtime,
    audio_format=target,
    check=check,
    native=NATIVE,
)
