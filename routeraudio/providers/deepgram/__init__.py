"""Deepgram: Nova and older models over `/v1/listen`, Flux models over `/v2/listen`, another protocol.

Documentation: https://developers.deepgram.com/docs/live-streaming-audio and …/docs/flux (2026-11), asyncapi of
2026-07-22, Python SDK 7.16.0.

What is odd about v1:

- One utterance comes as several `is_final` pieces, each with the text of its own span only, until
  `speech_final` says that it is over. With noise behind the voice `speech_final` may never come
  (livekit/agents#931), so `utterance_end_ms` is asked for as a second signal. That needs
  `interim_results=true`: interims are always asked for, and dropped here when the client does not want
  partials. Even so an utterance is closed after 30 s of settled text.
- `UtteranceEnd` may come late and name a word of the utterance before, or -1: it counts only if its word lies
  in the open turn.
- `Finalize` may get no answer. Nothing here waits for one.
- An empty binary message ends the stream. The line dies after 10 s without audio or `KeepAlive` (NET-0001),
  and `KeepAlive` does not count before the first audio.
- When a client's audio stops (a muted microphone) the vendor's silence detection stops too, and the last
  words would wait for ever: silence is put in, once, long enough for it to notice. Where none can be put in
  (containers, `parse_json=false`) a `Finalize` is sent.
- There is no message of readiness.

What is odd about Flux:

- Text comes as turns, each message with the *whole* turn so far, always punctuated. There are no speakers.
- `Connected` says that it is ready. A server that dislikes a parameter may send neither that nor an error.
- `CloseStream` brings no `EndOfTurn`: the last `Update` before the close is the best text there will ever be,
  and becomes a final here. The normal close has no code (1005).
- There is no `KeepAlive` and no `Finalize`: either ends the connection (`UNPARSABLE_CLIENT_MESSAGE`).
- A turn never ends while no audio comes (a muted microphone), so silence is put in for as long as that
  takes (pipecat has the same watchdog).
- `ForceEndTurn` is so new that regional and self-hosted servers may take it for an error and close; it also
  cuts off what was sent but not yet transcribed. `finalize()` therefore sends `eot_timeout_ms` of silence
  instead, which ends the turn everywhere and behind the last word. Where no silence can be put in
  (containers, `parse_json=false`) `ForceEndTurn` is sent, to Deepgram's own global host only.
- Word times carry float noise that changes from message to message; they are rounded to milliseconds.
"""

from typing import Final

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import Adapter, AdapterConfig, Entry
from routeraudio.providers.deepgram import flux, nova
from routeraudio.providers.deepgram.connection import TITLE, models, target
from routeraudio.providers.deepgram.native import NATIVE
from routeraudio.providers.deepgram.nova import check


def _is_flux(options: Options) -> bool:
    return (options.model or models().default_model).startswith("flux-")


def _adapter(config: AdapterConfig) -> Adapter:
    return flux.Flux(config) if _is_flux(config.options) else nova.Nova(config)


def _audio_format(options: Options) -> AudioFormat:
    return target(options, flux.CAPABILITIES if _is_flux(options) else nova.CAPABILITIES)


ENTRY: Final = Entry(
    name="deepgram",
    title=TITLE,
    default_url="wss://api.deepgram.com",
    needs_key=True,
    adapter=_adapter,
    audio_format=_audio_format,
    check=check,
    native=NATIVE,
)
