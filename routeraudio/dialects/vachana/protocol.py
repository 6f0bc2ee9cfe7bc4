"""The vendor's own protocol at `/stt/v3/stream`: configuration in headers, raw PCM in, one transcript per segment out.

    server → {"type": "connected", …}     at once
    client → binary messages              16-bit mono PCM, 1,024 bytes as its SDK sends them, or any other size
    server → {"type": "processing", …}    the voice activity detection has found the end of a stretch of speech
             {"type": "transcript", …}    its text; empty where nothing was understood
             {"type": "error", …}         the connection closes, unless it is about one frame (`strict_frames`)
    client → {"type": "end_of_stream"}    PROPOSED, not the vendor's: last words, then close 1000

Any provider stands behind it. Where speech ends is decided here, in audio time (`vad`): the provider is asked
for its finals there, and `segments` finds out whose text is whose. `received` listens; what it notices comes
back through `event` as an aside, in order with what the provider says, and only there anything is told.

Specification: the vendor's public pages and clients (2026-11), where silent our choice.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import NAMESPACE_OID, uuid5

import msgspec

from routeraudio.dialects.base import Command, Control, DialectEntry, DialectEvent, Opening
from routeraudio.dialects.segments import Done, Segment, Segments
from routeraudio.dialects.vachana import messages, numerals
from routeraudio.dialects.vachana.request import More, fit, parse
from routeraudio.dialects.vachana.vad import Began, Ear
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event, Failed, Finished, Partial
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.providers.catalog import PROVIDERS

READY: Final = "STT service ready"

TICK_S: Final = 0.25
"""How late a transcript may be that waits for nothing any more."""

_CLOSES: Final = {
    CloseCode.PROVIDER: CloseCode.INTERNAL,
    CloseCode.UNSUPPORTED_DATA: CloseCode.POLICY,
}
"""Other close codes are the same here."""


class _Tick(msgspec.Struct, frozen=True):
    """Time has passed."""


class _WrongFrame(msgspec.Struct, frozen=True):
    """A frame that `strict_frames` refuses."""

    length_bytes: int


class Vachana:
    """One client's side of a session."""

    tick_s = TICK_S
    tick = DialectEvent(_Tick())

    def __init__(self, opening: Opening) -> None:
        more = opening.wish.more
        assert isinstance(more, More)
        self._more = more
        self._options = opening.options
        self._request_id = opening.request_id
        self._now = opening.now
        self._ear = Ear(opening.options.audio, silence_ms=more.silence_ms, threshold=more.threshold)
        has_positions = PROVIDERS[opening.options.provider].has_positions
        self._segments = Segments(opening.now, has_positions=has_positions)
        self._language = more.lang_code.partition("-")[0] if more.lang_code.count("-") == 1 else ""
        """Without its region; empty for several and for mixed ones."""
        self._normalise = numerals.normaliser(self._language) if more.is_transcribe else None
        self._has_native = (
            more.is_transcribe and more.native_numerals and numerals.has_numerals(self._language)
        )
        self._told = 0
        """Transcripts."""
        self._is_finished = False

    # What the client says.

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        """See `Dialect.received`."""
        if self._is_finished:
            return ()
        if isinstance(message, str):
            return self._finish() if messages.is_end_of_stream(message) else ()
        if self._more.is_strict and len(message) != messages.FRAME_BYTES:
            return (DialectEvent(_WrongFrame(len(message))),)
        self._segments.heard()
        return [part for sound in self._ear.push(message) for part in _passed_on(sound)]

    def _finish(self) -> Sequence[Command | DialectEvent]:
        self._is_finished = True
        last = self._ear.finish()
        return (Control.FINISH,) if last is None else (DialectEvent(last), Control.FINISH)

    # What it is told.

    def greeting(self) -> Sequence[Message]:
        """See `HasGreeting.greeting`."""
        more = self._more
        is_lacking = more.is_transcribe and self._normalise is None
        configuration = messages.Configuration(
            sample_rate=self._options.audio.sample_rate,
            chunk_size=messages.CHUNK_SAMPLES,
            lang_code=more.lang_code,
            format="transcribe" if more.is_transcribe else "verbatim",
            itn_native_numerals=self._has_native,
            provider=self._options.provider,
            itn="unavailable" if is_lacking else None,
        )
        lack = f"; inverse text normalisation is not available for {more.lang_code}" if is_lacking else ""
        connected = messages.Connected(
            READY + lack, more.request_id or self._request_id, self._stamp, configuration
        )
        return (messages.text(connected),)

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect.event`."""
        match event:
            case DialectEvent(note):
                return self._noted(note)
            case FinalText():
                return self._transcripts(self._segments.final(event))
            case Partial():
                return (self._partial(event),) if self._options.partial_results and event.text else ()
            case Finished():
                last = self._ear.finish()
                closing = () if last is None else self._noted(last)
                return (*closing, *self._transcripts(self._segments.rest(is_heard_out=True)))
            case Failed():
                return self._transcripts(self._segments.rest(is_heard_out=False))
            case _:
                return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`. Text that waited for the end of its segment comes first."""
        told = self._transcripts(self._segments.rest(is_heard_out=False))
        return (*told, messages.text(messages.Error(fault.message, self._stamp)))

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""
        return _CLOSES.get(fault.close_code, fault.close_code)

    def _noted(self, note: object) -> Sequence[Message]:
        match note:
            case Began(start_ms):
                self._segments.began(start_ms)
                return self._vad_event(messages.SpeechStart(self._stamp))
            case Segment():
                done = self._segments.closed(note)
                ended = self._vad_event(messages.SpeechEnd(self._stamp))
                return (*ended, self._processing(), *self._transcripts(done))
            case _WrongFrame(length_bytes):
                problem = f"audio frames must be {messages.FRAME_BYTES} bytes, got {length_bytes}"
                return (messages.text(messages.Error(problem, self._stamp)),)
            case _:
                return self._transcripts(self._segments.overdue())

    def _vad_event(self, told: messages.SpeechStart | messages.SpeechEnd) -> Sequence[Message]:
        return (messages.text(told),) if self._more.has_vad_events else ()

    def _processing(self) -> str:
        return messages.text(messages.Processing(self._stamp))

    def _transcripts(self, segments: Iterable[Done]) -> list[Message]:
        messages: list[Message] = []
        for done in segments:
            if not done.is_announced:
                messages.append(self._processing())
            messages.append(self._transcript(done))
            self._told += 1
        return messages

    def _transcript(self, done: Done) -> str:
        return messages.text(
            messages.Transcript(
                timestamp=self._stamp,
                text=self._written(done.text),
                audio_duration_ms=done.duration_ms,
                segment_id=self._segment_id(self._told),
                segment_index=str(self._told),
                latency=round(done.waited_s * 1000),
                detected_language=self._detected,
                is_final=True if self._options.partial_results else msgspec.UNSET,
            )
        )

    def _partial(self, partial: Partial) -> str:
        """Of the open segment, behind those that wait for their text."""
        index = self._told + self._segments.waiting
        return messages.text(
            messages.Transcript(
                timestamp=self._stamp,
                text=self._written(partial.text),
                audio_duration_ms=partial.end_ms - partial.start_ms,
                segment_id=self._segment_id(index),
                segment_index=str(index),
                latency=0,
                detected_language=self._detected,
                is_final=False,
            )
        )

    def _segment_id(self, index: int) -> str:
        return str(uuid5(NAMESPACE_OID, f"{self._request_id}/{index}"))

    @property
    def _detected(self) -> str | None:
        """The language asked for; with several nobody tells which it was."""
        return None if "," in self._more.lang_code else self._more.lang_code

    def _written(self, text: str) -> str:
        if self._normalise is not None:
            text = self._normalise(text)
        return numerals.native(text, self._language) if self._has_native else text

    @property
    def _stamp(self) -> str:
        return messages.stamp(self._now())


def _passed_on(sound: bytes | Began | Segment) -> Sequence[Command | DialectEvent]:
    """At the end of a segment the provider is asked for what it has, behind the segment's last audio."""
    if isinstance(sound, bytes):
        return (sound,)
    return (Control.FINALIZE, DialectEvent(sound)) if isinstance(sound, Segment) else (DialectEvent(sound),)


ENTRY: Final = DialectEntry(
    name="vachana",
    paths=("/stt/v3/stream", "/stt/v3"),
    parse=parse,
    dialect=Vachana,
    bad_request=messages.bad_request,
    refusal=messages.refusal,
    default_provider="local",
    fit=fit,
)
