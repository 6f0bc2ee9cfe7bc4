"""One client's side of a session: `v1/realtime`."""

from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.dialects.base import Command, Control, DialectEvent, Opening
from routeraudio.dialects.openai import messages
from routeraudio.dialects.openai.items import Items
from routeraudio.dialects.openai.request import More, updated
from routeraudio.dialects.openai.turns import CommitTurns, SilenceTurns, Turns
from routeraudio.model.errors import ClientFault, CloseCode, Fault, UpstreamFault
from routeraudio.model.events import Event, Finished, Partial
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.compatibility import warnings

TICK_S: Final = 0.25

_FIXED: Final = ("audio", "provider", "model", "language", "diarize")
"""Of `Options`: what a session that has begun does not change."""


class _Commit(msgspec.Struct, frozen=True):
    at_ms: int


class _Clear(msgspec.Struct, frozen=True):
    at_ms: int


class _Update(msgspec.Struct, frozen=True):
    session: msgspec.Raw
    is_beta: bool
    event_id: str | None


class _Wrong(msgspec.Struct, frozen=True):
    """A message that is answered with an error, and that the session survives."""

    sentence: str
    code: str = "invalid_value"
    param: str | None = None
    event_id: str | None = None


class Realtime:
    """See `dialects.base.Dialect`."""

    tick_s = TICK_S
    tick = DialectEvent("tick")

    def __init__(self, opening: Opening) -> None:
        wish = opening.wish
        more = wish.more
        assert isinstance(more, More)
        self._wish = wish
        self._options = opening.options
        self._request_id = opening.request_id
        self._is_committed = more.settings.is_committed
        self._received_bytes = 0
        self._items = Items(opening.request_id, is_beta=more.is_beta)
        has_positions = PROVIDERS[opening.options.provider].has_positions
        self._commits = CommitTurns(self._items, opening.now, has_positions=has_positions)
        self._turns: Turns = (
            self._commits
            if self._is_committed
            else SilenceTurns(self._items, opening.now, is_diarized=opening.options.diarize)
        )

    # What the client says.

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        """See `Dialect.received`."""
        try:
            said = messages.read(message)
        except messages.NotUnderstood as wrong:
            return (DialectEvent(_Wrong(str(wrong))),)
        match said.type:
            case "input_audio_buffer.append":
                if not self._received_bytes:
                    self._commits.heard()
                self._received_bytes += len(said.audio)
                return (said.audio,) if said.audio else ()
            case "input_audio_buffer.commit":
                return (Control.FINALIZE, DialectEvent(_Commit(self._position_ms)))
            case "input_audio_buffer.clear":
                return (Control.FINALIZE, DialectEvent(_Clear(self._position_ms)))
            case kind if kind in messages.UPDATES:
                return (DialectEvent(_Update(said.session, said.is_beta, said.event_id)),)
            case _:
                sentence = (
                    "only transcription is served here: send session.update, input_audio_buffer.append, "
                    "input_audio_buffer.commit or input_audio_buffer.clear"
                )
                return (DialectEvent(_Wrong(sentence, param="type", event_id=said.event_id)),)

    # What it is told.

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect.event`."""
        match event:
            case Partial():
                return self._turns.partial(event) if event.text else ()
            case FinalText():
                return self._turns.final(event)
            case DialectEvent(note):
                return self._noted(note)
            case Finished():
                return self._turns.finish()
            case _:
                return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`."""
        told: list[Message] = []
        if isinstance(fault, UpstreamFault) and self._turns.open_id is not None:
            told.append(self._items.failed(self._turns.open_id, fault))
        return (*told, *messages.fault(fault, self._items.event_id()))

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""
        return messages.close_code(fault)

    def _noted(self, note: object) -> Sequence[Message]:
        match note:
            case _Commit(at_ms):
                return self._turns.commit(at_ms)
            case _Clear(at_ms):
                self._turns.clear(at_ms)
                return (self._items.told("input_audio_buffer.cleared"),)
            case _Update():
                return (self._updated(note),)
            case _Wrong():
                return (self._wrong(note),)
            case _:
                return self._turns.tick()

    def _updated(self, update: _Update) -> str:
        """What has been asked for is confirmed; what would change the session is refused."""
        try:
            wish = updated(self._wish, update.session, is_beta=update.is_beta)
        except ClientFault as fault:
            return self._wrong(_Wrong(fault.message, param=fault.parameter, event_id=update.event_id))
        more = wish.more
        assert isinstance(more, More)
        asked, before = wish.options, self._wish.options
        is_same = all(getattr(asked, name) == getattr(before, name) for name in _FIXED)
        if not is_same or more.settings.is_committed != self._is_committed:
            sentence = (
                "the session has begun: format, model, language and the kind of turn detection stay as they are; "
                "send session.update before any audio, or connect again"
            )
            return self._wrong(_Wrong(sentence, "session_begun", "session", update.event_id))
        self._wish = wish
        self._items.is_beta = more.is_beta
        kind = "transcription_session.updated" if update.is_beta else "session.updated"
        session = messages.session(self._request_id, more.settings, is_beta=update.is_beta)
        advice = self._advice()
        return self._items.told(kind, session=session, **({"warnings": advice} if advice else {}))

    def _advice(self) -> list[str]:
        """What was asked for and has no effect, or another one. A member of ours: the upgrade was too early for it."""
        wish, options = self._wish, self._options
        is_replaced = wish.has_own_model and wish.options.model != options.model
        served = [f"model: {options.provider} serves"] if is_replaced else []
        return [*warnings(options), *wish.advice, *served]

    def _wrong(self, wrong: _Wrong) -> str:
        error = messages.error(wrong.sentence, "invalid_request_error", wrong.code, wrong.param)
        return self._items.told("error", error=error | {"event_id": wrong.event_id})

    @property
    def _position_ms(self) -> int:
        """Audio received."""
        return self._options.audio.duration_ms(self._received_bytes)
