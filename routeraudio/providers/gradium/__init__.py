"""Gradium: speech recognition over `/api/speech/asr`, JSON text in both directions.

Documentation: https://docs.gradium.ai (2026-11), Python SDK 0.6.4 (`stream.Stt`), pipecat 1.14.0.

What is odd about it:

- Audio travels in base64 inside JSON. There is no binary message and no keepalive.
- `setup` must come first, `ready` says that audio may follow. A bad key gets 101 and then an `error`.
- Text comes in fragments (a word or a few) that are never revised, about 0.8 s behind the audio; `end_text` brings
  the end of the fragment before it. No message says that a turn is over: `step` messages, one per 80 ms of audio
  received, say how likely it is that nobody will speak. Where that stays likely a `flush` brings out the rest,
  and turn and utterance are closed. Steps also are the clock for that: they come as long as audio goes out.
- A little text may follow `flushed` (pipecat PR 4066), and readings right behind it are wrong (PR 5706).
- The session is killed 300 s after it was opened, with the code that otherwise means a refusal (1008).
- When a client's audio stops (a muted microphone) the steps stop too: silence is put in, for as long as closing
  the turn takes. Where none can be put in (`parse_json=false`) a `flush` is sent.

A guess: which words mean a refused key (`faults`).
"""

from typing import Final

from routeraudio.providers.base import Entry
from routeraudio.providers.gradium.adapter import Gradium
from routeraudio.providers.gradium.native import NATIVE
from routeraudio.providers.gradium.request import TITLE, check, target

ENTRY: Final = Entry(
    name="gradium",
    title=TITLE,
    default_url="wss://api.gradium.ai",
    needs_key=True,
    session_s=300.0,  # killed then, live
    adapter=Gradium,
    audio_format=target,
    check=check,
    native=NATIVE,
)
