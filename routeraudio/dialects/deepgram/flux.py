"""`v2/listen`: turns. Every message has the whole turn so far.

client → binary messages                   audio
         {"type": "ForceEndTurn"}          end the open turn now
         {"type": "CloseStream"}           no more audio
server → {"type": "Connected", …}          at once
         {"type": "TurnInfo", …}           `StartOfTurn`, `Update`s, `EndOfTurn`
         {"type": "Error", …}              the connection closes
"""

from collections.abc import Sequence
from typing import Final

from routeraudio.dialects import closes, turn_ends
from routeraudio.dialects.base import Command, Control, DialectEvent, Opening
from routeraudio.dialects.deepgram import messages
from routeraudio.dialects.open_turn import OpenTurn, Told
from routeraudio.dialects.said import kind
from routeraudio.dialects.words import bare
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event, Partial, TurnEnd
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message

_EVENTS: Final = {"start": "StartOfTurn", "update": "Update", "end": "EndOfTurn"}

_FORCE: Final = DialectEvent("force")
_CONFIGURE: Final = DialectEvent("configure")

_CONTROLS: Final[dict[str, tuple[Command | DialectEvent, ...]]] = {
    "KeepAlive": (Control.KEEPALIVE,),
    "ForceEndTurn": (Control.FINALIZE, _FORCE),
    "CloseStream": (Control.FINISH,),
    "Configure": (_CONFIGURE,),
}


class Flux:
    """One client's side of a session."""

    def __init__(self, opening: Opening) -> None:
        self._request_id = messages.request_uuid(opening.request_id)
        self._turn = OpenTurn(ends_are_told=turn_ends.are_told(opening.options))
        self._sequence_id = 0
        self._turn_index = 0

    def greeting(self) -> Sequence[Message]:
        """See `HasGreeting.greeting`."""
        return (messages.text(messages.Connected(self._request_id, self._next())),)

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        """See `Dialect.received`."""
        if isinstance(message, str):
            return _CONTROLS.get(kind(message, "CloseStream"), ())
        return (message,) if message else ()

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect.event`."""
        match event:
            case DialectEvent():
                return self._noted(event)
            case Partial():
                return self._told(self._turn.partial(event))
            case FinalText():
                return self._told(self._turn.final(event))
            case TurnEnd(end_ms):
                return self._told(self._turn.ends(end_ms))
            case _:
                return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`. A restart is no error: its close code says all."""
        if fault.close_code is CloseCode.RESTART:
            return ()
        code = "INTERNAL_SERVER_ERROR" if fault.code == "internal" else fault.code.upper()
        return (messages.text(messages.FluxError(self._next(), code, fault.message)),)

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""
        return closes.standard(fault)

    def _noted(self, note: DialectEvent) -> Sequence[Message]:
        if note is _CONFIGURE:
            failure = messages.FluxConfigureFailure(
                self._request_id,
                self._next(),
                messages.UNSUPPORTED,
                messages.UNSUPPORTED,
                "this stream cannot be changed; open a new one",
            )
            return (messages.text(failure),)
        return self._told(self._turn.force())

    def _told(self, turns: Sequence[Told]) -> list[Message]:
        return [self._info(turn) for turn in turns]

    def _info(self, turn: Told) -> str:
        is_over = turn.kind == "end"
        info = messages.TurnInfo(
            request_id=self._request_id,
            sequence_id=self._next(),
            event=_EVENTS[turn.kind],
            turn_index=self._turn_index,
            audio_window_start=turn.start_ms / 1000,
            audio_window_end=turn.end_ms / 1000,
            transcript=turn.transcript,
            words=[
                messages.FluxWord(
                    bare(word.text),
                    1.0 if word.confidence is None else word.confidence,
                    word.start_ms / 1000,
                    word.end_ms / 1000,
                )
                for word in turn.words
            ],
            end_of_turn_confidence=float(is_over),
            trigger=("manual" if turn.is_forced else "model") if is_over else None,
        )
        self._turn_index += is_over
        return messages.text(info)

    def _next(self) -> int:
        number, self._sequence_id = self._sequence_id, self._sequence_id + 1
        return number
