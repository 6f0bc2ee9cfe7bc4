"""Deepgram `/v2/listen`: Flux, turn by turn.

An utterance of the recogniser is a turn. What the service decides by its model is decided by silence here: a
turn ends after `END_OF_TURN_MS`, or, when `eot_threshold` is 1, after `eot_timeout_ms`. `Configure` is answered and
remembered, but the recogniser goes on as it began. Guesses: the close codes after a fatal error and after audio that
cannot be decoded, that an empty binary message is ignored, and that the first audio is due within ten seconds.
"""

from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec
import trio

from routeraudio.emulators.deepgram.query import RAW_ENCODINGS, FluxQuery
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.heard import Heard, HeardWord
from routeraudio.emulators.kit.intake import Intake, open_intake
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.kit.sound import ContainerFormat, Format, PacketFormat, RawFormat, Undecodable

UNDECODABLE: Final = (1008, "DATA-0000: the audio cannot be decoded")

BROKEN_MESSAGE: Final = '{"type":"TurnInfo","event":7,"turn_index":"one","transcript":null,"words":"none"}'

END_OF_TURN_MS: Final = 500
"""The shortest `eot_timeout_ms`, so no timeout comes before it."""

UPDATE_MS: Final = 240
"""Of audio, between Updates (measured by others on the live service)."""

Json = dict[str, Any]


class Thresholds(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The settings `Configure` changes, in the vendor's words."""

    eager_eot_threshold: float | None = None
    eot_threshold: float | None = None
    eot_timeout_ms: int | None = None

    def __post_init__(self) -> None:
        _check("eager_eot_threshold", self.eager_eot_threshold, 0.3, 0.9)
        _check("eot_threshold", self.eot_threshold, 0.5, 1.0)
        _check("eot_timeout_ms", self.eot_timeout_ms, 500, 60_000)


class Configure(msgspec.Struct, tag="Configure"):
    """Every key is optional."""

    thresholds: Thresholds | msgspec.UnsetType = msgspec.UNSET
    keyterms: list[str] | msgspec.UnsetType = msgspec.UNSET
    language_hints: list[str] | msgspec.UnsetType = msgspec.UNSET
    numerals: bool | msgspec.UnsetType = msgspec.UNSET


class CloseStream(msgspec.Struct, tag="CloseStream"):
    """No more audio."""


class ForceEndTurn(msgspec.Struct, tag="ForceEndTurn"):
    """End the open turn now."""


_decode = msgspec.json.Decoder(Configure | CloseStream | ForceEndTurn).decode


class Flux:
    """One conversation.

    Args:
        idle_s: the first audio must come within this; the vendor's number is 10.
    """

    def __init__(self, call: Call, query: FluxQuery, *, idle_s: float) -> None:
        self._call = call
        self._query = query
        self._idle_s = idle_s
        self._turn = Turn(
            call.request.id,
            endpointing_ms=_endpointing_ms(query),
            trigger="timeout" if _ends_by_timeout(query) else "model",
            has_eager_ends=query.eager_eot_threshold is not None,
        )
        self._settings = _settings(query)
        self._sequence_id = 0
        self._updated_ms = 0
        self._has_audio = False
        self._intake: Intake

    async def run(self) -> None:
        """Talk until the stream is over; ends the call."""
        await self._say({"type": "Connected", "request_id": self._call.request.id})
        deadline = trio.current_time() + self._idle_s
        async with open_intake(
            self._call,
            _format(self._query),
            endpointing_ms=_endpointing_ms(self._query),
            partials=True,
            tell=self._tell,
            say=self._say,
            broken_message=BROKEN_MESSAGE,
        ) as self._intake:
            while True:
                await self._take(await self._next(deadline))

    async def _next(self, deadline: float) -> str | bytes:
        with trio.move_on_at(float("inf") if self._has_audio else deadline):
            return await self._call.receive()
        return await self._call.close(1011, "NET-0001: no audio data within the timeout window")

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._control(message)
        elif message:
            await self._audio(message)

    async def _audio(self, data: bytes) -> None:
        self._has_audio = True
        try:
            await self._intake.audio(data)
        except Undecodable:
            await self._call.close(*UNDECODABLE)
        if self._intake.clock_ms - self._updated_ms >= UPDATE_MS and self._is_heard:
            await self._update()

    async def _update(self) -> None:
        self._updated_ms = self._intake.clock_ms
        await self._say(self._turn.event("Update", self._updated_ms))

    @property
    def _is_heard(self) -> bool:
        """Whether anybody listens: a script says everything itself."""
        return self._call.script is None

    async def _control(self, text: str) -> None:
        try:
            message = _decode(text)
        except (msgspec.DecodeError, RecursionError):
            await self._misunderstand()
        match message:
            case CloseStream():
                await self._finish()
            case ForceEndTurn():
                self._turn.is_forced = self._turn.is_open
                await self._intake.finalize()
            case Configure():
                await self._say(self._configure(message))

    async def _misunderstand(self) -> NoReturn:
        description = "only CloseStream, ForceEndTurn and Configure are understood"
        await self._say({"type": "Error", "code": "UNPARSABLE_CLIENT_MESSAGE", "description": description})
        await self._call.close(1008, "UNPARSABLE_CLIENT_MESSAGE")

    def _configure(self, wish: Configure) -> Json:
        answer: Json = {"request_id": self._call.request.id}
        if wish.language_hints is not msgspec.UNSET and self._query.model != "flux-general-multi":
            description = "language_hints need flux-general-multi"
            return {
                "type": "ConfigureFailure",
                **answer,
                "code": "INVALID_CONFIGURE",
                "description": description,
            }
        wished = {
            name: value for name, value in msgspec.structs.asdict(wish).items() if value is not msgspec.UNSET
        }
        thresholds = msgspec.to_builtins(wished.pop("thresholds", Thresholds()))
        self._settings = {
            **self._settings,
            **wished,
            "thresholds": {**self._settings["thresholds"], **thresholds},
        }
        return {"type": "ConfigureSuccess", **answer, **self._settings}

    async def _finish(self) -> NoReturn:
        """Remaining text comes as an Update: no EndOfTurn, no Metadata, no close code (DOC flux/close-stream)."""
        self._turn.is_finishing = True
        try:
            await self._intake.finish()
        except Undecodable:
            await self._call.close(*UNDECODABLE)
        if self._is_heard:
            await self._update()
        await self._call.close(None)

    async def _tell(self, channel: int, heard: Heard) -> None:
        del channel  # Flux is mono
        for message in self._turn.heard(heard, self._intake.clock_ms):
            await self._say(message)

    async def _say(self, message: Json) -> None:
        # Recorded frames in a script keep the number they were recorded with.
        number, self._sequence_id = self._sequence_id, self._sequence_id + 1
        await self._call.say({**message, "sequence_id": message.get("sequence_id", number)})


class Turn:
    """The open turn and what is said about it. Synchronous."""

    def __init__(self, request_id: str, *, endpointing_ms: int, trigger: str, has_eager_ends: bool) -> None:
        self._request_id = request_id
        self._trigger = trigger
        self._endpointing_ms = endpointing_ms
        self._has_eager_ends = has_eager_ends
        self._index = 0
        self._window_start_ms = 0
        self._heard: Heard | None = None
        self._is_ended = False
        self.is_forced = False
        """The client asked for the end of the open turn."""
        self.is_finishing = False
        """The client sent CloseStream: a final that it cut is no end of turn."""

    @property
    def is_open(self) -> bool:
        """Whether words of this turn were heard."""
        return self._heard is not None

    def heard(self, heard: Heard, clock_ms: int) -> list[Json]:
        """An utterance grew or is over."""
        messages = []
        if self._heard is not None and self._is_ended:
            # More was to come after the final that CloseStream held back: it was a turn of its own.
            messages += self._end(clock_ms)
        if self._heard is None:
            # Live frames show the first words before the turn has "started".
            self._heard = heard
            messages += [self.event("Update", clock_ms), self.event("StartOfTurn", clock_ms)]
        self._heard = heard
        if heard.kind == "final":
            self._is_ended = True
            if not self.is_finishing or heard.is_followed_by_silence(clock_ms, self._endpointing_ms):
                messages += self._end(clock_ms)
        return messages

    def event(self, event: str, clock_ms: int) -> Json:
        """A TurnInfo about the open turn."""
        is_end = event in ("EndOfTurn", "EagerEndOfTurn")
        words = self._heard.words if self._heard is not None else ()
        shown = as_prose([word.text for word in words], begins=True, ends=is_end)
        return {
            "type": "TurnInfo",
            "request_id": self._request_id,
            "event": event,
            "turn_index": self._index,
            "audio_window_start": self._window_start_ms / 1000,
            "audio_window_end": max(clock_ms, self._window_start_ms) / 1000,
            "transcript": " ".join(shown),
            "words": _words(words, shown),
            "end_of_turn_confidence": 0.85 if is_end else 0.01,
        }

    def _end(self, clock_ms: int) -> list[Json]:
        trigger = "manual" if self.is_forced else self._trigger
        messages = [self.event("EagerEndOfTurn", clock_ms)] if self._has_eager_ends else []
        messages.append({**self.event("EndOfTurn", clock_ms), "trigger": trigger})
        self._index += 1
        self._window_start_ms = max(clock_ms, self._window_start_ms)
        self._heard, self._is_ended, self.is_forced = None, False, False
        return messages


def _words(words: Sequence[HeardWord], shown: Sequence[str]) -> list[Json]:
    return [
        {"word": text, "confidence": 0.99, "start": word.start_ms / 1000, "end": word.end_ms / 1000}
        for word, text in zip(words, shown, strict=True)
    ]


def _settings(query: FluxQuery) -> Json:
    thresholds: Json = {"eot_threshold": query.eot_threshold, "eot_timeout_ms": query.eot_timeout_ms}
    if query.eager_eot_threshold is not None:
        thresholds["eager_eot_threshold"] = query.eager_eot_threshold
    settings: Json = {"thresholds": thresholds, "keyterms": list(query.keyterm), "numerals": query.numerals}
    if query.model == "flux-general-multi":
        settings["language_hints"] = list(query.language_hint)
    return settings


def _endpointing_ms(query: FluxQuery) -> int:
    return query.eot_timeout_ms if _ends_by_timeout(query) else END_OF_TURN_MS


def _ends_by_timeout(query: FluxQuery) -> bool:
    return query.eot_threshold >= 1.0


def _format(query: FluxQuery) -> Format:
    match query.encoding:
        case None:
            return ContainerFormat(("wav", "ogg", "matroska"))
        case "ogg-opus":
            return ContainerFormat(("ogg",))
        case "opus":
            return PacketFormat()
    assert query.sample_rate is not None
    return RawFormat(encoding=RAW_ENCODINGS[query.encoding], sample_rate=query.sample_rate)


def _check(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}")
