"""`v3/ws`: turns. Every message has the whole turn so far.

client → binary messages                     audio
         {"type": "ForceEndpoint"}           end the open turn now
         {"type": "KeepAlive"}               still here
         {"type": "UpdateConfiguration", …}  has no effect; the vendor does not answer it either
         {"type": "Terminate"}               last turns, then `Termination`
server → {"type": "Begin", …}                at once
         {"type": "SpeechStarted", …}        with the first text of a turn
         {"type": "Turn", …}                 again and again, then with `end_of_turn`
         {"type": "Termination", …}          the last message
         {"type": "Error", …}                the connection closes
"""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final
from uuid import UUID

from routeraudio.dialects import closes, turn_ends
from routeraudio.dialects.assemblyai import messages
from routeraudio.dialects.base import Command, Control, DialectEvent, Opening
from routeraudio.dialects.open_turn import OpenTurn, Told
from routeraudio.dialects.said import kind
from routeraudio.dialects.words import Speakers
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event, Finished, Partial, TurnEnd
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message

EXPIRES_S: Final = 10_800
"""The vendor's three hours; here nothing ends by that clock."""

_FORCE: Final = DialectEvent("force")

_CONTROLS: Final[dict[str, tuple[Command | DialectEvent, ...]]] = {
    "KeepAlive": (Control.KEEPALIVE,),
    "ForceEndpoint": (Control.FINALIZE, _FORCE),
    "Terminate": (Control.FINISH,),
}


class Turns:
    """One client's side of a session."""

    def __init__(self, opening: Opening) -> None:
        self._options = opening.options
        self._now = opening.now
        self._began_s = opening.now()
        self._id = str(UUID(opening.request_id))
        self._turn = OpenTurn(ends_are_told=turn_ends.are_told(opening.options))
        self._turn_order = 0
        self._speakers = Speakers()
        self._received_bytes = self._text_ms = 0

    def greeting(self) -> Sequence[Message]:
        """See `HasGreeting.greeting`."""
        return (messages.text(messages.Begin(self._id, round(self._began_s) + EXPIRES_S)),)

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        """See `Dialect.received`. Unknown types are of newer clients."""
        if isinstance(message, str):
            return _CONTROLS.get(kind(message, "Terminate"), ())
        self._received_bytes += len(message)
        return (message,) if message else ()

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect.event`."""
        match event:
            case DialectEvent():
                return self._told(self._turn.force())
            case Partial():
                return self._told(self._turn.partial(event))
            case FinalText():
                self._text_ms = max(self._text_ms, event.end_ms)
                return self._told(self._turn.final(event))
            case TurnEnd(end_ms):
                return self._told(self._turn.ends(end_ms))
            case Finished():
                return (messages.text(self._closing()),)
            case _:
                return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`. A restart is no error: its close code says all."""
        if fault.close_code is CloseCode.RESTART:
            return ()
        return (messages.text(messages.ErrorMessage(int(self.close_code(fault)), fault.message)),)

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""
        return closes.standard(fault)

    def _told(self, turns: Sequence[Told]) -> list[Message]:
        told: list[Message] = []
        for turn in turns:
            if turn.kind == "start":
                told.append(messages.text(messages.SpeechStarted(turn.start_ms)))
            told.append(self._message(turn))
        return told

    def _message(self, turn: Told) -> str:
        is_over = turn.kind == "end"
        message = messages.Turn(
            turn_order=self._turn_order,
            # Whoever asks for it hears a turn's end once: the text is formatted from the beginning.
            turn_is_formatted=is_over and self._options.punctuate,
            end_of_turn=is_over,
            transcript=turn.transcript,
            utterance=turn.transcript if is_over else "",
            end_of_turn_confidence=float(is_over),
            words=[
                messages.WordMessage(
                    word.text,
                    word.start_ms,
                    word.end_ms,
                    1.0 if word.confidence is None else word.confidence,
                    place < turn.final_words,
                    self._speaker(word.speaker) if self._options.diarize else None,
                )
                for place, word in enumerate(turn.words)
            ],
        )
        self._turn_order += is_over
        return messages.text(message)

    def _speaker(self, label: str | None) -> str | None:
        number = self._speakers.number(label)
        if number is None:
            return None
        return ascii_uppercase[number] if number < len(ascii_uppercase) else str(number)

    def _closing(self) -> messages.Termination:
        audio = self._options.audio
        audio_ms = audio.duration_ms(self._received_bytes) if audio.is_raw else self._text_ms
        return messages.Termination(-(-audio_ms // 1000), max(0, round(self._now() - self._began_s)))
