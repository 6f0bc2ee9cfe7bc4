"""Speechmatics' conversation, from `StartRecognition` to `EndOfTranscript`.

Guesses: which `Error` follows which mistake (the types are documented, the occasions are not), that a sequence number
larger than the number of messages is one, and what `GetSpeakers` gets without diarization. What
`SetRecognitionConfig` says about silence, and partials that were off, is remembered but does not reach the recogniser.
"""

from typing import Any, Final, NoReturn

import msgspec
import trio

from routeraudio.emulators.kit.base import Heard
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.intake import Intake, open_intake
from routeraudio.emulators.kit.sound import Undecodable
from routeraudio.emulators.speechmatics.request import BadRequest, Requested, read_changes, read_start
from routeraudio.emulators.speechmatics.speech import Speech

BROKEN_MESSAGE: Final = '{"message":"AddTranscript","format":2.9,"metadata":"none","results":{"type":7}}'

IDLE_S: Final = 3600.0
"""Without audio for this long the session is over (Limits)."""

IDLE_WARNINGS_S: Final = (900.0, 600.0, 300.0)
"""Before that, as warnings."""

SESSION_S: Final = 48 * 3600.0
"""The longest session (Limits)."""

SESSION_WARNINGS_S: Final = (2700.0, 1800.0, 900.0)
"""Before that, as warnings."""

START_S: Final = 0.02
"""What a recogniser takes to start; nothing may be sent meanwhile."""

LATE_MESSAGES_MAX: Final = 100
"""Audio after the end that is warned of; a client that goes on for ever is not listened to for ever."""

ENDPOINTING_OFF_MS: Final = 500
"""How the recogniser cuts when the client switched ends of utterances off: text must settle some time."""

CLOSES: Final = {
    "protocol_error": (1003, "protocol_error"),
    "invalid_message": (1003, "protocol_error"),
    "invalid_config": (1003, "protocol_error"),
    "invalid_audio_type": (1003, "protocol_error"),
    "idle_timeout": (1008, "policy_violation"),
    "session_timeout": (1008, "policy_violation"),
    "unknown_error": (1011, "internal_error"),
    "not_authorised": (4001, "not_authorised"),
    "not_allowed": (4003, "not_allowed"),
    "invalid_model": (4004, "invalid_model"),
    "invalid_language": (4004, "invalid_model"),
    "quota_exceeded": (4005, "quota_exceeded"),
    "timelimit_exceeded": (4006, "timelimit_exceeded"),
    "job_error": (4013, "job_error"),
}
"""Close code and reason after an `Error` (API reference)."""

Json = dict[str, Any]


async def fail(call: Call, kind: str, reason: str) -> NoReturn:
    """Say `Error`, and close."""
    await call.say({"message": "Error", "type": kind, "reason": reason})
    await call.close(*CLOSES[kind])


class Session:
    """One conversation.

    Args:
        usage: sessions at this time, this one included.
        quota: how many there may be.
    """

    def __init__(self, call: Call, *, usage: int, quota: int) -> None:
        self._call = call
        self._usage = usage
        self._quota = quota
        self._alarms = _Alarms(trio.current_time())
        self._frames = 0
        self._speech: Speech
        self._intake: Intake

    async def run(self) -> None:
        """Talk until the session is over; ends the call."""
        wish = await self._start()
        config = wish.config
        self._speech = Speech(config)
        async with open_intake(
            self._call,
            wish.format,
            endpointing_ms=config.trigger_ms or ENDPOINTING_OFF_MS,
            partials=config.enable_partials,
            tell=self._tell,
            say=self._call.say,
            broken_message=BROKEN_MESSAGE,
        ) as self._intake:
            while True:
                await self._take(await self._next())

    # The beginning.

    async def _start(self) -> Requested:
        message = _decoded(await self._next())
        if message.get("message") != "StartRecognition":
            await fail(self._call, "protocol_error", "StartRecognition must come first")
        try:
            wish = read_start(message)
        except BadRequest as bad:
            await fail(self._call, bad.kind, str(bad))
        await self._call.say(self._usage_info())
        if await self._next_within(START_S) is not None:
            await fail(self._call, "protocol_error", "nothing may be sent before RecognitionStarted")
        await self._call.say(self._started(wish))
        await self._call.say(
            {
                "message": "Info",
                "type": "recognition_quality",
                "reason": f"Running recognition using a {wish.quality} model quality.",
                "quality": wish.quality,
            }
        )
        return wish

    def _usage_info(self) -> Json:
        return {
            "message": "Info",
            "type": "concurrent_session_usage",
            "reason": f"{self._usage} concurrent sessions active out of quota {self._quota}",
            "usage": self._usage,
            "quota": self._quota,
            "last_updated": "2026-11-20T09:00:01Z",
            "region": "eu",
        }

    def _started(self, wish: Requested) -> Json:
        pack = {
            "adapted": False,
            "itn": True,
            "language_description": wish.config.language,
            "word_delimiter": wish.config.delimiter,
            "writing_direction": "left-to-right",
        }
        return {
            "message": "RecognitionStarted",
            "orchestrator_version": "2026.10.01+emulator+15.0.0",
            "id": self._call.request.id,
            "language_pack_info": pack,
        }

    # What comes in.

    async def _next(self) -> str | bytes:
        """The next message; meanwhile, warnings and the ends that they warn of."""
        while True:
            with trio.move_on_at(self._alarms.due_s):
                return await self._call.receive()
            kind, left_s = self._alarms.ring()
            if not left_s:
                await fail(self._call, kind, "Session closed")
            await self._warn(kind, f"Session will be closed in {left_s:g} s")

    async def _next_within(self, wait_s: float) -> str | bytes | None:
        with trio.move_on_after(wait_s):
            return await self._call.receive()
        return None

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            await self._audio(message)
        else:
            await self._control(_decoded(message))

    async def _audio(self, data: bytes) -> None:
        self._alarms.heard(trio.current_time())
        self._frames += 1
        try:
            await self._intake.audio(data)
        except Undecodable:
            await self._cannot_decode()
        await self._call.say({"message": "AudioAdded", "seq_no": self._frames})

    async def _control(self, message: Json) -> None:
        match message:
            case {"message": "EndOfStream", "last_seq_no": int(last)} if 0 <= last <= self._frames:
                # The vendor's SDK may count less than it has sent.
                await self._finish()
            case {"message": "EndOfStream"}:
                await fail(self._call, "protocol_error", "last_seq_no is not the number of audio messages")
            case {"message": "ForceEndOfUtterance", **rest} if _is_position(rest.get("timestamp")):
                self._speech.force(self._intake.clock_ms)
                await self._intake.finalize()
            case {"message": "SetRecognitionConfig"}:
                await self._configure(message)
            case {"message": "GetSpeakers"}:
                await self._tell_speakers()
            case {"message": "StartRecognition"}:
                await fail(self._call, "protocol_error", "recognition has started already")
            case _:
                await fail(self._call, "invalid_message", "unknown or malformed message")

    async def _configure(self, message: Json) -> None:
        try:
            self._speech.config = read_changes(message, self._speech.config)
        except BadRequest as bad:
            await fail(self._call, bad.kind, str(bad))

    async def _tell_speakers(self) -> None:
        if self._speech.config.diarization == "none":
            await self._warn("speaker_id", "diarization is off")
            return
        speakers = [{"label": "S1", "speaker_identifiers": ["emulated"]}]
        await self._call.say({"message": "SpeakersResult", "speakers": speakers})

    # The end.

    async def _finish(self) -> NoReturn:
        self._speech.is_finishing = True
        try:
            await self._intake.finish()
        except Undecodable:
            await self._cannot_decode()
        await self._wave_off()
        await self._call.say({"message": "EndOfTranscript"})
        await self._call.close(1000)

    async def _wave_off(self) -> None:
        """Audio behind `EndOfStream` is warned of and ignored."""
        for _ in range(LATE_MESSAGES_MAX):
            message = await self._next_within(START_S)
            if message is None:
                return
            if isinstance(message, bytes):
                await self._warn("add_audio_after_eos", "audio after EndOfStream is ignored")

    async def _cannot_decode(self) -> NoReturn:
        await fail(self._call, "invalid_audio_type", "the audio cannot be decoded")

    async def _warn(self, kind: str, reason: str) -> None:
        await self._call.say({"message": "Warning", "type": kind, "reason": reason})

    async def _tell(self, channel: int, heard: Heard) -> None:
        del channel  # there is one
        for message in self._speech.heard(heard, self._intake.clock_ms):
            await self._call.say(message)


class _Alarms:
    """When silence or the session itself has lasted too long, and what is said before."""

    def __init__(self, now_s: float) -> None:
        self._session = [(now_s + SESSION_S - left_s, left_s) for left_s in (*SESSION_WARNINGS_S, 0.0)]
        self._idle: list[tuple[float, float]] = []
        self.heard(now_s)

    @property
    def due_s(self) -> float:
        """When the next one rings."""
        return min(self._idle[0][0], self._session[0][0])

    def heard(self, now_s: float) -> None:
        """Audio came."""
        self._idle = [(now_s + IDLE_S - left_s, left_s) for left_s in (*IDLE_WARNINGS_S, 0.0)]

    def ring(self) -> tuple[str, float]:
        """What the next one is about, and how many seconds are left."""
        if self._idle[0] <= self._session[0]:
            return "idle_timeout", self._idle.pop(0)[1]
        return "session_timeout", self._session.pop(0)[1]


def _decoded(message: str | bytes) -> Json:
    """A text message's object; empty for everything else."""
    if isinstance(message, bytes):
        return {}
    try:
        return msgspec.json.decode(message, type=Json)
    except (msgspec.DecodeError, RecursionError):
        return {}


def _is_position(value: object) -> bool:
    """Seconds from the start of the audio; they may be left out."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0)
