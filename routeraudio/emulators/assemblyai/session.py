"""AssemblyAI `/v3/ws`: one session, turn by turn.

An utterance of the recogniser is a turn. What the models decide by what was said is decided by silence here. Guesses:
how many short messages are borne exactly, how far audio may run ahead of real time, what is said about audio that
cannot be decoded, and that `whisper-rt` formats turns as the English model does. `Silence`, `LLMGatewayResponse` and
noises in brackets are never sent; settings of `UpdateConfiguration` are checked and, but for `format_turns`, forgotten.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
import trio

from routeraudio.emulators.assemblyai.query import BadQuery, Query, check_update
from routeraudio.emulators.kit.base import Heard, HeardWord
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.intake import Intake, open_intake
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.kit.sound import ContainerFormat, Format, PacketFormat, RawFormat, Undecodable

BROKEN_MESSAGE: Final = (
    '{"turn_order":"first","end_of_turn":"perhaps","transcript":42,"words":"none","type":"Turn"}'
)

REASON: Final = "See Error message for details"
"""Of the close behind every `Error`."""

ERROR_S: Final = 0.18
"""Between an `Error` and its close (measured by others)."""

SESSION_S: Final = 10_800.0

FRAME_MS: Final = (50, 1000)
"""What a message of raw audio may hold."""

SHORT_FRAMES_MAX: Final = 48
"""The session survived about as many (recorded 2026-09-24), a last one before `Terminate` among them."""

MESSAGE_BYTES_MAX: Final = 131_072

LEAD_MS: Final = 10_000
"""How far audio may run ahead of real time. Seven seconds at ten times the speed were accepted; where it ends is a
guess."""

HEARTBEAT_S: Final = 5.0

Json = dict[str, Any]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a session may not exceed."""

    session_s: float = SESSION_S
    lead_ms: int = LEAD_MS


class Session:
    """One conversation."""

    def __init__(self, call: Call, query: Query, limits: Limits) -> None:
        self._call = call
        self._query = query
        self._limits = limits
        self._turns = Turns(query)
        self._began_s = 0.0
        self._active_s = 0.0
        """Time of the last audio or `KeepAlive`."""
        self._heartbeat_s = math.inf
        self._short_frames = 0
        self._intake: Intake

    async def run(self) -> None:
        """Talk until the session is over; ends the call."""
        self._began_s = self._active_s = trio.current_time()
        if self._query.session_heartbeat:
            self._heartbeat_s = self._began_s + HEARTBEAT_S
        await self._call.say(self._begin())
        async with open_intake(
            self._call,
            _format(self._query),
            endpointing_ms=self._query.silence_ms,
            partials=True,
            tell=self._tell,
            say=self._call.say,
            broken_message=BROKEN_MESSAGE,
        ) as self._intake:
            while True:
                await self._take(await self._next())

    def _begin(self) -> Json:
        configuration = {
            "model": self._query.speech_model,
            "mode": (self._query.mode or "balanced") if self._query.is_pro else None,
            "api_version": "2025-05-12",
            "speaker_labels": self._query.speaker_labels,
            "redact_pii": False,
            "filter_profanity": False,
            "domain": None,
            "voice_focus": None,
        }
        expires_at = int(time.time() + self._limits.session_s)
        return {
            "type": "Begin",
            "id": self._call.request.id,
            "expires_at": expires_at,
            "configuration": configuration,
        }

    async def _next(self) -> str | bytes:
        """The next message; while there is none, the clock."""
        while True:
            end_s = self._began_s + self._limits.session_s
            idle_s = self._active_s + (self._query.inactivity_timeout or math.inf)
            with trio.move_on_at(min(end_s, idle_s, self._heartbeat_s)):
                return await self._call.receive()
            now_s = trio.current_time()
            if now_s >= end_s:
                await fail(self._call, 3008, "Session expired: maximum session duration exceeded")
            if now_s >= idle_s:
                await fail(self._call, 3006, "Session terminated due to inactivity")
            await self._call.say(self._heartbeat(now_s))

    def _heartbeat(self, now_s: float) -> Json:
        self._heartbeat_s = now_s + HEARTBEAT_S
        duration_ms = round((now_s - self._began_s) * 1000)
        return {
            "type": "Heartbeat",
            "total_audio_received_ms": self._intake.clock_ms,
            "total_duration_ms": duration_ms,
            "realtime_factor": round(self._intake.clock_ms / duration_ms, 2),
            "max_speech_probability": 0.98,
        }

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._control(message)
        else:
            await self._audio(message)

    async def _audio(self, data: bytes) -> None:
        self._active_s = trio.current_time()
        if len(data) > MESSAGE_BYTES_MAX:
            await self._call.close(1009)
        if self._query.is_raw:
            await self._check_frame(len(data) * 1000 / self._query.bytes_per_second)
        try:
            await self._intake.audio(data)
        except Undecodable:
            await fail(self._call, 3006, "The audio cannot be decoded")
        passed_ms = (trio.current_time() - self._began_s) * 1000
        if self._intake.clock_ms > passed_ms + self._limits.lead_ms:
            await fail(self._call, 3007, "Audio Transmission Rate Exceeded")

    async def _check_frame(self, frame_ms: float) -> None:
        least_ms, most_ms = FRAME_MS
        self._short_frames += frame_ms < least_ms
        if frame_ms > most_ms or self._short_frames > SHORT_FRAMES_MAX:
            said = f"Input Duration Violation: {frame_ms:g} ms. Expected between {least_ms} and {most_ms} ms"
            await fail(self._call, 3007, said)

    async def _control(self, text: str) -> None:
        match _decode(text):
            case {"type": "Terminate"}:
                await self._finish()
            case {"type": "ForceEndpoint"}:
                await self._intake.finalize()
            case {"type": "KeepAlive"}:
                self._active_s = trio.current_time()
            case {"type": "UpdateConfiguration"} as settings:
                await self._update(settings)
            case {"type": str(kind)}:
                await fail(self._call, 3006, f"Invalid Message Type: {kind}")
            case _:
                await fail(self._call, 3006, "Invalid JSON")

    async def _update(self, settings: Mapping[str, Any]) -> None:
        """There is no acknowledgement."""
        try:
            check_update(settings)
        except BadQuery as bad:
            await fail(self._call, 3006, str(bad))
        except OverflowError:
            await fail(self._call, 3005, "Session Cancelled: An error occurred")
        self._turns.is_formatted = settings.get("format_turns", self._turns.is_formatted)

    async def _finish(self) -> NoReturn:
        try:
            await self._intake.finish()
        except Undecodable:
            await fail(self._call, 3006, "The audio cannot be decoded")
        if self._call.script is None:
            for message in self._turns.rest():
                await self._call.say(message)
        audio_s = math.ceil(self._intake.clock_ms / 1000)
        session_s = math.ceil(trio.current_time() - self._began_s)
        durations = {"audio_duration_seconds": audio_s, "session_duration_seconds": session_s}
        await self._call.say({"type": "Termination", **durations})
        await self._call.close(1000, "Session Ended")

    async def _tell(self, channel: int, heard: Heard) -> None:
        del channel  # mono only
        for message in self._turns.heard(heard):
            await self._call.say(message)


class Turns:
    """The open turn and what is said about it. Synchronous."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._order = 0
        self._is_open = False
        self.is_formatted = query.format_turns
        """`format_turns` as it stands now."""

    def heard(self, heard: Heard) -> list[Json]:
        """An utterance grew or is over."""
        if not heard.words:
            return []
        messages = [] if self._is_open else self._opened(heard)
        self._is_open = heard.kind == "partial"
        if self._is_open:
            return [*messages, self._partial(heard)] if self._query.include_partial_turns else messages
        messages += self._finals(heard)
        self._order += 1
        return messages

    def rest(self) -> list[Json]:
        """Behind the last final: an empty one (recorded with the English model), and the speakers once more."""
        if not self._query.is_pro:
            return [self._turn("", [], is_end=True)]
        return [{"type": "SpeakerRevision", "revisions": []}] if self._query.speaker_labels else []

    def _opened(self, heard: Heard) -> list[Json]:
        if not self._query.is_pro:
            return []
        return [{"type": "SpeechStarted", "timestamp": heard.start_ms, "confidence": 0.93}]

    def _partial(self, heard: Heard) -> Json:
        plain = [word.text for word in heard.words]
        if self._query.is_pro:
            shown = as_prose(plain, begins=True, ends=False)
            return self._turn(" ".join(shown), _words(heard.words, shown, settled=0))
        settled = len(plain) - 1  # the last word is pending, and not in the transcript
        return self._turn(" ".join(plain[:settled]), _words(heard.words, plain, settled=settled))

    def _finals(self, heard: Heard) -> list[Json]:
        plain = [word.text for word in heard.words]
        shown = as_prose(plain, begins=True, ends=True)
        words = _words(heard.words, shown, settled=len(shown))
        formatted = self._final(" ".join(shown), words, is_formatted=True)
        if self._query.is_pro:
            return [formatted]
        if self._query.speech_model == "universal-streaming-multilingual":
            return [self._final(" ".join(shown), words)]  # formats as it goes, and says that it does not
        # As recorded: a final without words, and `utterance` in one message of a turn only.
        unformatted = self._final(" ".join(plain), [])
        return [unformatted, {**formatted, "utterance": ""}] if self.is_formatted else [unformatted]

    def _final(self, text: str, words: list[Json], *, is_formatted: bool = False) -> Json:
        more: Json = {}
        if self._query.speaker_labels:
            more |= {"speaker_label": "A", "speaker_confidence": 0.62}
            for word in words:
                word |= {"speaker": "A" if word is not words[-1] else "PENDING", "speaker_confidence": 0.81}
        if self._query.language_detection:
            more |= {"language_code": "en", "language_confidence": 0.99}
        return self._turn(text, words, is_end=True, is_formatted=is_formatted, **more)

    def _turn(
        self, text: str, words: list[Json], *, is_end: bool = False, is_formatted: bool = False, **more: Any
    ) -> Json:
        return {
            "turn_order": self._order,
            "turn_is_formatted": is_formatted or self._query.is_pro,
            "end_of_turn": is_end,
            "transcript": text,
            "end_of_turn_confidence": 1.0 if is_end else 0.0,
            "words": words,
            "utterance": text if is_end else "",
            **more,
            "type": "Turn",
        }


async def fail(call: Call, code: int, said: str) -> NoReturn:
    """An `Error`, then a close with its code. No `Termination` follows."""
    await call.say({"type": "Error", "error_code": code, "error": said})
    await trio.sleep(ERROR_S)
    await call.close(code, REASON)


def _words(words: Sequence[HeardWord], shown: Sequence[str], *, settled: int) -> list[Json]:
    return [
        {
            "start": word.start_ms,
            "end": word.end_ms,
            "text": text,
            "confidence": 0.99,
            "word_is_final": index < settled,
        }
        for index, (word, text) in enumerate(zip(words, shown, strict=True))
    ]


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _format(query: Query) -> Format:
    match query.encoding:
        case "opus":
            return PacketFormat()
        case "ogg_opus":
            return ContainerFormat(("ogg",))
        case "aac":
            return ContainerFormat(("aac",))
    encoding: Final = "s16le" if query.encoding == "pcm_s16le" else "mulaw"
    return RawFormat(encoding=encoding, sample_rate=query.sample_rate)
