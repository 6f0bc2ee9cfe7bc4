"""One ElevenLabs realtime session: audio chunks in, partials and commits out.

With `commit_strategy=vad` (and `turn_prediction`, which is decided by silence too here) each utterance is committed
when silence closes it; a commit that the client asks for commits the rest, and is answered with empty text where there
is none, as the real service does (seen by others). With `manual` everything since the last commit is one segment.

Guesses: the reasons of all closes but `commit_throttled`; that a message which cannot be used ends the session; the
size of a chunk that is too large; that empty audio counts as audio for the idle timer (LiveKit lives on it).
Not emulated: pacing, drifting word times, entities, redaction, editing, diarization.
"""

import binascii
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, NoReturn

import msgspec
import trio

from routeraudio.emulators.elevenlabs.query import Query
from routeraudio.emulators.elevenlabs.segments import Segments, open_segments
from routeraudio.emulators.kit.base import Heard, HeardWord
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.intake import Intake
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.kit.sound import RawFormat, open_sound

BROKEN_MESSAGE: Final = (
    '{"message_type":"committed_transcript_with_timestamps","text":["no"],"language_code":7,"words":"none"}'
)

COMMIT_MS_MIN: Final = 300
"""Audio that a commit needs, in the service's own words."""

AUTO_COMMIT_MS: Final = 36_500
"""`manual` only: the service commits by itself. Its pages say 90 s; others measured this, in audio."""

MANUAL_ENDPOINTING_MS: Final = 1500
"""How the recogniser cuts when the client commits: the service's own default."""

CHUNK_MS_MAX: Final = 5000
"""Audio in one message."""

PREVIOUS_TEXT_MAX: Final = 50
"""Characters of context with the first chunk."""

Json = dict[str, Any]


class Chunk(msgspec.Struct):
    """What a client may send; all of it is required but `previous_text`."""

    message_type: str
    audio_base_64: str
    commit: bool
    sample_rate: int
    previous_text: str | None = None


_decode = msgspec.json.Decoder(Chunk).decode


class Unusable(Exception):
    """A client's message that ends the session.

    Args:
        code: the error's `message_type`.
    """

    def __init__(self, message: str, *, code: str = "input_error") -> None:
        super().__init__(message)
        self.code = code


class Scribe:
    """One conversation.

    Args:
        idle_s: without audio for this long the session is closed.
        session_s: an older session is ended.
    """

    def __init__(self, call: Call, query: Query, *, idle_s: float, session_s: float) -> None:
        self._call = call
        self._query = query
        self._idle_s = idle_s
        self._over_at = trio.current_time() + session_s
        self._segment = Segment(query)
        self._has_chunk = False
        self._intake: Intake

    async def run(self) -> None:
        """Talk until somebody closes; ends the call."""
        await self._call.say(_started(self._query, self._call.request.id))
        raw = RawFormat(encoding=_encoding(self._query), sample_rate=self._query.sample_rate)
        async with open_sound(raw) as sound, _open_hearings(self._call, self._query) as hearings:
            self._intake = Intake(self._call, sound, hearings, self._call.say, BROKEN_MESSAGE)
            async with trio.open_nursery() as nursery:
                for hearing in hearings:
                    nursery.start_soon(self._intake.tell, 0, hearing, self._tell)
                await self._intake.play("open")
                while True:
                    await self._take(await self._next())

    async def _next(self) -> str | bytes:
        with trio.move_on_at(min(trio.current_time() + self._idle_s, self._over_at)):
            return await self._call.receive()
        if trio.current_time() >= self._over_at:
            await self._fail("session_time_limit_exceeded", "The session has reached its time limit.")
        return await self._call.close(1000)

    async def _take(self, message: str | bytes) -> None:
        try:
            chunk = self._read(message)
            audio = self._audio(chunk)
        except Unusable as unusable:
            await self._fail(unusable.code, str(unusable))
        if audio:
            await self._intake.audio(audio)
        clock_ms = self._intake.clock_ms
        is_overdue = (
            not self._query.commits_itself and clock_ms - self._segment.committed_ms >= AUTO_COMMIT_MS
        )
        if chunk.commit or is_overdue:
            await self._commit()

    def _read(self, message: str | bytes) -> Chunk:
        if isinstance(message, bytes):
            raise Unusable("messages must be text")
        try:
            chunk = _decode(message)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Unusable(f"not an input_audio_chunk: {error}") from None
        if chunk.message_type != "input_audio_chunk":
            raise Unusable("message_type must be input_audio_chunk")
        if chunk.sample_rate != self._query.sample_rate:
            raise Unusable(f"sample_rate must be {self._query.sample_rate}, as in audio_format")
        if chunk.previous_text is not None and self._has_chunk:
            raise Unusable("previous_text can only be sent with the first chunk")
        if chunk.previous_text is not None and len(chunk.previous_text) > PREVIOUS_TEXT_MAX:
            raise Unusable(f"previous_text: at most {PREVIOUS_TEXT_MAX} characters")
        self._has_chunk = True
        return chunk

    def _audio(self, chunk: Chunk) -> bytes:
        try:
            audio = binascii.a2b_base64(chunk.audio_base_64, strict_mode=True)
        except ValueError:
            raise Unusable("audio_base_64 is not base64") from None
        if len(audio) * 1000 > CHUNK_MS_MAX * self._query.sample_rate * _sample_bytes(self._query):
            raise Unusable("the audio chunk is too large", code="chunk_size_exceeded")
        return audio

    async def _commit(self) -> None:
        if self._call.faults.endless:
            await self._call.stay()
        clock_ms = self._intake.clock_ms
        uncommitted_ms = clock_ms - self._segment.committed_ms
        if uncommitted_ms < COMMIT_MS_MIN:
            await self._fail(
                "commit_throttled",
                f"Commit request ignored: only {uncommitted_ms / 1000:.2f}s of uncommitted audio. "
                "You need at least 0.3s of uncommitted audio before committing.",
            )
        self._segment.ask(clock_ms)
        await self._intake.finalize()
        messages = self._segment.answer(clock_ms)
        if self._call.script is None:
            await self._say_all(messages)

    async def _tell(self, channel: int, heard: Heard) -> None:
        del channel  # there is one
        await self._say_all(self._segment.heard(heard, self._intake.clock_ms))

    async def _say_all(self, messages: Sequence[Json]) -> None:
        for message in messages:
            await self._call.say(message)

    async def _fail(self, code: str, error: str) -> NoReturn:
        await fail(self._call, code, error)


async def fail(call: Call, code: str, error: str) -> NoReturn:
    """An error, then the close with 1000 that says nothing."""
    await call.say({"message_type": code, "error": error})
    await call.close(1000, code)


class Segment:
    """What is not committed yet, and what is said about it. Synchronous."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._silence_ms = round(query.vad_silence_threshold_secs * 1000)
        self._words: list[HeardWord] = []
        """Heard for good and not committed, as they are written."""
        self._asked_ms: int | None = None
        self.committed_ms = 0
        """Audio up to here is committed."""

    def heard(self, heard: Heard, clock_ms: int) -> list[Json]:
        """An utterance grew or is over."""
        words = _dressed(heard)
        if heard.kind == "partial":
            return [_partial([*self._words, *words])]
        asked_ms = self._asked_ms
        was_cut = asked_ms is not None and not heard.is_followed_by_silence(asked_ms, self._silence_ms)
        if not self._query.commits_itself or was_cut:
            self._words += words
            return [_partial(self._words)] if asked_ms is None else []
        self.committed_ms = max(self.committed_ms, min(clock_ms, heard.end_ms + self._silence_ms))
        return self._committed(words)

    def ask(self, clock_ms: int) -> None:
        """The client wants a commit: what is told from now on was cut by it."""
        self._asked_ms = clock_ms

    def answer(self, clock_ms: int) -> list[Json]:
        """Everything has been heard: the commit that was asked for."""
        words, self._words, self._asked_ms = self._words, [], None
        self.committed_ms = clock_ms
        return self._committed(words)

    def _committed(self, words: Sequence[HeardWord]) -> list[Json]:
        text = _text(words)
        plain: Json = {"message_type": "committed_transcript", "text": text}
        if not (self._query.include_timestamps or self._query.include_language_detection):
            return [plain]
        timed: Json = {
            "message_type": "committed_transcript_with_timestamps",
            "text": text,
            "language_code": self._query.language_code or "en",
            "words": _timed(words) if self._query.include_timestamps else None,
        }
        # Seen the other way round by others, "mostly for an empty transcript".
        return [plain, timed] if text else [timed, plain]


@asynccontextmanager
async def _open_hearings(call: Call, query: Query) -> AsyncIterator[list[Segments]]:
    """One, or none where a script speaks."""
    if call.hear is None or call.script is not None:
        yield []
        return
    silence_ms = round(query.vad_silence_threshold_secs * 1000)
    endpointing_ms = silence_ms if query.commits_itself else MANUAL_ENDPOINTING_MS
    async with open_segments(call.hear, endpointing_ms=endpointing_ms) as segments:
        yield [segments]


def _started(query: Query, session_id: str) -> Json:
    """Keys as recorded in 2025-12; the SDK's types have others for some."""
    return {
        "message_type": "session_started",
        "session_id": session_id.replace("-", ""),
        "config": {
            "sample_rate": query.sample_rate,
            "audio_format": query.audio_format,
            "language_code": query.language_code,
            "timestamps_granularity": "word",
            "vad_commit_strategy": query.commit_strategy == "vad",
            "vad_silence_threshold_secs": query.vad_silence_threshold_secs,
            "vad_threshold": query.vad_threshold,
            "min_speech_duration_ms": query.min_speech_duration_ms,
            "min_silence_duration_ms": query.min_silence_duration_ms,
            "max_tokens_to_recompute": 5,
            "model_id": query.model_id,
            "disable_logging": not query.enable_logging,
            "include_timestamps": query.include_timestamps,
            "include_language_detection": query.include_language_detection,
        },
    }


def _dressed(heard: Heard) -> list[HeardWord]:
    """The words as they stand in a sentence."""
    texts = as_prose([word.text for word in heard.words], begins=True, ends=heard.kind == "final")
    return [
        HeardWord(text, word.start_ms, word.end_ms) for text, word in zip(texts, heard.words, strict=True)
    ]


def _text(words: Sequence[HeardWord]) -> str:
    return " ".join(word.text for word in words)


def _partial(words: Sequence[HeardWord]) -> Json:
    return {"message_type": "partial_transcript", "text": _text(words)}


def _timed(words: Sequence[HeardWord]) -> list[Json]:
    """Words with spaces between them."""
    entries: list[Json] = []
    for word in words:
        if entries:
            entries.append(_entry(" ", "spacing", entries[-1]["end"], word.start_ms / 1000))
        entries.append(_entry(word.text, "word", word.start_ms / 1000, word.end_ms / 1000))
    return entries


def _entry(text: str, kind: str, start: float, end: float) -> Json:
    return {"text": text, "start": start, "end": end, "type": kind, "logprob": -0.01, "speaker_id": None}


def _encoding(query: Query) -> Literal["s16le", "mulaw"]:
    return "mulaw" if query.audio_format.startswith("ulaw") else "s16le"


def _sample_bytes(query: Query) -> int:
    return 1 if _encoding(query) == "mulaw" else 2
