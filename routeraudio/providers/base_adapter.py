"""The part of the adapter contract in which vendors do not differ.

Flags and guards, how long a line has been quiet, the reading of messages, refusals, the end. A vendor fills in what it
is sent (`dial`, `opened`, `_send`, `finalize`, `_finish`, `_ticked`) and what its messages mean (`_said`). Text goes
through `_transcript`, the vendor's complaints through `_faults`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.model.events import Event, Failed, Finished, Notice, Ready
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig
from routeraudio.providers.faults import Faults
from routeraudio.providers.timeline import Timeline
from routeraudio.providers.transcript import TranscriptBuilder

Said = TypeVar("Said")


class Connection(ABC, Generic[Said]):
    """One upstream connection, as far as its vendor does not matter. ``Said``: the vendor's messages, as structs.

    Args:
        audio_format: what `audio()` is given.
        silence_ms_max: see `Timeline`.
    """

    title: ClassVar[str]
    """The vendor's name in faults."""
    is_ready_when_opened: bool = False
    """See `Adapter`."""
    _decoder: msgspec.json.Decoder[Said]
    """Of the tagged union of the vendor's messages."""
    _refusal: Callable[[bytes], str] = staticmethod(decoding.plain_refusal)
    """What the body of an HTTP refusal says; see `decoding.refusal_reader`."""
    _tick_s: float | None = None
    """How often a line is looked at, whether it has gone quiet; None: nobody minds."""

    def __init__(
        self, config: AdapterConfig, audio_format: AudioFormat, *, silence_ms_max: int | None = None
    ) -> None:
        self._config = config
        self._options = config.options
        self._audio_format = audio_format
        self._line = Timeline(audio_format, silence_ms_max)
        self._transcript = TranscriptBuilder(self._line, wants_partials=config.options.partial_results)
        self._faults = Faults(self.title, config.credential)
        self._is_ready = False
        self._is_finishing = False
        self._is_over = False
        self._due_s: float | None = None
        self._opened_s: float | None = None
        self._now_s = 0.0
        self._quiet_ticks = -1
        """Whole tick intervals without audio. -1: audio since the last tick; opening counts as audio."""

    # What vendors fill in.

    def _send(self, chunk: bytes) -> Sequence[Message]:
        """Audio of the client, counted already."""
        return (chunk,)

    @abstractmethod
    def _finish(self) -> Sequence[Message]:
        """See `Adapter.finish`; called once, `_is_finishing` is set."""

    @abstractmethod
    def _said(self, said: Said) -> Sequence[Event]:
        """One message of the vendor's."""

    def _decoded(self, message: Message) -> Said | Notice | UpstreamFault:
        """A message; how it is read where the vendor's are no tagged union."""
        return decoding.read(self._decoder, message, title=self.title)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        """The connection ended before its last event."""
        return self._fail(self._faults.closed(code, reason))

    def _ticked(self) -> Sequence[Message]:
        """A tick; what a line needs that was quiet for `_quiet_ticks` whole intervals."""
        return ()

    def _last_words(self) -> list[Event]:
        """What becomes of the pending text where the connection fails: what was settled is told, no turn ends."""
        return self._transcript.end_utterance()

    def _last_turn(self) -> list[Event]:
        """The same where the stream was heard out: the open turn ends."""
        return self._transcript.end_turn()

    # The contract.

    @property
    def audio_format(self) -> AudioFormat:
        return self._audio_format

    def refused(self, status: int, body: bytes) -> Fault:
        return self._faults.refused(status, self._refusal(body))

    def opened(self) -> Sequence[Message]:
        return ()

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        self._line.sent(len(chunk))
        self._quiet_ticks = -1
        return self._send(chunk)

    def finalize(self) -> Sequence[Message]:
        return ()

    def finish(self) -> Sequence[Message]:
        if self._is_finishing:
            return ()
        self._is_finishing = True
        return self._finish()

    def received(self, message: Message) -> Sequence[Event]:
        if self._is_over:
            return ()
        said = self._decoded(message)
        if isinstance(said, Notice):
            return (said,)
        return self._broken(said) if isinstance(said, UpstreamFault) else self._said(said)

    def closed(self, code: int | None, reason: str) -> Sequence[Event]:
        return () if self._is_over else self._closed(code, reason)

    def due_s(self) -> float | None:
        return None if self._is_finishing or self._is_over else self._due_s

    def tick(self, now_s: float) -> Sequence[Message]:
        self._now_s = now_s
        if self._opened_s is None:
            self._opened_s = now_s
        self._due_s = None if self._tick_s is None else now_s + self._tick_s
        if self._is_finishing or self._is_over:
            return ()
        self._quiet_ticks += 1
        return self._ticked()

    # For the vendors.

    @property
    def _age_s(self) -> float:
        """How long the connection has been open, as of the last tick."""
        return 0.0 if self._opened_s is None else self._now_s - self._opened_s

    @property
    def _takes_silence(self) -> bool:
        """Whether silence may be put in. Who reads the vendor's own times must not find them shifted."""
        return self._line.takes_silence and self._options.parse_json

    @property
    def _untouched(self) -> AudioFormat | None:
        """The client's own format, where its audio goes through as it came; None: it is converted here."""
        return self._audio_format if self._audio_format == self._options.audio else None

    def _ready(self, upstream_id: str | None) -> Sequence[Event]:
        """The vendor is ready; it may say so again."""
        if self._is_ready:
            return ()
        self._is_ready = True
        return (Ready(upstream_id),)

    def _ended(self, *last: Event) -> list[Event]:
        """The vendor's last message: the end, where it was asked for."""
        return self._end(*last) if self._is_finishing else self._fail(self._faults.ended_early())

    def _end(self, *last: Event) -> list[Event]:
        """The end of a stream that was heard out.

        Args:
            last: what is told behind the last turn.
        """
        events = [*self._last_turn(), *last, Finished()]
        self._is_over = True
        return events

    def _fail(self, fault: Fault) -> list[Event]:
        """The end, with what was settled before it: text that was final is never lost."""
        events = [*self._last_words(), Failed(fault)]
        self._is_over = True
        return events

    def _broken(self, fault: Fault) -> Sequence[Event]:
        """A message that cannot be read is fatal, unless the client reads the vendor's messages itself."""
        return self._fail(fault) if self._options.parse_json else ()
