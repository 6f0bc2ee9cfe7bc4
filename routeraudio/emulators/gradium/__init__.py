"""Gradium's speech recognition, `/api/speech/asr`.

Written from the SDK 0.6.4, docs.gradium.ai (2026) and public notes of live sessions (2026-06). An utterance of the
recogniser is told word by word when it is over, since Gradium never takes text back. Voice activity is what the
recogniser shows of it: active from its first partial to its final.

What trips clients up is done on purpose: the first readings and those behind a flush say "active" in any silence, the
last word before a flush comes behind `flushed`, four horizons are told where three are documented, and a session is
ended at 300 s whatever it does.

Keys: any but those that begin with `bad`; `fault-…` asks for a fault (see `faults`). Guesses, marked so: most wordings,
that a bad key is told before `setup`, that messages of unknown types and fields of `setup` that nobody documents are
errors, and what follows `end_of_stream` with `close_ws_on_eos` false. Not done: translation, several requests on
one socket, the model's delay (`ready` names it; the recogniser has its own).
"""

import base64
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec
import trio

from routeraudio.emulators.kit.base import Admission, Heard, Refusal, Request, any_key_but_bad
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service
from routeraudio.emulators.kit.intake import Intake, open_intake
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.kit.sound import ContainerFormat, Format, RawFormat, Undecodable

SESSION_S: Final = 300.0
"""A session's life by the clock on the wall, silent or not (Limits page; observed live)."""

STEP_MS: Final = 80
"""Of audio, between `step` messages."""

DELAY_FRAMES: Final = 10
"""Default of `delay_in_frames`."""

UTTERANCE_MS: Final = 300
"""Silence after which the recogniser tells what it heard: soon, as Gradium's text comes 0.8 s behind the audio."""

LOW_STEPS: Final = 5
"""Readings at the beginning, and behind a flush, that say "active" whatever is heard."""

FLUSH_S: Final = 1.0
"""For the recogniser to come out with the open utterance."""

POLICY: Final = 1008

BROKEN_MESSAGE: Final = '{"type":"text","text":42,"start_s":"soon","stream_id":[]}'

Json = dict[str, Any]

InputFormat = Literal[
    "pcm",
    "pcm_8000",
    "pcm_16000",
    "pcm_22050",
    "pcm_24000",
    "pcm_44100",
    "pcm_48000",
    "wav",
    "opus",
    "ulaw_8000",
    "mulaw_8000",
    "alaw_8000",
]

Frames = Literal[7, 8, 10, 12, 14, 16, 20, 24, 32, 36, 48]


# What clients send.


class Keywords(msgspec.Struct):
    """Words to listen for."""

    words: Annotated[list[str], msgspec.Meta(max_length=500)] = []
    boost: float | None = None


class Settings(msgspec.Struct):
    """`json_config`; unknown keys are ignored, as documented."""

    language: Literal["en", "fr", "de", "es", "pt", "any"] | None = None
    delay_in_frames: Frames | None = None
    delay_in_tokens: Frames | None = None
    """The older name."""
    temp: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    keywords: Keywords | None = None


class Setup(msgspec.Struct, tag="setup", forbid_unknown_fields=True):
    """The first message."""

    model_name: Literal["default"] = "default"
    input_format: InputFormat = "wav"
    json_config: Settings | str | None = None
    """An object, or (the official SDKs) JSON in a string."""
    client_req_id: str | None = None
    close_ws_on_eos: bool = True


class Audio(msgspec.Struct, tag="audio"):
    """A piece of it in base64."""

    audio: str


class Flush(msgspec.Struct, tag="flush"):
    """Decode all there is; the id comes back as it was."""

    flush_id: int | str = 0


class EndOfStream(msgspec.Struct, tag="end_of_stream"):
    """No more audio."""


_decode_setup = msgspec.json.Decoder(Setup).decode
_decode_settings = msgspec.json.Decoder(Settings).decode
_decode = msgspec.json.Decoder(Audio | Flush | EndOfStream).decode

_BROKEN: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises for anything that is not what was expected."""


class Gradium:
    """The vendor.

    Args:
        accepts: which keys and tokens are good.
        session_s: see `SESSION_S`; shorter for tests in real time.
    """

    name: Final = "gradium"
    broken_message: Final = BROKEN_MESSAGE

    def __init__(
        self, *, accepts: Callable[[str], bool] = any_key_but_bad, session_s: float = SESSION_S
    ) -> None:
        self._accepts = accepts
        self._session_s = session_s

    def key(self, request: Request) -> str | None:
        """The header `x-api-key`, or a browser's `?token=`."""
        token = next((value for name, value in request.params if name == "token"), None)
        return request.header("x-api-key") or token

    def admit(self, request: Request) -> Admission | Refusal:
        """Only the path is refused here: a bad key is told over the WebSocket."""
        if request.path != "/api/speech/asr":
            return self.refuse(request, 404)
        key = self.key(request)
        is_known = key is not None and self._accepts(key)
        return Admission(lambda call: Transcription(call, is_known=is_known, session_s=self._session_s).run())

    def refuse(self, request: Request, status: int) -> Refusal:  # noqa: ARG002 — no request id is known
        """Plain text, as the vendor's REST side answers. The wording is a guess."""
        words = f"error from server {POLICY if status < 500 else 1011}: HTTP {status}"
        return Refusal(status, words.encode(), (("content-type", "text/plain"),))


class Transcription:
    """One conversation.

    Args:
        is_known: whether the key is good.
        session_s: after this long the session is ended, whatever it does.
    """

    def __init__(self, call: Call, *, is_known: bool, session_s: float) -> None:
        self._call = call
        self._is_known = is_known
        self._session_s = session_s
        self._deadline = 0.0
        self._setup = Setup()
        self._stepped_ms = 0
        self._low_until_ms = LOW_STEPS * STEP_MS
        self._is_speaking = False
        self._has_settled = trio.Event()
        self._is_flushing = False
        self._stragglers: list[Json] = []
        self._intake: Intake

    async def run(self) -> None:
        """Talk until the stream is over; ends the call."""
        self._deadline = trio.current_time() + self._session_s
        if not self._is_known:
            await self._fail("Invalid or revoked API key")
        await self._say(self._ready(await self._begin()))
        async with open_intake(
            self._call,
            _format(self._setup.input_format),
            endpointing_ms=UTTERANCE_MS,
            partials=True,
            tell=self._tell,
            say=self._say,
            broken_message=BROKEN_MESSAGE,
        ) as self._intake:
            while True:
                await self._take(await self._next())

    async def _next(self) -> str:
        """The next message, before the session's time is over."""
        message: str | bytes | None = None
        with trio.move_on_at(self._deadline):
            message = await self._call.receive()
        if message is None:
            await self._fail("Session exceeded maximum duration")
        if isinstance(message, bytes):
            await self._fail("binary messages are not understood; send JSON")
        return message

    async def _begin(self) -> Settings:
        text = await self._next()
        try:
            self._setup = _decode_setup(text)
            config = self._setup.json_config
            return _decode_settings(config) if isinstance(config, str) else config or Settings()
        except _BROKEN as error:
            await self._fail(f"the first message must be a setup: {error}")

    def _ready(self, settings: Settings) -> Json:
        return {
            "type": "ready",
            "request_id": self._call.request.id,
            "model_name": self._setup.model_name,
            "sample_rate": 24000,
            "frame_size": 1920,
            "delay_in_frames": settings.delay_in_frames or settings.delay_in_tokens or DELAY_FRAMES,
            "text_stream_names": [],
        }

    async def _take(self, text: str) -> None:
        try:
            message = _decode(text)
        except _BROKEN as error:
            await self._fail(f"not a message that is understood here: {error}")
        match message:
            case Audio(audio=audio):
                await self._audio(audio)
            case Flush(flush_id=flush_id):
                await self._flush(flush_id)
            case EndOfStream():
                await self._finish()

    async def _audio(self, audio: str) -> None:
        try:
            data = base64.b64decode(audio, validate=True)
        except ValueError:
            await self._fail("audio is not base64")
        try:
            await self._intake.audio(data)
        except Undecodable:
            await self._fail(f"audio is not {self._setup.input_format}")
        while self._call.script is None and self._intake.clock_ms - self._stepped_ms >= STEP_MS:
            self._stepped_ms += STEP_MS
            await self._say(self._step())

    def _step(self) -> Json:
        is_active = self._is_speaking or self._stepped_ms <= self._low_until_ms
        # Nobody can be sure of the farther future: the longer the horizon, the nearer to "who knows".
        readings = [
            {
                "horizon_s": horizon_s,
                "inactivity_prob": (0.04 + 0.02 * horizon_s) if is_active else 0.96 - 0.02 * horizon_s,
            }
            for horizon_s in (0.5, 1.0, 2.0, 3.0)
        ]
        return {
            "type": "step",
            "vad": readings,
            "step_idx": self._stepped_ms // STEP_MS,
            "step_duration_s": STEP_MS / 1000,
            "total_duration_s": self._stepped_ms / 1000,
        }

    async def _flush(self, flush_id: int | str) -> None:
        self._is_flushing = True
        await self._intake.finalize()
        await trio.lowlevel.checkpoint()  # a recogniser that had it ready tells it now
        if self._is_speaking:
            with trio.move_on_after(FLUSH_S):
                await self._has_settled.wait()
        self._is_flushing = False
        self._low_until_ms = self._stepped_ms + LOW_STEPS * STEP_MS
        await self._say({"type": "flushed", "flush_id": flush_id})
        stragglers, self._stragglers = self._stragglers, []
        for message in stragglers:
            await self._say(message)

    async def _finish(self) -> NoReturn:
        try:
            await self._intake.finish()
        except Undecodable:
            await self._fail(f"audio is not {self._setup.input_format}")
        await self._say({"type": "end_of_stream"})
        if self._setup.close_ws_on_eos:
            await self._call.close(1000)
        await self._next()
        await self._fail("another request on the same socket is not emulated")

    async def _tell(self, channel: int, heard: Heard) -> None:
        del channel  # Gradium is mono
        if not heard.words:
            return
        if not self._is_speaking:
            self._is_speaking, self._has_settled = True, trio.Event()
        if heard.kind == "partial":
            return
        messages = list(_fragments(heard))
        if self._is_flushing:
            messages, self._stragglers = messages[:-2], [*self._stragglers, *messages[-2:]]
        for message in messages:
            await self._say(message)
        self._is_speaking = False
        self._has_settled.set()

    async def _fail(self, message: str) -> NoReturn:
        await self._say({"type": "error", "message": message, "code": POLICY})
        await self._call.close(POLICY, "policy violation")

    async def _say(self, message: Json) -> None:
        if self._setup.client_req_id is not None:
            message = {**message, "client_req_id": self._setup.client_req_id}
        await self._call.say(message)


def _fragments(heard: Heard) -> list[Json]:
    """`text` and `end_text`, word by word."""
    shown = as_prose([word.text for word in heard.words], begins=True, ends=True)
    messages: list[Json] = []
    for word, text in zip(heard.words, shown, strict=True):
        messages.append({"type": "text", "text": text, "start_s": word.start_ms / 1000, "stream_id": None})
        messages.append({"type": "end_text", "stop_s": word.end_ms / 1000, "stream_id": None})
    return messages


def _format(input_format: InputFormat) -> Format:
    match input_format:
        case "wav":
            return ContainerFormat(("wav",))
        case "opus":
            return ContainerFormat(("ogg",))
        case "pcm":
            return RawFormat(encoding="s16le", sample_rate=24000)
        case "ulaw_8000" | "mulaw_8000":
            return RawFormat(encoding="mulaw", sample_rate=8000)
        case "alaw_8000":
            return RawFormat(encoding="alaw", sample_rate=8000)
    return RawFormat(encoding="s16le", sample_rate=int(input_format.removeprefix("pcm_")))


serve: Final = Service(Gradium)
"""Runs the emulator; see `Service`."""
