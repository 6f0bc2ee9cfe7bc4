"""One connection to Vachana; what is odd about it stands in the package's docstring."""

from collections import deque
from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from routeraudio.model.errors import Fault
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Dial, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.chunks import Samples
from routeraudio.providers.vachana import faults
from routeraudio.providers.vachana.messages import (
    Connected,
    Error,
    Processing,
    Said,
    SpeechEnd,
    SpeechStart,
    Transcript,
    VadEnd,
    VadStart,
)
from routeraudio.providers.vachana.request import TITLE, spelled_language, target

FRAME_BYTES: Final = 1024
"""512 samples, whatever the sample rate (SDK, `STREAM_CHUNK_BYTES`)."""

_TICK_S: Final = 0.5
"""How often a quiet line is looked at."""

_QUIET_TICKS: Final = 2
"""At least 1 s without audio: less is a network's hiccup, and silence inside a word spoils it."""

_SILENCE_MS: Final = 1500
"""Silence that surely closes an utterance. INFERRED: the detection's own is not public; compatible clients wait for 1 s
in all, and detectors of its kind close after 0.1 to 0.8 s."""

_QUIET_END_S: Final = 2.0
"""Without a message after the last audio, nothing is to come. INFERRED: twice what the vendor's clients wait."""

_OWED_S: Final = 8.0
"""The same while it has heard a voice and not said what. Below the session's deadline for last words (10 s): a voice
that was none, of which no text comes, is no failure."""

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


class Vachana(Connection[Said]):
    """One connection."""

    title = TITLE
    _decoder = msgspec.json.Decoder(Said)
    _tick_s = _TICK_S

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__(config, target(config.options), silence_ms_max=_SILENCE_MS)
        self._samples = Samples(self._audio_format.bytes_per_step)
        self._held = b""
        """Part of a frame, until the rest of it comes."""
        self._is_asked = False
        """Whether the silence behind the last audio is there because finals were asked for."""
        self._has_heard_voice = False
        """Since the last final: a text is owed, perhaps."""
        self._speech_end_ms: int | None = None
        self._ends: deque[_End] = deque(maxlen=_ENDS_MAX)
        """Utterances that are over and whose text is to come."""
        self._segment_id: str | int | None = None
        """Of the last final."""
        self._backlog_s = 0.0
        """How much audio the vendor may not have heard yet when the last of it was sent."""

    # The contract.

    def dial(self) -> Dial:
        # Proxies that drop header names with an underscore break `lang_code`; the vendor has no other name for it.
        headers = (
            *key_header(self._config.credential, TITLE, name="x-api-key-id"),
            ("lang_code", spelled_language(self._options.language) or self._options.language),
            ("x-sample-rate", str(self._audio_format.sample_rate)),
        )
        return Dial(f"{self._config.url.rstrip('/')}/stt/v3/stream", headers=headers)

    def refused(self, status: int, body: bytes) -> Fault:
        words = faults.refusal_words(body)
        if status == 403 and not words:
            # A filter in front of the service answers some clients so, whatever their key.
            words = "no reason given; it also refuses clients it does not know"
        return self._faults.refused(status, words)

    def _send(self, chunk: bytes) -> Sequence[Message]:
        self._is_asked = False
        return self._frames(self._samples.push(chunk))

    def finalize(self) -> Sequence[Message]:
        """Once per stretch of audio: who asks with every chunk must not make us send seconds of silence each time."""
        return () if self._is_finishing else self._ask()

    def _finish(self) -> Sequence[Message]:
        """The silence pushes the last audio out of `_held`; what stays there is silence."""
        self._backlog_s = self._ahead_s()
        return self._ask()

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        if self._is_finishing and code in decoding.CLOSES_CLEAN and not self._ends:
            return self._end()
        return self._fail(faults.close(self._faults, code, reason))

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
        return _OWED_S if self._has_heard_voice else _QUIET_END_S + self._backlog_s

    # Messages.

    def _said(self, said: Said) -> Sequence[Event]:
        match said:
            case Transcript():
                return self._text(said)
            case Processing():
                self._ends.append(self._utterance_end())
                return ()
            case SpeechEnd() | VadEnd():
                self._speech_end_ms = self._here_ms
                return ()
            case SpeechStart() | VadStart():
                self._has_heard_voice = True
                return ()
            case Connected(request_id=request_id):
                return self._ready(request_id)
            case Error(message=words):
                return self._fail(faults.error(self._faults, words))
            case unread:
                assert_never(unread)

    def _utterance_end(self) -> _End:
        """The end of the utterance that has just been told of."""
        at_ms, self._speech_end_ms = self._speech_end_ms, None
        return _End(self._here_ms if at_ms is None else at_ms, is_turn=not self._is_asked)

    def _text(self, said: Transcript) -> Sequence[Event]:
        if said.segment_id and said.segment_id == self._segment_id:
            return ()  # an echo
        if not said.is_final:
            return self._transcript.partial_at(said.text, *self._span(said, self._here_ms))
        # A `processing` that got lost is replaced by the text's arrival.
        end = self._ends.popleft() if self._ends else self._utterance_end()
        self._segment_id = said.segment_id
        self._has_heard_voice = False
        if not said.text:
            return ()
        events = self._transcript.final_at(said.text, *self._span(said, end.at_ms))
        return [*events, *self._transcript.end_turn()] if end.is_turn else events

    def _span(self, said: Transcript, end_ms: int) -> tuple[int, int]:
        """Where the text stands: its length back from its end, but not before the last text's end."""
        length_ms = int(min(max(said.audio_duration_ms or 0.0, 0.0), end_ms))
        start_ms = max(end_ms - length_ms, self._transcript.settled_ms)
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
        return self._frames(b"".join(self._line.silence(duration_ms)))

    def _ahead_s(self) -> float:
        """How much audio the vendor was sent ahead of real time, as of the last tick."""
        return min(max(self._line.vendor_ms / 1000 - self._age_s, 0.0), _BACKLOG_S_MAX)
