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

Here are the messages; `gradium_turns` makes utterances and turns of their text. A guess here: which words mean a
refused key (`_KEY_WORDS`).
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import CloseCode, Fault, UpstreamFault, unauthorized
from routeraudio.model.events import Event, Finished, Notice, Ready, Usage
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import (
    AdapterConfig,
    Capabilities,
    Credential,
    Dial,
    Entry,
    key_header,
    refusal,
)
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Samples
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.gradium.native import NATIVE
from routeraudio.providers.gradium.transcript import STEP_MS, STRAGGLERS_MS, Reading, Turns
from routeraudio.providers.models import Models, is_detection, load, spelled

TITLE: Final = "Gradium"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le",),
    sample_rates=(8000, 16000, 22050, 24000, 44100, 48000),
)
"""Rates: the vendor's Limits page (2026); pipecat trusts only the first two and 24000. Ogg-Opus is native too, but the
next connection of a session would need the stream's first pages again: it is decoded here instead."""

CAPABILITIES_MULAW: Final = msgspec.structs.replace(
    CAPABILITIES, encodings=("pcm_mulaw",), sample_rates=(8000,)
)
"""mu-law comes from telephones only."""

END_OF_STREAM: Final = '{"type":"end_of_stream"}'

_AUDIO_MS_MAX: Final = 1000
"""Longest message of audio. The vendor advises 80 ms, takes others, and publishes no limit."""

_TICK_S: Final = 0.5
"""As often as pipecat's watchdog for Deepgram looks."""

_QUIET_TICKS: Final = 2
"""At least 1 s without audio: less is a network's hiccup, and silence inside a word spoils it."""

_NOTICE_SILENCE_MS: Final = 4000
"""Silence beyond `endpointing_ms`: the model's delay, an unanswered flush, and some to notice it."""

_LIFE_S: Final = 290.0
"""A session that dies with 1008 at this age died of it. INFERRED; live it dies at 300 s sharp."""

_LIFE_WORDS: Final = "maximum duration"
"""What it says then (observed live)."""

_KEY_WORDS: Final = re.compile(r"\b(api[ _-]?)?key\b|auth|credential|\btoken\b|revoked", re.IGNORECASE)
"""What an `error` before `ready` says about a key. INFERRED: the vendor documents the code, not the words."""


# Wire structs: https://docs.gradium.ai, SDK 0.6.4.


class _Ready(msgspec.Struct, tag="ready"):
    request_id: str | None = None
    delay_in_frames: float | None = None
    delay_in_tokens: float | None = None
    """The name that older servers use."""


class _Step(msgspec.Struct, tag="step"):
    vad: list[Reading]
    total_duration_s: float


class _Text(msgspec.Struct, tag="text"):
    text: str
    start_s: float
    stream_id: int | None = None


class _EndText(msgspec.Struct, tag="end_text"):
    stop_s: float
    stream_id: int | None = None


class _Flushed(msgspec.Struct, tag="flushed"):
    flush_id: int | str | None = None


class _EndOfStream(msgspec.Struct, tag="end_of_stream"):
    pass


class _Error(msgspec.Struct, tag="error"):
    message: str = ""
    code: int | None = None


_Message = _Ready | _Step | _Text | _EndText | _Flushed | _EndOfStream | _Error

_DECODER: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class Gradium(Connection):
    """One connection."""

    is_ready_when_opened = False
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._turns = Turns(config.options, self._line)
        self._samples = Samples(self._audio_format.bytes_per_step)
        self._is_flushable = False
        """Whether audio was sent since the client, or a quiet line, last made us flush."""
        self._is_ready = False
        self._silence_left_ms = 0
        """How much silence may still be put in before the client's audio goes on."""

    # The contract.

    def dial(self) -> Dial:
        return Dial(
            f"{self._config.url.rstrip('/')}/api/speech/asr",
            headers=key_header(self._config.credential, TITLE, name="x-api-key"),
        )

    def refused(self, status: int, body: bytes) -> Fault:
        return refusal(
            TITLE,
            status,
            credential=self._config.credential,
            words=_refusal_words(body, self._config.credential),
        )

    def opened(self) -> Sequence[Message]:
        # `json_config` is JSON inside JSON, as the vendor's SDKs send it; an object works too (pipecat).
        setup = {
            "type": "setup",
            "model_name": self._options.model or models().default_model,
            "input_format": _input_format(self._audio_format),
            "json_config": _json({"language": _language(self._options)}),
        }
        return (_json(setup),)

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        chunk = self._samples.push(chunk)
        self._line.sent(len(chunk))
        self._is_flushable = True
        self._quiet_ticks = -1
        self._silence_left_ms = self._options.endpointing_ms + _NOTICE_SILENCE_MS
        return [*self._flush(), *map(_audio, self._pieces(chunk))]

    def finalize(self) -> Sequence[Message]:
        """Flush, and the silence whose steps say that no text follows: the client may send nothing for a while."""
        if self._is_finishing or not self._is_flushable:
            return ()
        self._is_flushable = False
        return [_flush(self._turns.cut()), *self._silence(STRAGGLERS_MS + STEP_MS)]

    def _finish(self) -> Sequence[Message]:
        return (END_OF_STREAM,)  # which flushes; half a sample that is held is no audio

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        # A good end was said by `end_of_stream` before.
        return self._fail(self._closing(code, reason))

    def _ticked(self) -> Sequence[Message]:
        return [*self._flush(), *(self._quiet() if self._quiet_ticks >= _QUIET_TICKS else ())]

    # Messages.

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(_DECODER, message, title=TITLE):
            case _Step(vad=vad, total_duration_s=heard_s):
                return self._turns.step(vad, heard_s)
            case _Text(text=text, start_s=start_s, stream_id=stream_id):
                return self._turns.text(text, start_s, stream_id)
            case _EndText(stop_s=stop_s, stream_id=stream_id):
                self._turns.end_text(stop_s, stream_id)
                return ()
            case _Flushed(flush_id=flush_id):
                self._turns.flushed(flush_id)
                return ()
            case _Ready() as ready:
                return self._ready(ready)
            case _EndOfStream():
                return self._end()
            case _Error(message=said, code=code):
                return self._fail(self._error(said, code))
            case Notice() as notice:
                return (notice,)
            case fault:
                return self._broken(fault)

    def _ready(self, ready: _Ready) -> Sequence[Event]:
        if self._is_ready:
            return ()
        self._is_ready = True
        self._turns.delay(ready.delay_in_tokens if ready.delay_in_frames is None else ready.delay_in_frames)
        return (Ready(ready.request_id),)

    def _end(self) -> Sequence[Event]:
        """The vendor's last message; the close behind it says nothing new."""
        if not self._is_finishing:
            return self._fail(UpstreamFault(f"{TITLE} ended before it was asked to", is_retryable=True))
        self._is_over = True
        return [*self._turns.end(), Usage(self._turns.heard_ms), Finished()]

    # What is sent.

    def _pieces(self, audio: bytes) -> Iterator[bytes]:
        most_bytes = self._audio_format.bytes_per_second * _AUDIO_MS_MAX // 1000
        return (audio[start : start + most_bytes] for start in range(0, len(audio), most_bytes))

    def _flush(self) -> Sequence[Message]:
        """What a turn's end wants to be sent. Who reads the vendor's messages must find no answers to it."""
        flush_id, self._turns.flush_due = self._turns.flush_due, None
        return (_flush(flush_id),) if flush_id is not None and self._options.parse_json else ()

    def _quiet(self) -> Sequence[Message]:
        """As much silence as time has passed, also without text: it may be in flight. Or one flush instead."""
        return self._silence(round(_TICK_S * 1000)) if self._options.parse_json else self.finalize()

    def _silence(self, duration_ms: int) -> Sequence[Message]:
        """Not for who reads the vendor's own times, and must not find them shifted."""
        if not self._options.parse_json:
            return ()
        duration_ms = min(duration_ms, self._silence_left_ms)
        self._silence_left_ms -= duration_ms
        return [_audio(piece) for piece in self._line.silence(duration_ms)]

    # The end.

    def _last_words(self) -> list[Event]:
        """All text is final. The turn stays open: the speaker may go on, on the next connection."""
        return self._turns.final()

    def _error(self, said: str, code: int | None) -> Fault:
        words = decoding.words(said, self._config.credential) or "no reason given"
        if self._is_key_refused(said, code):
            return unauthorized(f"{TITLE} refused the API key you sent: {words}; check the key")
        is_retryable = code == CloseCode.INTERNAL or self._is_expired(said, code)
        return UpstreamFault(f"{TITLE} reported an error: {words}", is_retryable=is_retryable)

    def _closing(self, code: int | None, reason: str) -> Fault:
        if self._is_key_refused(reason, code):
            return self._error(reason, code)
        fault = decoding.closing(TITLE, code, reason, credential=self._config.credential)
        return UpstreamFault(fault.message, is_retryable=True) if self._is_expired(reason, code) else fault

    def _is_key_refused(self, said: str, code: int | None) -> bool:
        """Whether the client's own key is at fault; a stored one is the operator's."""
        credential = self._config.credential
        is_own = credential is not None and credential.is_clients_own
        return is_own and not self._is_ready and code == CloseCode.POLICY and bool(_KEY_WORDS.search(said))

    def _is_expired(self, said: str, code: int | None) -> bool:
        """Whether the session died of its age: the one policy error that a new connection heals."""
        return code == CloseCode.POLICY and (self._age_s >= _LIFE_S or _LIFE_WORDS in said.lower())


def target(options: Options) -> AudioFormat:
    """What is sent."""
    is_mulaw = options.audio.encoding == "pcm_mulaw"
    return (CAPABILITIES_MULAW if is_mulaw else CAPABILITIES).target(options.audio)


def models() -> Models:
    """Gradium's models and their languages."""
    return load("gradium")


def check(options: Options) -> None:
    """Refuse what cannot work; `diarize` and `punctuate` have no counterpart and are left out.

    Raises:
        ClientFault: a model that is not public (what the vendor does with one is not documented), or a language.
    """
    known = models()
    row = known.find(known.chosen(options.model, options.language))
    if row is None:
        raise unknown_model(TITLE, known, options.model or "")
    if not is_detection(options.language) and spelled(_primary(options.language), row.languages) is None:
        raise unsupported_language(TITLE, known, row, options.language)


def _language(options: Options) -> str:
    """As the vendor spells it; `any` is its detection (pipecat 1.14.0). Regions are not told apart."""
    return "any" if is_detection(options.language) else _primary(options.language).lower()


def _primary(language: str) -> str:
    return language.split("-")[0]


def _input_format(audio: AudioFormat) -> str:
    return "ulaw_8000" if audio.encoding == "pcm_mulaw" else f"pcm_{audio.sample_rate}"


def _audio(piece: bytes) -> str:
    return f'{{"type":"audio","audio":"{b64encode(piece).decode()}"}}'


def _flush(flush_id: int) -> str:
    return f'{{"type":"flush","flush_id":{flush_id}}}'


def _json(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()


class _Refusal(msgspec.Struct):
    detail: str = ""
    error: str = ""


_REFUSAL_DECODER: Final = msgspec.json.Decoder(_Refusal)


def _refusal_words(body: bytes, credential: Credential | None) -> str:
    """What a refusal says: plain text, or JSON with `detail` or `error` (SDK 0.6.4, `_fetch`)."""
    try:
        refused = _REFUSAL_DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        text = body.decode(errors="replace")
        # A proxy's HTML page, for example: the HTTP status says enough.
        return "" if text.lstrip()[:1] in ("<", "[", "{") else decoding.words(text, credential)
    return decoding.words(refused.detail or refused.error, credential)


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
