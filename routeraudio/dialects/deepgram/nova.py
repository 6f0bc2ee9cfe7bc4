"""`v1/listen`: results, utterance by utterance.

client → binary messages                   audio
         {"type": "Finalize"}              finals now; the answer says `from_finalize`
         {"type": "KeepAlive"}             still here
         {"type": "CloseStream"}           last results, then `Metadata`
server → {"type": "Results", …}            interim, final, and, with `speech_final`, the end of a turn
         {"type": "SpeechStarted", …}      with `vad_events`
         {"type": "UtteranceEnd", …}       with `utterance_end_ms`, after so much silence
         {"type": "Metadata", …}           the last message
         {"type": "Error", …}              the connection closes
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from routeraudio.dialects import closes, turn_ends
from routeraudio.dialects.base import Command, Control, DialectEvent, Opening
from routeraudio.dialects.deepgram import messages
from routeraudio.dialects.deepgram.request import More
from routeraudio.dialects.said import kind
from routeraudio.dialects.words import Speakers, bare, confidence_of, words_of
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event, Finished, Partial, TurnEnd
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message

TICK_S: Final = 0.25

FINALIZE_S: Final = 1.0
"""For so long a final may answer `Finalize`; then it is answered by an empty one. pipecat waits for the answer."""

_TICK: Final = DialectEvent("tick")
_FINALIZE: Final = DialectEvent("finalize")
_CONFIGURE: Final = DialectEvent("configure")

_CONTROLS: Final[dict[str, tuple[Command | DialectEvent, ...]]] = {
    "KeepAlive": (Control.KEEPALIVE,),
    "Finalize": (Control.FINALIZE, _FINALIZE),
    "CloseStream": (Control.FINISH,),
    "Configure": (_CONFIGURE,),
}


class Nova:
    """One client's side of a session."""

    tick_s = TICK_S
    tick = _TICK

    def __init__(self, opening: Opening, more: More) -> None:
        options = opening.options
        name = f"{options.provider}/{options.model}" if options.model else options.provider
        self._options = options
        self._more = more
        self._now = opening.now
        self._created_s = opening.now()
        self._model = messages.ModelInfo(name, "1", options.provider)
        self._model_uuid = messages.model_uuid(name)
        self._request_id = messages.request_uuid(opening.request_id)
        self._metadata = messages.ResultsMetadata(self._request_id, self._model_uuid, self._model)
        self._ends_are_told = turn_ends.are_told(options)
        self._speakers = Speakers()
        self._channels = options.audio.channels if options.wants_channels else 1
        self._hash = sha256()
        self._received_bytes = 0
        self._open: set[int] = set()
        """Channels with an utterance that has text and no final yet."""
        self._last_end_ms: list[int | None] = [None] * self._channels
        """Where the last final ended, by channel, until its `UtteranceEnd` has been told."""
        self._text_at_s = self._created_s
        self._asked_at_s: float | None = None
        """When the client asked for finals, until it has been answered."""

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        """See `Dialect.received`. An empty binary message means nothing; unknown types are of newer clients."""
        if isinstance(message, str):
            return _CONTROLS.get(kind(message, "CloseStream"), ())
        self._received_bytes += len(message)
        self._hash.update(message)
        return (message,) if message else ()

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect.event`."""
        match event:
            case DialectEvent():
                return self._noted(event)
            case Partial():
                return self._partial(event)
            case FinalText():
                return self._final(event)
            case TurnEnd(end_ms, channel):
                return (self._empty(end_ms, channel, is_speech_final=True),)
            case Finished():
                return (*self._answered(), messages.text(self._closing()))
            case _:
                return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`. A restart is no error: its close code says all."""
        if fault.close_code is CloseCode.RESTART:
            return ()
        return (messages.text(messages.NovaError(fault.code, fault.message, fault.message)),)

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""
        return closes.standard(fault)

    def _partial(self, partial: Partial) -> list[Message]:
        channel = partial.channel or 0
        self._text_at_s = self._now()
        told: list[Message] = []
        if channel not in self._open:
            self._open.add(channel)
            if self._more.has_vad_events:
                began_s = partial.start_ms / 1000
                told.append(messages.text(messages.SpeechStarted(self._index(channel), began_s)))
        if self._more.has_interim:
            told.append(self._results(partial, is_final=False))
        return told

    def _final(self, final: FinalText) -> list[Message]:
        channel = final.channel or 0
        told: list[Message] = []
        if self._more.has_vad_events and channel not in self._open and final.text:
            # A final without a partial before it: its speech has begun nevertheless.
            told.append(messages.text(messages.SpeechStarted(self._index(channel), final.start_ms / 1000)))
        self._open.discard(channel)
        self._text_at_s = self._now()
        if final.text:
            self._last_end_ms[channel] = final.end_ms
        is_answer, self._asked_at_s = self._asked_at_s is not None, None
        if final.text or is_answer:
            told.append(self._results(final, is_final=True, is_answer=is_answer))
        return told

    def _noted(self, note: DialectEvent) -> Sequence[Message]:
        if note is _CONFIGURE:
            failure = messages.NovaConfigureFailure(
                self._request_id, messages.UNSUPPORTED, "this stream cannot be changed; open a new one"
            )
            return (messages.text(failure),)
        if note is _FINALIZE:
            self._asked_at_s = self._now()
            # Without partials nobody knows whether there is something to come.
            return self._answered() if self._options.partial_results and not self._open else ()
        if self._asked_at_s is not None and self._now() - self._asked_at_s >= FINALIZE_S:
            return (*self._answered(), *self._silences())
        return self._silences()

    def _answered(self) -> Sequence[Message]:
        """`Finalize` is answered, where no final has done it."""
        if self._asked_at_s is None:
            return ()
        self._asked_at_s = None
        return (self._empty(self._position_ms, None, is_answer=True),)

    def _silences(self) -> list[Message]:
        """`UtteranceEnd` of the channels where it has been quiet for long enough, by the audio and by the clock.

        By both: audio may come faster than real time, and its text has still to come.
        """
        told: list[Message] = []
        silence_ms = self._more.utterance_end_ms
        if silence_ms is None or (self._now() - self._text_at_s) * 1000 < silence_ms:
            return told
        for channel, end_ms in enumerate(self._last_end_ms):
            is_quiet = not self._options.audio.is_raw or self._position_ms - (end_ms or 0) >= silence_ms
            if end_ms is not None and channel not in self._open and is_quiet:
                self._last_end_ms[channel] = None
                told.append(messages.text(messages.UtteranceEnd(self._index(channel), end_ms / 1000)))
        return told

    def _results(self, said: Partial | FinalText, *, is_final: bool, is_answer: bool = False) -> str:
        words = words_of(said)
        alternative = messages.Alternative(
            said.text,
            confidence_of(words),
            [
                messages.WordMessage(
                    bare(word.text),
                    word.start_ms / 1000,
                    word.end_ms / 1000,
                    1.0 if word.confidence is None else word.confidence,
                    word.text,
                    self._speakers.number(word.speaker) if self._options.diarize else None,
                )
                for word in words
            ],
        )
        return messages.text(
            messages.Results(
                self._index(said.channel or 0),
                said.start_ms / 1000,
                (said.end_ms - said.start_ms) / 1000,
                is_final,
                is_final and not self._ends_are_told,
                is_answer,
                messages.Channel([alternative]),
                self._metadata,
            )
        )

    def _empty(
        self, at_ms: int, channel: int | None, *, is_speech_final: bool = False, is_answer: bool = False
    ) -> str:
        nothing = messages.Channel([messages.Alternative("", 0.0, [])])
        index = self._index(channel or 0)
        return messages.text(
            messages.Results(
                index, at_ms / 1000, 0.0, True, is_speech_final, is_answer, nothing, self._metadata
            )
        )

    def _closing(self) -> messages.Metadata:
        return messages.Metadata(
            request_id=self._request_id,
            sha256=self._hash.hexdigest(),
            created=messages.stamp(self._created_s),
            duration=self._position_ms / 1000,
            channels=self._options.audio.channels,
            models=[self._model_uuid],
            model_info={self._model_uuid: self._model},
        )

    def _index(self, channel: int) -> tuple[int, int]:
        return channel, self._channels

    @property
    def _position_ms(self) -> int:
        """Audio received; of a container, as far as its text goes."""
        audio = self._options.audio
        if audio.is_raw:
            return audio.duration_ms(self._received_bytes)
        return max((end_ms or 0 for end_ms in self._last_end_ms), default=0)
