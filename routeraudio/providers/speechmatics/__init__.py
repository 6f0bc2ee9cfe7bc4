"""Speechmatics: the realtime API v2.

Documentation: https://docs.speechmatics.com/api-ref/realtime-transcription-websocket (2026-08, AsyncAPI 2.0.0),
Python SDK speechmatics-rt 1.2.1. Agent STT (`linden-1`) is another API and not spoken here.

What is odd about it:

- The field that tells messages apart is called `message`.
- `RecognitionStarted` says that it is ready, and an `Info` often comes before it. Nothing may be sent between
  `StartRecognition` and that.
- Finals (`AddTranscript`) are fragments: some words, a punctuation mark alone, often nothing at all. They are
  collected until `EndOfUtterance`. Their own ranges overlap by 0.1 s, so times are taken from the words.
- Each final is followed at once by a partial with the rest, often an empty one.
- Punctuation comes as results of its own, which attach to the word before or behind them.
- Some languages have no space between words: `RecognitionStarted` says what stands there.
- `EndOfStream` carries the number of binary messages sent. `EndOfTranscript` is the last word; a close without it
  is a lost connection, whatever its code (the vendor's own SDK takes it for an end).
- Closing an utterance goes by silence *in the audio*: when a client's audio stops (a muted microphone) the last
  words would wait for ever, so they are asked for with `ForceEndOfUtterance`.
- It needs no keepalive besides pings: it waits an hour for audio (and 3 min for a sign of life).
- It reads no faster than it works. Its own client keeps a window of unanswered messages; here a full socket does.
"""

from typing import Final

from routeraudio.providers.base import Entry
from routeraudio.providers.speechmatics.adapter import Speechmatics
from routeraudio.providers.speechmatics.native import NATIVE
from routeraudio.providers.speechmatics.request import TITLE, check, target

ENTRY: Final = Entry(
    name="speechmatics",
    title=TITLE,
    default_url="wss://eu2.rt.speechmatics.com",  # as the vendor's SDK; other regions: us, eu, global
    needs_key=True,
    session_s=48 * 3600.0,  # the limits page
    adapter=Speechmatics,
    audio_format=target,
    check=check,
    native=NATIVE,
)
