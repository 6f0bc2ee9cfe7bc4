"""Vachana by Gnani.ai: speech recognition over `/stt/v3/stream`, audio out, JSON text in.

Documentation: https://docs.gnani.ai (2026), Python SDK `gnani-vachana` 0.8.2 (`GnaniSTTStreamClient`).

What is odd about it:

- All configuration travels in headers of the upgrade request; nothing can be changed afterwards. The client says
  nothing but audio, in frames of exactly 1,024 bytes at every sample rate.
- `connected` says that audio may follow; an `error` instead of it is a refusal.
- The server's voice activity detection cuts the audio, and cannot be adjusted: `endpointing_ms` has no counterpart.
  `processing` says that an utterance is over, `transcript` what was said. There are no partials and no words.
- No message has a position. An utterance ends where the audio stood when `processing` came, and began its
  `audio_duration_ms` before. Both are late by the silence the detection waits for, and by the network.
- Neither "finals now" nor "no more audio" can be said. Silence is put in instead, so that the detection closes what is
  open: when the client asks for finals, when its audio stops (a muted microphone), and at the end.
- It says no end. When it has been silent for `quiet_s()` after the last audio, everything has been said; the SDK
  waits for 1 s and then closes, whatever is open.

Guesses, each a constant or a small function: how much silence closes an utterance (`_SILENCE_MS`), how long the last
words take (`_QUIET_END_S`), that each `processing` is followed by one `transcript` and that these keep their order,
which words mean a refused key or a passing trouble (`vachana_wire`). Inverse text normalisation
(`x-format: transcribe`) is not asked for: as with the SDK, text is as spoken.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault, UpstreamFault, unauthorized
from routeraudio.model.events import Event, Finished, Notice, Partial, Ready, TurnEnd
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities, Dial, Entry, key_header, refusal
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Samples
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Models, load, spelled
from routeraudio.providers.vachana.messages import (
    DECODER,
    KEY_WORDS,
    PASSING_WORDS,
    Connected,
    Error,
    Processing,
    SpeechEnd,
    SpeechStart,
    Transcript,
    VadEnd,
    VadStart,
    refusal_words,
)
from routeraudio.providers.vachana.native import NATIVE

TITLE: Final = "Vachana"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le",),
    sample_rates=(8000, 16000, 44100, 48000),
)

FRAME_BYTES: Final = 1024
"""512 samples, whatever the sample rate (SDK, `STREAM_CHUNK_BYTES`)."""

_REGION: Final = "-IN"
"""All its languages are those of India: `hi` is `hi-IN`."""

_TICK_S: Final = 0.5
"""How often a quiet line is looked at."""

_QUIET_TICKS: Final = 2
"""At least 1 s without audio: less is a network's hiccup, and silence inside a word spoils it."""

_SILENCE_MS: Final = 1500
"""Silence that surely closes an utterance. INFERRED: the detection's own is not public; compatible clients wait for 1 s
in all, and detectors of its kind close after 0.1 to 0.8 s."""

_QUIET_END_S: Final = 2.0
"""Without a message after the last audio, nothing is to come. INFERRED: twice what the vendor's clients wait."""

_BACKLOG_S_MAX: Final = 6.0
"""Added to that where audio was sent faster than real time. Below the session's deadline for last words."""

_IDLE_TICKS: Final = 8
"""4 s without the client's audio, silence put in meanwhile: its last utterance has long been said."""

_ENDS_MAX: Final = 64
"""Utterances waiting for their text. More are a vendor gone mad."""


class _End(msgspec.Struct, frozen=True):
    """Where the vendor has heard an utterance end."""

    at_ms: int
    """On the session's timeline."""
    is_turn: bool
    """The speaker stopped; false where we made the silence because finals were asked for."""


class Vachana(Connection):
    """One connection."""

    is_ready_when_opened = False
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options))
        self._samples = Samples(self._audio_format.bytes_per_step)
        self._held = b""
        """Part of a frame, until the rest of it comes."""
        self._silence_left_ms = 0
        """How much silence may still be put in before the client's audio goes on."""
        self._is_asked = False
        """Whether the silence behind the last audio is there because finals were asked for."""
        self._speech_end_ms: int | None = None
        self._ends: deque[_End] = deque(maxlen=_ENDS_MAX)
        """Utterances that are over and whose text is to come."""
        self._segment_id: str | int | None = None
        """Of the last final."""
        self._settled_ms = 0
        """Session position up to which text is settled; nothing later reaches back before it."""
        self._is_turn_open = False
        """A final was told, and not its turn's end."""
        self._is_ready = False
        self._backlog_s = 0.0
        """How much audio the vendor may not have heard yet when the last of it was sent."""

    # The contract.

    def dial(self) -> Dial:
        # Proxies that drop header names with an underscore break `lang_code`; the vendor has no other name for it.
        headers = (
            *key_header(self._config.credential, TITLE, name="x-api-key-id"),
            ("lang_code", _language(self._options.language) or self._options.language),
            ("x-sample-rate", str(self._audio_format.sample_rate)),
        )
        return Dial(f"{self._config.url.rstrip('/')}/stt/v3/stream", headers=headers)

    def refused(self, status: int, body: bytes) -> Fault:
        words = refusal_words(body, self._config.credential)
        if status == 403 and not words:
            # A filter in front of the service answers some clients so, whatever their key.
            words = "no reason given; it also refuses clients it does not know"
        return refusal(TITLE, status, credential=self._config.credential, words=words)

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        chunk = self._samples.push(chunk)
        self._line.sent(len(chunk))
        self._silence_left_ms = _SILENCE_MS
        self._is_asked = False
        self._quiet_ticks = -1
        return self._frames(chunk)

    def finalize(self) -> Sequence[Message]:
        """Once per stretch of audio: who asks with every chunk must not make us send seconds of silence each time."""
        return () if self._is_finishing else self._ask()

    def _finish(self) -> Sequence[Message]:
        """The silence pushes the last audio out of `_held`; what stays there is silence."""
        self._backlog_s = self._ahead_s()
        return self._ask()

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        if self._is_finishing and code in decoding.CLOSES_CLEAN and not self._ends:
            self._is_over = True
            return (*self._turn_end(), Finished())
        return self._fail(self._closing(code, reason))

    def _ticked(self) -> Sequence[Message]:
        # Also where nothing seems open: what was just said may not have been answered yet.
        return self._silence(round(_TICK_S * 1000)) if self._quiet_ticks >= _QUIET_TICKS else ()

    def quiet_s(self) -> float | None:
        """After `finish()`: without a message for this long the vendor has said everything, and the connection may be
        closed with 1000 (`closed(1000, "")`). None: text is owed, and worth waiting for."""
        if self._ends:
            return None
        if not self._line.has_client_audio or self._quiet_ticks >= _IDLE_TICKS:
            return 0.0
        return _QUIET_END_S + self._backlog_s

    # Messages.

    def _read(self, message: Message) -> Sequence[Event]:
        match decoding.read(DECODER, message, title=TITLE):
            case Transcript() as transcript:
                return self._transcript(transcript)
            case Processing():
                self._ends.append(self._end())
                return ()
            case SpeechEnd() | VadEnd():
                self._speech_end_ms = self._here_ms
                return ()
            case SpeechStart() | VadStart():
                return ()
            case Connected(request_id=request_id):
                return self._ready(request_id)
            case Error(message=said):
                return self._fail(self._error(said))
            case Notice() as notice:
                return (notice,)
            case fault:
                return self._broken(fault)

    def _ready(self, request_id: str | None) -> Sequence[Event]:
        if self._is_ready:
            return ()
        self._is_ready = True
        return (Ready(request_id),)

    def _end(self) -> _End:
        """The end of the utterance that has just been told of."""
        at_ms, self._speech_end_ms = self._speech_end_ms, None
        return _End(self._here_ms if at_ms is None else at_ms, is_turn=not self._is_asked)

    def _transcript(self, transcript: Transcript) -> Sequence[Event]:
        if transcript.segment_id and transcript.segment_id == self._segment_id:
            return ()  # an echo
        if not transcript.is_final:
            return self._partial(transcript)
        # A `processing` that got lost is replaced by the text's arrival.
        end = self._ends.popleft() if self._ends else self._end()
        self._segment_id = transcript.segment_id
        if not transcript.text:
            return ()
        start_ms, self._settled_ms = self._span(transcript, end.at_ms)
        self._is_turn_open = True
        final = FinalText(transcript.text, start_ms, self._settled_ms)
        return [final, *self._turn_end()] if end.is_turn else [final]

    def _turn_end(self) -> list[Event]:
        if not self._is_turn_open:
            return []
        self._is_turn_open = False
        return [TurnEnd(self._settled_ms)]

    def _partial(self, transcript: Transcript) -> Sequence[Event]:
        if not (transcript.text and self._options.partial_results):
            return ()
        return (Partial(transcript.text, *self._span(transcript, self._here_ms)),)

    def _span(self, transcript: Transcript, end_ms: int) -> tuple[int, int]:
        """Where the text stands: its length back from its end, but not before the last text's end."""
        length_ms = int(min(max(transcript.audio_duration_ms or 0.0, 0.0), end_ms))
        start_ms = max(end_ms - length_ms, self._settled_ms)
        return start_ms, max(end_ms, start_ms)

    @property
    def _here_ms(self) -> int:
        """Where the client's audio stands, on the session's timeline. Our silence behind it has no length there."""
        return self._line.session_ms(self._line.vendor_ms / 1000)

    # What is sent.

    def _ask(self) -> Sequence[Message]:
        """What makes it tell all it has heard."""
        self._is_asked = True
        return self._silence(_SILENCE_MS)

    def _frames(self, audio: bytes) -> list[bytes]:
        audio = self._held + audio
        whole_bytes = len(audio) - len(audio) % FRAME_BYTES
        self._held = audio[whole_bytes:]
        return [audio[start : start + FRAME_BYTES] for start in range(0, whole_bytes, FRAME_BYTES)]

    def _silence(self, duration_ms: int) -> list[bytes]:
        """Also for who reads the vendor's messages: no position in them can be shifted, and nothing else ends them."""
        duration_ms = min(duration_ms, self._silence_left_ms)
        self._silence_left_ms -= duration_ms
        return self._frames(b"".join(self._line.silence(duration_ms)))

    def _ahead_s(self) -> float:
        """How much audio the vendor was sent ahead of real time, as of the last tick."""
        return min(max(self._line.vendor_ms / 1000 - self._age_s, 0.0), _BACKLOG_S_MAX)

    # The end.

    def _error(self, said: str) -> Fault:
        words = decoding.words(said, self._config.credential) or "no reason given"
        if self._is_key_refused(said):
            return unauthorized(f"{TITLE} refused the API key you sent: {words}; check the key")
        return UpstreamFault(
            f"{TITLE} reported an error: {words}", is_retryable=bool(PASSING_WORDS.search(said))
        )

    def _closing(self, code: int | None, reason: str) -> Fault:
        if self._is_key_refused(reason):
            return self._error(reason)
        return decoding.closing(TITLE, code, reason, credential=self._config.credential)

    def _is_key_refused(self, said: str) -> bool:
        """Whether the client's own key is at fault; a stored one is the operator's."""
        credential = self._config.credential
        return credential is not None and credential.is_clients_own and bool(KEY_WORDS.search(said))


def target(options: Options) -> AudioFormat:
    """What is sent."""
    return CAPABILITIES.target(options.audio)


def models() -> Models:
    """Vachana's model and its languages."""
    return load("vachana")


def check(options: Options) -> None:
    """Refuse what cannot work; `diarize`, `punctuate`, `endpointing_ms` have no counterpart and are left out.

    Raises:
        ClientFault: another model; another language or region; detection, which the vendor has withdrawn.
    """
    known = models()
    row = known.find(known.chosen(options.model, options.language))
    if row is None:
        raise unknown_model(TITLE, known, options.model or "")
    if _language(options.language) is None:
        raise unsupported_language(TITLE, known, row, options.language)


def _language(language: str) -> str | None:
    """As the vendor spells it; None: it does not speak it. `bn-BD` is not `bn-IN`."""
    [model] = models().models
    return spelled(language, model.languages) or spelled(language + _REGION, model.languages)


ENTRY: Final = Entry(
    name="vachana",
    title=TITLE,
    default_url="wss://api.vachana.ai",
    needs_key=True,
    has_positions=False,
    adapter=Vachana,
    audio_format=target,
    check=check,
    native=NATIVE,
)
