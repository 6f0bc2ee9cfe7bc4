"""Deepgram: Nova and older models over `/v1/listen`; Flux models, another protocol, in `deepgram_flux`.

Documentation: https://developers.deepgram.com/docs/live-streaming-audio (2026-11), asyncapi of 2026-07-22.

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
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.model.audio import CHANNELS_MAX, AudioFormat
from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Event, Notice, Usage
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import Adapter, AdapterConfig, Capabilities, Entry
from routeraudio.providers.compatibility import unknown_model
from routeraudio.providers.deepgram import flux
from routeraudio.providers.deepgram.connection import (
    TITLE,
    DeepgramConnection,
    Parameters,
    known_model,
    models,
    raw_parameters,
    spelled_language,
    target,
)
from routeraudio.providers.deepgram.flux import Flux
from routeraudio.providers.deepgram.native import NATIVE
from routeraudio.providers.deepgram.transcript import Results, Voice
from routeraudio.providers.timeline import milliseconds

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le", "pcm_mulaw", "ogg_opus", "webm", "mp3"),
    multichannel_max=CHANNELS_MAX,
)
"""v1 takes any rate. Several channels are told apart where the client wants it; else they are mixed here."""

KEEPALIVE: Final = '{"type":"KeepAlive"}'
FINALIZE: Final = '{"type":"Finalize"}'

_TICK_S: Final = 3.0
"""The vendor advises a KeepAlive every 3–5 s; a gap is at most two ticks, 6 s of the 10 s the line lives."""

_UTTERANCE_END_MS: Final = (1000, 5000)
"""What `utterance_end_ms` may be (vendor to integrators, jambonz-feature-server PR 740)."""

_NOTICE_SILENCE_MS: Final = 500
"""More silence than was asked for, so that the vendor surely notices it."""

_HOLD_SILENCE_MS: Final = 80
"""Audio that counts as the first audio, for a client that has not spoken yet."""

_UNSETTLED_MS: Final = 1000
"""Audio without a `Results` of its own at the end of a good stream; `Results` cover silence too."""

_MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


# Wire structs: https://developers.deepgram.com/reference/speech-to-text/listen-streaming; `Results`: `deepgram_voice`


class _UtteranceEnd(msgspec.Struct, tag="UtteranceEnd"):
    last_word_end: float
    channel: list[int] = []


class _Metadata(msgspec.Struct, tag="Metadata"):
    duration: float


class _Error(msgspec.Struct, tag="Error"):
    variant: str | None = None
    description: str | None = None


_Message = Results | _UtteranceEnd | _Metadata | _Error

_DECODER: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class Nova(DeepgramConnection):
    """One v1 connection: a voice, or one per channel where these are told apart."""

    is_ready_when_opened = True
    _path = "/v1/listen"
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, CAPABILITIES)
        endpointing_ms = config.options.endpointing_ms
        self._utterance_end_ms = min(max(endpointing_ms, _UTTERANCE_END_MS[0]), _UTTERANCE_END_MS[1])
        self._noticed_ms = max(endpointing_ms, self._utterance_end_ms) + _NOTICE_SILENCE_MS
        self._has_channels = config.options.wants_channels
        channels = range(config.options.audio.channels) if self._has_channels else (None,)
        self._voices = [
            Voice(
                self._line,
                channel=channel,
                wants_partials=config.options.partial_results,
            )
            for channel in channels
        ]

    def _parameters(self) -> Parameters:
        options = self._options
        # With parse_json=false the client sees every message: it gets the interims it asked for, not ours.
        wants_interims = options.parse_json or options.partial_results
        parameters = [("model", self._model), *_language_parameters(self._model, options.language)]
        parameters += raw_parameters(self._audio_format)
        if self._audio_format.is_raw:
            parameters.append(("channels", str(self._audio_format.channels)))
        if self._has_channels:
            parameters.append(("multichannel", "true"))
        parameters.append(("interim_results", _flag(wants_interims)))
        if wants_interims:
            parameters.append(("utterance_end_ms", str(self._utterance_end_ms)))
        parameters.append(("endpointing", str(options.endpointing_ms) if options.endpointing_ms else "false"))
        parameters.append(("punctuate", _flag(options.punctuate)))
        parameters.append(("diarize", _flag(options.diarize)))
        return parameters

    def finalize(self) -> Sequence[Message]:
        return () if self._is_finishing else (FINALIZE,)

    def _quiet(self) -> Sequence[Message]:
        """First what brings out the last words, or counts as the first audio; then keepalives."""
        has_client_audio = self._line.has_client_audio
        if self._quiet_ticks == 1 and self._takes_silence:
            return self._line.silence(self._noticed_ms if has_client_audio else _HOLD_SILENCE_MS)
        if self._quiet_ticks == 1 and has_client_audio:
            return (FINALIZE, KEEPALIVE)
        return (KEEPALIVE,)

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(_DECODER, message, title=TITLE):
            case Results(channel_index=place) as results:
                voice = self._voice(place)
                return () if voice is None else voice.heard(results)
            case _UtteranceEnd(last_word_end=end_s, channel=place):
                voice = self._voice(place)
                return () if voice is None else voice.utterance_end(end_s)
            case _Metadata(duration=duration_s):
                return self._metadata(duration_s)
            case _Error() as error:
                return self._error(error)
            case Notice() as notice:
                return (notice,)
            case fault:
                return self._broken(fault)

    def _voice(self, place: list[int]) -> Voice | None:
        """Whose message it is. None: nobody's; without channels all is the one voice's, whatever it says."""
        if not self._has_channels:
            return self._voices[0]
        return self._voices[place[0]] if place and 0 <= place[0] < len(self._voices) else None

    def _metadata(self, duration_s: float) -> Sequence[Event]:
        """The vendor's last message after `CloseStream`; the close behind it says nothing new."""
        usage = Usage(audio_ms=milliseconds(duration_s))
        if not self._is_finishing:
            return (usage,)
        events = self._last_words()
        return (*events, usage, *self._end())

    def _error(self, error: _Error) -> Sequence[Event]:
        # `SchemaError`: it could not read a message of ours. Its `message` echoes ours and stays here.
        said = decoding.words(
            error.description or error.variant or "no reason given", self._config.credential
        )
        is_retryable = error.variant != "SchemaError"
        return self._fail(UpstreamFault(f"{TITLE} reported an error: {said}", is_retryable=is_retryable))

    def _last_words(self) -> list[Event]:
        # Only a finished stream ends the turn; after a fall the speaker may go on, on the next connection.
        return [
            event
            for voice in self._voices
            for event in (voice.end_turn() if self._is_finishing else voice.end_utterance())
        ]

    @property
    def _has_unsettled(self) -> bool:
        # `Metadata` ends a stream that was heard out. A clean close without it, well before the end of what was
        # sent, is a server that went away politely.
        settled_ms = milliseconds(min(voice.settled_s for voice in self._voices))
        is_open = any(voice.interim for voice in self._voices)
        return is_open or self._line.vendor_ms - settled_ms > _UNSETTLED_MS


def check(options: Options) -> None:
    """Refuse what cannot work.

    A model that the data file does not know is passed on: it may be the customer's own, and Deepgram's
    refusal of a misspelled one names it. Whisper models are known not to stream.
    """
    model = options.model or models().default_model
    is_whisper = model.lower().startswith("whisper")
    if is_whisper or not _MODEL_NAME.fullmatch(model):
        because = "does not stream" if is_whisper else "is not a model's name"
        raise unknown_model(TITLE, models(), model, because)
    spelled_language(model, options.language)


def _language_parameters(model: str, language: str) -> Parameters:
    """A language that the model knows only among others is asked for as a hint."""
    code = spelled_language(model, language)
    row = known_model(model)
    alone = None if row is None else row.languages_monolingual
    if code == "multi" or alone is None or code in alone:
        return (("language", code),)
    return (("language", "multi"), ("language_hint", code))


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _is_flux(options: Options) -> bool:
    return (options.model or models().default_model).startswith("flux-")


def _adapter(config: AdapterConfig) -> Adapter:
    return Flux(config) if _is_flux(config.options) else Nova(config)


def _audio_format(options: Options) -> AudioFormat:
    return target(options, flux.CAPABILITIES if _is_flux(options) else CAPABILITIES)


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
