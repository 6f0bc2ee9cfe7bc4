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

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, Fault, UpstreamFault, unauthorized
from routeraudio.model.events import Event, Finished, Notice, Ready, Usage
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.assemblyai.native import NATIVE
from routeraudio.providers.assemblyai.request import TITLE, check, model_of, parameters, target
from routeraudio.providers.assemblyai.transcript import Turn, Turns
from routeraudio.providers.base import AdapterConfig, Credential, Dial, Entry, Pace, key_header, refusal
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Chunker, Samples
from routeraudio.providers.timeline import milliseconds

TERMINATE: Final = '{"type":"Terminate"}'
FORCE_ENDPOINT: Final = '{"type":"ForceEndpoint"}'

_VERSION: Final = "2025-05-12"
"""The API version that the vendor's Python SDK 1.8.2 asks for."""

_CHUNK_MS: Final = (50, 1000)
"""What one message of raw audio may hold. A second of 48 kHz PCM is also below the 128 KiB that close with 1009."""

_CHUNK_BYTES: Final = (400, 2000)
"""The same for Ogg, INFERRED: whether the limit counts decoded audio there is not known. At 16–64 kbit/s, as speech is
encoded, these are 50–1000 ms."""

_TICK_S: Final = 1.0

_ERRORS_RETRYABLE: Final = frozenset({1006, 1011, 1013, 3005, 3008, 3009})
"""Server trouble, the session's three hours, too many sessions. The others (1008, 1009, 3006, 3007, 4xxx) are about
what we sent and would come again; so, INFERRED, would an error without a code."""

_REFUSED: Final = frozenset({1008, 4001})
"""Bad keys, trouble with the account, or too many sessions: only the words tell which."""

_ABOUT_THE_KEY: Final = re.compile(r"authori[sz]|api key|signature|token", re.IGNORECASE)
_ABOUT_THE_NUMBER: Final = re.compile(r"too many|concurren|rate limit", re.IGNORECASE)

_AHEAD: Final = Pace(burst_s=5.0)
"""Seven seconds at ten times the speed were accepted (recorded); sustained, faster than real time is refused. Where
exactly is not published: this stays on the safe side."""

_TOO_FAST: Final = (3007, "transmission rate")
"""Code and words for audio that comes too fast; with other words the code is about our chunks."""


# Wire structs: https://www.assemblyai.com/docs/universal-streaming/message-sequence; `Turn` is in `assemblyai_turns`


class _Begin(msgspec.Struct, tag="Begin"):
    id: str | None = None


class _Heartbeat(msgspec.Struct, tag="Heartbeat"):
    pass


class _Termination(msgspec.Struct, tag="Termination"):
    audio_duration_seconds: float | None = None


class _Error(msgspec.Struct, tag="Error"):
    error_code: int | None = None
    error: str = ""


_Message = Turn | _Begin | _Heartbeat | _Termination | _Error

_DECODER: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class AssemblyAI(Connection):
    """One connection."""

    is_ready_when_opened = False
    """`Begin` says that it is ready."""
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        options = config.options
        super().__init__(config, target(options))
        self._turns = Turns(
            self._line,
            model_of(options),
            punctuate=options.punctuate,
            partials=options.partial_results,
        )
        self._chunker = _chunker(self._audio_format)
        audio = self._audio_format
        self._samples = Samples(audio.bytes_per_step if audio.is_raw else 1)
        # A second of patience with the network, then the silence that ends a turn.
        self._quiet_ticks_max = 1 + -(-options.endpointing_ms // 1000)

    def dial(self) -> Dial:
        # The raw key, or a temporary token in its place (as the Python SDK sends it): "Bearer" would be refused.
        return Dial(
            decoding.url(self._config.url, "/v3/ws", parameters(self._config.options, self._audio_format)),
            headers=(*key_header(self._config.credential, TITLE), ("AssemblyAI-Version", _VERSION)),
        )

    def refused(self, status: int, body: bytes) -> Fault:
        # Rare: the service itself refuses behind the 101.
        credential = self._config.credential
        return refusal(TITLE, status, credential=credential, words=_refusal_words(body, credential))

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        self._line.sent(len(chunk))
        self._quiet_ticks = -1
        return self._chunker.push(self._samples.push(chunk))

    def finalize(self) -> Sequence[Message]:
        if self._is_finishing or not self._line.has_client_audio:
            return ()
        return (*self._rest(is_last=False), FORCE_ENDPOINT)

    def _finish(self) -> Sequence[Message]:
        return (*self._rest(is_last=True), TERMINATE)

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(_DECODER, message, title=TITLE):
            case Turn() as turn:
                return self._turns.heard(turn)
            case _Begin(id):
                return (Ready(id),)
            case _Heartbeat():
                return self._turns.heartbeat()
            case _Termination(duration_s):
                return self._termination(duration_s)
            case _Error(code, error):
                said = decoding.words(error or "no reason given", self._config.credential)
                return self._fail(self._fault(code, said, f"{TITLE} reported an error: {said}"))
            case Notice() as notice:
                return (notice,)  # also SpeechStarted, Silence, Warning and SpeakerRevision: none is text
            case fault:
                return self._broken(fault)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        # `Termination` comes before the close. Without it nothing says that all audio was transcribed.
        return self._fail(self._closing(code, reason))

    def _ticked(self) -> Sequence[Message]:
        """End the turn when audio has stopped for as long as a turn may be silent: the vendor's clock stands still.

        No keepalive is needed: the line is dropped only with `inactivity_timeout`, which is not asked for.
        """
        return self.finalize() if self._quiet_ticks == self._quiet_ticks_max else ()

    # Audio.

    def _rest(self, *, is_last: bool) -> list[bytes]:
        """What was too short for a message, with silence behind it.

        Who reads the vendor's own times must not find them shifted by silence. There it waits, and goes as it is at
        the end: one short message is borne (the JavaScript SDK sends one), one behind each `ForceEndpoint` is not.
        """
        if self._line.takes_silence and not self._takes_silence and not is_last:
            return []
        rest = self._chunker.rest()
        if rest and self._takes_silence:
            rest += b"".join(self._line.silence(_CHUNK_MS[0]))
        return [rest] if rest else []

    # The end.

    def _termination(self, duration_s: float | None) -> Sequence[Event]:
        """The vendor's last message after `Terminate`; the close behind it says nothing new."""
        usage = [] if duration_s is None else [Usage(audio_ms=milliseconds(duration_s))]
        if not self._is_finishing:
            return usage
        self._is_over = True
        return [*self._turns.end(), *usage, Finished()]

    def _last_words(self) -> list[Event]:
        return self._turns.last_words()

    def _closing(self, code: int | None, reason: str) -> Fault:
        credential = self._config.credential
        usual = decoding.closing(TITLE, code, reason, credential=credential)
        return (
            usual
            if usual.is_retryable
            else self._fault(code, decoding.words(reason, credential), usual.message)
        )

    def _fault(self, code: int | None, said: str, sentence: str) -> Fault:
        """Whose fault an `Error`, or a close with one of its codes, is."""
        credential = self._config.credential
        is_crowded = code in _REFUSED and _ABOUT_THE_NUMBER.search(said) is not None
        is_refused = code in _REFUSED and _ABOUT_THE_KEY.search(said) is not None and not is_crowded
        if is_refused and credential is not None and credential.is_clients_own:
            return unauthorized(f"{TITLE} refused the API key you sent: {said}; check the key")
        if code == _TOO_FAST[0] and _TOO_FAST[1] in said.lower():
            return ClientFault(
                f"{TITLE} takes audio no faster than it is spoken: {said}; send it at that pace",
                code="rate_limited",
                close_code=CloseCode.POLICY,
            )
        return UpstreamFault(sentence, is_retryable=is_crowded or code in _ERRORS_RETRYABLE)


def _chunker(audio: AudioFormat) -> Chunker:
    if not audio.is_raw:
        return Chunker(*_CHUNK_BYTES)
    least_samples = -(-audio.sample_rate * _CHUNK_MS[0] // 1000)
    most_samples = audio.sample_rate * _CHUNK_MS[1] // 1000
    return Chunker(least_samples * audio.bytes_per_step, most_samples * audio.bytes_per_step)


class _Refusal(msgspec.Struct):
    error: str = ""


_REFUSAL_DECODER: Final = msgspec.json.Decoder(_Refusal)


def _refusal_words(body: bytes, credential: Credential | None) -> str:
    try:
        return decoding.words(_REFUSAL_DECODER.decode(body).error, credential)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""  # a proxy's HTML page, for example: the HTTP status says enough


ENTRY: Final = Entry(
    name="assemblyai",
    title=TITLE,
    default_url="wss://streaming.assemblyai.com",
    needs_key=True,
    gateway_price_per_hour_usd=Decimal("0.15"),  # memories.ai's audio stream, section 3
    session_s=3 * 3600.0,  # `Begin` says when they end
    pace=_AHEAD,
    adapter=AssemblyAI,
    audio_format=target,
    check=check,
    native=NATIVE,
)
