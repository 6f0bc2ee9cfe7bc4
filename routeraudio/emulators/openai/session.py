"""What is said in an OpenAI transcription session.

Written from OpenAPI 2.3.0, SDK 3.52, the guides and recorded messages (2026-11). Live models send deltas while audio
comes and finish a turn when it is committed; the others send a turn's text after it was committed, by their own
detector or by the client. Deltas are append-only, so of what a recogniser may still change the last word is kept back,
and a changed mind shows only in `transcript`.

Guesses: what follows a binary message, broken base64 and other broken events (an error, and the session goes on);
`speech_stopped` does not precede the answer to a client's commit. `segment` messages of the diarizing model and log
probabilities are left out. The fault `endless`: nothing is said any more after the first message that is not audio.
"""

from base64 import b64decode
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec
import trio

from routeraudio.emulators.kit.base import Heard
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.intake import Intake
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.kit.sound import open_sound
from routeraudio.emulators.openai.hearing import Ears
from routeraudio.emulators.openai.settings import BadField, Json, Settings

TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"

BROKEN_MESSAGE: Final = (
    f'{{"type":"{TRANSCRIPTION}.completed","item_id":7,"content_index":"first","transcript":[]}}'
)

COMMIT_MS_MIN: Final = 100
"""Less audio than this cannot be committed."""

UNCUT_MS: Final = 10_000
"""Where nobody asked for turns the recogniser cuts as late as it can; its pieces are joined."""

_EVENT_ID_MAX: Final = 512

_FIELDS: Final = {
    "session.update": ("session",),
    "input_audio_buffer.append": ("audio",),
    "input_audio_buffer.commit": (),
    "input_audio_buffer.clear": (),
}
"""Client events and their fields beside `type` and `event_id`."""


class Turn:
    """The item in the buffer."""

    def __init__(self, number: int) -> None:
        self.id: Final = f"item_{number}"
        self.has_started = False
        self.told: list[str] = []
        """Words sent in deltas."""
        self.words: list[str] = []
        """Words that will not change."""


class Realtime:
    """One conversation.

    Args:
        session_s: how long it may last; the vendor's number is an hour.
    """

    def __init__(self, call: Call, *, session_s: float) -> None:
        self._call = call
        self._session_s = session_s
        self._settings = Settings()
        self._events = 0
        self._turns = 0
        self._turn = self._next_turn()
        self._last_item: str | None = None
        self._committed_ms = 0
        self._intake: Intake | None = None
        self._ears: Ears | None = None
        self._is_cut = False
        """A commit ends what is being heard now; else silence does."""

    async def run(self) -> None:
        """Talk until the session is too old; ends the call."""
        await self._say("session.created", session=self._shown())
        for step in self._call.steps("open"):
            await (self._call.say(step.send) if step.send is not None else self._call.perform(step))
        with trio.move_on_after(self._session_s):
            await self._converse()
        message = f"Your session hit the maximum duration of {self._session_s / 60:g} minutes."
        await self._complain("session_expired", message)
        await self._call.close(1001, message)

    async def _converse(self) -> NoReturn:
        audio = await self._until_audio()
        async with open_sound(self._settings.sound) as sound, trio.open_nursery() as nursery:
            hearings = []
            if self._call.hear is not None and self._call.script is None:
                self._ears = Ears(self._call.hear, nursery, self._wish, self._heard)
                hearings.append(self._ears)
            self._intake = Intake(self._call, sound, hearings, self._call.say, BROKEN_MESSAGE)
            while True:
                await self._intake.audio(audio)
                audio = await self._until_audio()
        raise AssertionError("the loop does not end")

    async def _until_audio(self) -> bytes:
        """Take messages until one brings audio."""
        while True:
            event = _event(await self._call.receive())
            try:
                if audio := await self._take(event):
                    return audio
            except BadField as bad:
                await self._complain(bad.code, str(bad), param=bad.param, event_id=_id(event))

    async def _take(self, event: Json) -> bytes:
        """Do what a client's event asks for; its audio, if it has some.

        Raises:
            BadField: it is not understood.
        """
        kind = _kind(event)
        if kind == "input_audio_buffer.append":
            return _audio(event.get("audio"))
        if self._call.faults.endless and self._intake is not None:
            await self._call.stay()
        if kind == "session.update":
            self._settings.update(event.get("session"), has_audio=self._intake is not None)
            await self._say("session.updated", session=self._shown())
        elif kind == "input_audio_buffer.commit":
            await self._commit(_id(event))
        else:
            self._committed_ms = self._clock_ms
            await self._say("input_audio_buffer.cleared")
        return b""

    # Turns.

    async def _commit(self, event_id: str | None) -> None:
        if self._call.script is not None:
            if self._intake is not None:
                await self._intake.play("finalize")
        elif self._settings.is_live:
            await self._commit_live(event_id)
        else:
            await self._commit_turn(event_id)

    async def _commit_live(self, event_id: str | None) -> None:
        if self._is_empty:
            await self._refuse_commit(event_id)
            return
        await self._say_committed(self._clock_ms)
        await self._hear_out()
        await self._say_text()

    async def _commit_turn(self, event_id: str | None) -> None:
        """The detector ends what turns it still finds; the rest is the client's."""
        await self._hear_out()
        if self._is_empty:
            await self._refuse_commit(event_id)
            return
        await self._say_committed(self._clock_ms)
        await self._say_text()

    async def _hear_out(self) -> None:
        if self._ears is not None:
            self._is_cut = True
            await self._ears.finalize()
            self._is_cut = False

    @property
    def _is_empty(self) -> bool:
        return self._clock_ms - self._committed_ms < COMMIT_MS_MIN

    async def _refuse_commit(self, event_id: str | None) -> None:
        message = (
            "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
            f"but buffer only has {self._clock_ms - self._committed_ms:.2f}ms of audio."
        )
        await self._complain("input_audio_buffer_commit_empty", message, event_id=event_id)

    async def _heard(self, heard: Heard) -> None:
        """An utterance grew or is over."""
        words = [word.text for word in heard.words]
        silence_ms = self._settings.silence_ms
        if silence_ms is not None:
            await self._start(heard)
        if heard.kind == "final":
            self._turn.words += words
            if silence_ms is not None and (
                not self._is_cut or heard.is_followed_by_silence(self._clock_ms, silence_ms)
            ):
                await self._stop(heard.end_ms + silence_ms)
        elif self._settings.is_live:
            await self._say_deltas([*self._turn.words, *words[:-1]])

    async def _start(self, heard: Heard) -> None:
        if not self._turn.has_started:
            self._turn.has_started = True
            start_ms = max(heard.start_ms - self._settings.padding_ms, self._committed_ms)
            await self._say(
                "input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=self._turn.id
            )

    async def _stop(self, end_ms: int) -> None:
        """The detector ends the turn."""
        end_ms = min(end_ms, self._clock_ms)
        await self._say("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=self._turn.id)
        await self._say_committed(end_ms)
        await self._say_text()

    async def _say_committed(self, committed_ms: int) -> None:
        self._committed_ms = committed_ms
        previous, self._last_item = self._last_item, self._turn.id
        await self._say("input_audio_buffer.committed", previous_item_id=previous, item_id=self._turn.id)
        item = {
            "id": self._turn.id,
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        for kind in ("added", "done"):
            await self._say(f"conversation.item.{kind}", previous_item_id=previous, item=item)

    async def _say_text(self) -> None:
        """The rest of the turn's text, and all of it."""
        turn, self._turn = self._turn, self._next_turn()
        if self._settings.model is None:
            return
        text = " ".join(as_prose(turn.words, begins=True, ends=True))
        if self._settings.model == "whisper-1":
            await self._say_delta(turn, text)
        else:
            for delta in _pieces(as_prose(turn.words, begins=True, ends=True), turn.told):
                await self._say_delta(turn, delta)
        usage = {"type": "tokens", "total_tokens": 10, "input_tokens": 8, "output_tokens": 2}
        await self._say(
            f"{TRANSCRIPTION}.completed", item_id=turn.id, content_index=0, transcript=text, usage=usage
        )

    async def _say_deltas(self, words: Sequence[str]) -> None:
        turn = self._turn
        for delta in _pieces(as_prose(words, begins=True, ends=False), turn.told):
            await self._say_delta(turn, delta)

    async def _say_delta(self, turn: Turn, delta: str) -> None:
        if delta:
            await self._say(
                f"{TRANSCRIPTION}.delta", item_id=turn.id, content_index=0, delta=delta, obfuscation="k3Jf9a"
            )

    def _next_turn(self) -> Turn:
        self._turns += 1
        return Turn(self._turns)

    def _wish(self) -> tuple[int, bool]:
        silence_ms = self._settings.silence_ms
        return (UNCUT_MS if silence_ms is None else silence_ms), True

    # Saying things.

    @property
    def _clock_ms(self) -> int:
        return 0 if self._intake is None else self._intake.clock_ms

    def _shown(self) -> Json:
        its = {"type": "transcription", "object": "realtime.transcription_session", "id": self._session_id}
        return its | {"expires_at": 1_763_640_000} | self._settings.shown()

    @property
    def _session_id(self) -> str:
        return f"sess_{self._call.request.id.replace('-', '')}"

    async def _say(self, kind: str, **fields: Any) -> None:
        self._events += 1
        await self._call.say({"type": kind, "event_id": f"event_{self._events}", **fields})

    async def _complain(
        self, code: str, message: str, *, param: str | None = None, event_id: str | None = None
    ) -> None:
        await self._say("error", error=problem(code, message, param=param, event_id=event_id))


def problem(code: str, message: str, *, param: str | None = None, event_id: str | None = None) -> Json:
    """The body of an error about what the client sent."""
    return {
        "type": "invalid_request_error",
        "code": code,
        "message": message,
        "param": param,
        "event_id": event_id,
    }


def _pieces(words: Sequence[str], told: list[str]) -> list[str]:
    """Deltas for the words behind those already ``told``, which grows; none where the recogniser changed its mind."""
    said = len(told)
    if [word.strip(".").lower() for word in words[:said]] != [word.strip(".").lower() for word in told]:
        return []
    deltas = [f" {word}" if place else word for place, word in enumerate(words)]
    told.extend(words[said:])
    return deltas[said:]


def _event(message: str | bytes) -> Json:
    """A client's event; nothing where it is none."""
    try:
        event = msgspec.json.decode(message) if isinstance(message, str) else None
    except (msgspec.DecodeError, RecursionError):
        event = None
    return event if isinstance(event, dict) else {}


def _kind(event: Json) -> str:
    kind = event.get("type")
    if kind not in tuple(_FIELDS):  # it may be anything
        raise BadField(
            "invalid_value", f"Invalid value: {kind!r}. Supported values are: {', '.join(_FIELDS)}.", "type"
        )
    for name in event:
        if name not in ("type", "event_id", *_FIELDS[kind]):
            raise BadField("unknown_parameter", f"Unknown parameter: '{name}'.", name)
    event_id = event.get("event_id")
    if event_id is not None and not (isinstance(event_id, str) and len(event_id) <= _EVENT_ID_MAX):
        raise BadField("invalid_value", "Invalid value for 'event_id'.", "event_id")
    return str(kind)


def _id(event: Json) -> str | None:
    event_id = event.get("event_id")
    return event_id if isinstance(event_id, str) else None


def _audio(value: Any) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (TypeError, ValueError):
        raise BadField(
            "invalid_value", "Invalid 'audio'. Expected base64-encoded audio bytes.", "audio"
        ) from None
