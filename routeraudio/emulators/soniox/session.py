"""A Soniox stream, from behind its first message to its end.

What is heard becomes tokens, pieces of words. A partial is a message of tokens that are not final; a final comes in
two messages, its last word still open in the first. The tokens that are open are repeated in every message,
as with the real service, whose messages void what they do not repeat.

Guesses: that keepalives hold a stream before its first audio too, that `<fin>` also comes when there is nothing to
finalize (after `FINALIZED_S`), that an utterance which the end of the audio closed has no `<end>`, what errors
are when the audio cannot be decoded, and how often there is a message. Not emulated: "Input too slow".
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

import msgspec
import trio

from routeraudio.emulators.kit.base import Heard, HeardWord
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.intake import Intake, open_intake
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.kit.sound import Undecodable
from routeraudio.emulators.soniox.request import Start, Wrong, invalid

BROKEN_MESSAGE: Final = '{"tokens":"none","final_audio_proc_ms":"soon","total_audio_proc_ms":[],"finished":7}'

PROGRESS_MS: Final = 240
"""Of audio, between messages that say nothing new."""

PIECE_LETTERS: Final = 4
"""Longer words come as two tokens."""

FINALIZED_S: Final = 1.0
"""After a `finalize`, until it is clear that there was nothing to finalize."""

SETTLE_MS: Final = 500
"""How the recogniser cuts when the client wants no endpoints: text must settle some time."""

Json = dict[str, Any]


async def fail(call: Call, wrong: Wrong) -> NoReturn:
    """Tell an error; the close behind it is a normal one."""
    await call.say(error(wrong, call.request.id))
    await call.close(1000)


def error(wrong: Wrong, request_id: str) -> Json:
    """The body of an error, as message and as HTTP answer."""
    return {
        "tokens": [],
        "error_code": wrong.code,
        "error_type": wrong.kind,
        "error_message": str(wrong),
        "more_info": f"https://soniox.com/docs/api-reference/errors#{wrong.kind}",
        "request_id": request_id,
    }


class _Keepalive(msgspec.Struct, tag="keepalive"):
    pass


class _Finalize(msgspec.Struct, tag="finalize"):
    trailing_silence_ms: int | None = None


_control: Final = msgspec.json.Decoder(_Keepalive | _Finalize).decode


class Stream:
    """One conversation.

    Args:
        idle_s: without audio or keepalive for this long the stream is over.
        session_s: and after this long in any case.
    """

    def __init__(self, call: Call, start: Start, *, idle_s: float, session_s: float) -> None:
        self._call = call
        self._start = start
        self._idle_s = idle_s
        self._ends_at = trio.current_time() + session_s
        self._idle_at = trio.current_time() + idle_s
        self._finalized_at = float("inf")
        self._speech = Speech(start)
        self._told_ms = 0
        self._intake: Intake

    async def run(self) -> None:
        """Talk until the stream is over; ends the call."""
        has_endpoints = self._start.enable_endpoint_detection
        async with open_intake(
            self._call,
            self._start.format,
            endpointing_ms=self._start.endpoint_delay_ms if has_endpoints else SETTLE_MS,
            partials=True,
            tell=self._tell,
            say=self._call.say,
            broken_message=BROKEN_MESSAGE,
        ) as self._intake:
            while True:
                await self._take(await self._next())

    async def _next(self) -> str | bytes:
        while True:
            with trio.move_on_at(min(self._ends_at, self._idle_at, self._finalized_at)):
                return await self._call.receive()
            await self._run_out()

    async def _run_out(self) -> None:
        now = trio.current_time()
        if now >= self._ends_at:
            await fail(self._call, Wrong(413, "max_duration_reached", "Maximum stream duration reached."))
        if now >= self._idle_at:
            is_first = not self._call.record.audio_bytes
            message = "Timed out while waiting for the first audio chunk" if is_first else "Request timeout."
            await fail(self._call, Wrong(408, "request_timeout", message))
        self._finalized_at = float("inf") if not self._speech.is_open else now + FINALIZED_S
        if not self._speech.is_open:
            await self._say_all(self._speech.finalized(self._intake.clock_ms))

    async def _take(self, message: str | bytes) -> None:
        self._idle_at = trio.current_time() + self._idle_s
        if not message:
            await self._finish()
        elif isinstance(message, bytes):
            await self._audio(message)
        else:
            await self._obey(message)

    async def _audio(self, data: bytes) -> None:
        try:
            await self._intake.audio(data)
        except Undecodable:
            await self._fail_to_decode()
        if self._is_heard and self._intake.clock_ms - self._told_ms >= PROGRESS_MS:
            self._told_ms = self._intake.clock_ms
            await self._call.say(self._speech.message((), self._told_ms))

    async def _obey(self, text: str) -> None:
        try:
            control = _control(text)
        except msgspec.ValidationError:
            await fail(self._call, invalid("Control request invalid type."))
        except (msgspec.DecodeError, RecursionError):
            await fail(self._call, invalid("Control request is malformed."))
        if isinstance(control, _Finalize):
            if self._is_heard:
                self._speech.finalize(self._intake.clock_ms)
                self._finalized_at = trio.current_time() + FINALIZED_S
            await self._intake.finalize()

    async def _finish(self) -> NoReturn:
        if not self._call.record.audio_bytes:
            await fail(self._call, invalid("No audio received."))
        self._speech.is_finishing = True
        try:
            await self._intake.finish()
        except Undecodable:
            await self._fail_to_decode()
        await self._say_all(self._speech.finalized(self._intake.clock_ms))
        await self._call.say(self._speech.last(self._intake.clock_ms))
        await self._call.close(1000)

    async def _fail_to_decode(self) -> NoReturn:
        if self._start.audio_format == "auto":
            await fail(self._call, Wrong(408, "request_timeout", "Audio data decode timeout"))
        await fail(self._call, invalid("Audio decode error"))

    @property
    def _is_heard(self) -> bool:
        """Whether anybody listens: a script says everything itself."""
        return self._call.script is None

    async def _tell(self, _channel: int, heard: Heard) -> None:
        await self._say_all(self._speech.heard(heard, self._intake.clock_ms))

    async def _say_all(self, messages: Iterator[Json]) -> None:
        for message in messages:
            await self._call.say(message)


class Speech:
    """What is said. Synchronous: heard things and the audio clock in, messages out."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.is_finishing = False
        """The end was asked for: a final that it cut is no endpoint."""
        self._open: list[Json] = []
        """Tokens that are not final, repeated in every message."""
        self._final_ms = 0
        self._total_ms = 0
        self._is_begun = False
        self._asked_ms: int | None = None
        """When `finalize` came, while a `<fin>` is owed for it."""

    @property
    def is_open(self) -> bool:
        """Whether there are words that are not final."""
        return bool(self._open)

    def heard(self, heard: Heard, clock_ms: int) -> Iterator[Json]:
        """An utterance grew or is over."""
        words = self._words(heard.words)
        if not words:
            return
        if heard.kind == "partial":
            self._open = [_guessed(token) for word in words for token in word]
            yield self.message((), clock_ms)
            return
        was_asked, is_endpoint = self._closing(heard, clock_ms)
        settled = [token for word in words[:-1] for token in word]
        if settled:
            self._open = [_guessed(token) for token in words[-1]]
            self._final_ms = settled[-1]["end_ms"]
            yield self.message(settled, clock_ms)
        self._open = []
        self._final_ms = max(self._final_ms, heard.end_ms)
        self._is_begun = True
        last = [*words[-1], self._token(".", heard.end_ms, heard.end_ms)]
        last += [_control_token("<end>")] if is_endpoint else []
        last += self._owed() if was_asked else []
        yield self.message(last, clock_ms)

    def finalize(self, clock_ms: int) -> None:
        """The client asked for finals now."""
        self._asked_ms = clock_ms

    def finalized(self, clock_ms: int) -> Iterator[Json]:
        """The `<fin>` that is still owed: there was nothing to finalize."""
        owed = self._owed()
        if owed:
            yield self.message(owed, clock_ms)

    def last(self, clock_ms: int) -> Json:
        """Everything is final."""
        self._open = []
        self._final_ms = clock_ms
        return self.message((), clock_ms) | {"finished": True}

    def message(self, finals: Sequence[Json], clock_ms: int) -> Json:
        """Final tokens come first."""
        self._total_ms = max(self._total_ms, self._final_ms, clock_ms)
        return {
            "tokens": [*finals, *self._open],
            "final_audio_proc_ms": self._final_ms,
            "total_audio_proc_ms": self._total_ms,
        }

    def _owed(self) -> list[Json]:
        is_owed, self._asked_ms = self._asked_ms is not None, None
        return [_control_token("<fin>")] if is_owed else []

    def _closing(self, heard: Heard, clock_ms: int) -> tuple[bool, bool]:
        """Whether a `finalize` closed it, and whether silence did."""
        was_asked = self._is_cut(heard, self._asked_ms)
        was_cut = was_asked or self._is_cut(heard, clock_ms if self.is_finishing else None)
        return was_asked, bool(self._start.enable_endpoint_detection) and not was_cut

    def _is_cut(self, heard: Heard, asked_ms: int | None) -> bool:
        if asked_ms is None or heard.start_ms >= asked_ms:
            return False
        return not heard.is_followed_by_silence(asked_ms, self._start.endpoint_delay_ms)

    def _words(self, words: Sequence[HeardWord]) -> list[list[Json]]:
        """Each word's tokens; only the stream's first word has no space before it."""
        dressed = as_prose([word.text for word in words], begins=True, ends=False)
        return [
            self._pieces(word, text if index == 0 and not self._is_begun else f" {text}")
            for index, (word, text) in enumerate(zip(words, dressed, strict=True))
        ]

    def _pieces(self, word: HeardWord, text: str) -> list[Json]:
        if len(text) <= PIECE_LETTERS:
            return [self._token(text, word.start_ms, word.end_ms)]
        middle_ms = (word.start_ms + word.end_ms) // 2
        return [
            self._token(text[:PIECE_LETTERS], word.start_ms, middle_ms),
            self._token(text[PIECE_LETTERS:], middle_ms, word.end_ms),
        ]

    def _token(self, text: str, start_ms: int, end_ms: int) -> Json:
        token: Json = {
            "text": text,
            "start_ms": start_ms,
            "end_ms": end_ms,
            "confidence": 0.97,
            "is_final": True,
        }
        if self._start.enable_speaker_diarization:
            token["speaker"] = "1"
        if self._start.enable_language_identification:
            token["language"] = "en"
        return token


def _guessed(token: Json) -> Json:
    return token | {"is_final": False, "confidence": 0.8}


def _control_token(text: str) -> Json:
    """With useless times, as seen; others have real ones or none."""
    return {"text": text, "start_ms": 0, "end_ms": 0, "confidence": 1.0, "is_final": True}
