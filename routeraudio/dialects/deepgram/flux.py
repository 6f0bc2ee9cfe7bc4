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

from routeraudio.dialects import turn_ends
from routeraudio.dialects.base import Command, Control, DialectEvent, Opening
from routeraudio.dialects.deepgram import messages
from routeraudio.dialects.words import bare, words_of
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event, Partial, TurnEnd, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message

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
        self._ends_are_told = turn_ends.are_told(opening.options)
        self._sequence_id = 0
        self._turn_index = 0
        self._is_open = False
        """Whether `StartOfTurn` of the turn has been told."""
        self._is_forced = False
        """Whether the client has asked for the end of the open turn."""
        self._has_partial = False
        self._start_ms = self._end_ms = 0
        self._texts: list[str] = []
        """Of the open turn, final."""
        self._words: list[Word] = []

    def greeting(self) -> Sequence[Message]:
        """See `HasGreeting.greeting`."""
        return (messages.text(messages.Connected(self._request_id, self._next())),)

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        """See `Dialect.received`."""
        if isinstance(message, str):
            return _CONTROLS.get(messages.kind(message), ())
        return (message,) if message else ()

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect.event`."""
        match event:
            case DialectEvent():
                return self._noted(event)
            case Partial():
                return self._partial(event) if event.text else ()
            case FinalText():
                return self._final(event)
            case TurnEnd(end_ms):
                self._end_ms = max(self._end_ms, end_ms)
                return self._end("model") if self._is_open else ()
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
        return messages.close_code(fault)

    def _partial(self, partial: Partial) -> Sequence[Message]:
        self._has_partial = True
        return (self._told(partial),)

    def _final(self, final: FinalText) -> Sequence[Message]:
        self._has_partial = False
        is_over = not self._ends_are_told or self._is_forced
        told: list[Message] = []
        if final.text:
            if not self._is_open or not is_over:
                told.append(self._told(final))
            self._texts.append(final.text)
            self._words += words_of(final)
            self._end_ms = final.end_ms
        if is_over and self._is_open:
            told += self._end("manual" if self._is_forced else "model")
        return told

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
        if not self._is_open:
            return ()
        self._is_forced = True
        # What is only a partial yet ends the turn with its final.
        return () if self._has_partial else self._end("manual")

    def _told(self, said: Partial | FinalText) -> str:
        """The turn so far, with ``said``."""
        if not self._is_open:
            self._start_ms = said.start_ms
        name = "Update" if self._is_open else "StartOfTurn"
        self._is_open = True
        words = [*self._words, *words_of(said)]
        return self._info(name, " ".join([*self._texts, said.text]), words, said.end_ms)

    def _end(self, trigger: str) -> Sequence[Message]:
        told = self._info("EndOfTurn", " ".join(self._texts), self._words, self._end_ms, trigger)
        self._turn_index += 1
        self._is_open = self._is_forced = self._has_partial = False
        self._texts, self._words = [], []
        return (told,)

    def _info(
        self, name: str, transcript: str, words: Sequence[Word], end_ms: int, trigger: str | None = None
    ) -> str:
        return messages.text(
            messages.TurnInfo(
                request_id=self._request_id,
                sequence_id=self._next(),
                event=name,
                turn_index=self._turn_index,
                audio_window_start=self._start_ms / 1000,
                audio_window_end=end_ms / 1000,
                transcript=transcript,
                words=[
                    messages.FluxWord(
                        bare(word.text),
                        1.0 if word.confidence is None else word.confidence,
                        word.start_ms / 1000,
                        word.end_ms / 1000,
                    )
                    for word in words
                ],
                end_of_turn_confidence=0.0 if trigger is None else 1.0,
                trigger=trigger,
            )
        )

    def _next(self) -> int:
        number, self._sequence_id = self._sequence_id, self._sequence_id + 1
        return number
