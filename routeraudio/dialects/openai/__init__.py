"""OpenAI's realtime transcription, `v1/realtime`: its unmodified clients, served by any provider.

It is served at `/as/openai[/PROVIDER[/MODEL]]/v1/realtime` and, for clients whose base address has no path, at
`/v1/realtime`.

    server → {"type": "session.created", …}                  at once
    client → {"type": "session.update", "session": {…}}      options; `transcription_session.update` in the beta
    server → {"type": "session.updated", …}
    client → {"type": "input_audio_buffer.append", "audio": "BASE64"}
             {"type": "input_audio_buffer.commit"}            finals now; without turn detection, the end of an item
             {"type": "input_audio_buffer.clear"}
    server → {"type": "input_audio_buffer.speech_started", …} with turn detection, as `speech_stopped`
             {"type": "input_audio_buffer.committed", …}      then `conversation.item.added` and `.done`
             {"type": "conversation.item.input_audio_transcription.delta", …}
             {"type": "conversation.item.input_audio_transcription.completed", …}
             {"type": "error", …}                             of a message; the connection stays, where it can
    client   closes the connection: nothing else tells the end

Documentation: https://platform.openai.com/docs/guides/realtime-transcription (2026-11), and what its clients do.

What is odd about them:

- Options come after the upgrade; pipecat sends audio before them, LiveKit sends them twice on a socket that it keeps.
- Deltas are never taken back, and our partials are (`agreed`).
- LiveKit gives up at any `error`, and pipecat connects again: what can be answered otherwise is.
- A client that was greeted connects again for ever: keys are checked before the upgrade.
"""

from typing import Final

from routeraudio.dialects.base import DialectEntry
from routeraudio.dialects.openai import messages
from routeraudio.dialects.openai.overture import FirstOptions
from routeraudio.dialects.openai.realtime import Realtime
from routeraudio.dialects.openai.request import claims, fit, parse

ENTRY: Final = DialectEntry(
    name="openai",
    paths=("/v1/realtime", "/as/openai/v1/realtime"),
    claims=claims,
    parse=parse,
    dialect=Realtime,
    bad_request=messages.bad_request,
    refusal=messages.refusal,
    default_provider="openai",
    overture=FirstOptions,
    has_audio_in_text=True,
    fit=fit,
)
