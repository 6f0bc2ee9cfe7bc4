"""The part of the adapter contract in which vendors do not differ: flags, guards, how long a line has been quiet."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault
from routeraudio.model.events import Event, Failed
from routeraudio.model.message import Message
from routeraudio.providers.base import AdapterConfig
from routeraudio.providers.timeline import Timeline


class Connection(ABC):
    """One upstream connection, as far as its vendor does not matter."""

    _tick_s: float | None = None
    """How often a line is looked at, whether it has gone quiet; None: nobody minds."""

    def __init__(self, config: AdapterConfig, audio_format: AudioFormat) -> None:
        self._config = config
        self._options = config.options
        self._audio_format = audio_format
        self._line = Timeline(audio_format)
        self._is_finishing = False
        self._is_over = False
        self._due_s: float | None = None
        self._opened_s: float | None = None
        self._now_s = 0.0
        self._quiet_ticks = -1
        """Whole tick intervals without audio. -1: audio since the last tick; opening counts as audio."""

    # What vendors fill in.

    @abstractmethod
    def _read(self, message: Message) -> Sequence[Event]:
        """One vendor message, however broken."""

    @abstractmethod
    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        """The connection ended before its last event."""

    @abstractmethod
    def _finish(self) -> Sequence[Message]:
        """See `Adapter.finish`; called once, `_is_finishing` is set."""

    def _ticked(self) -> Sequence[Message]:
        """A tick; what a line needs that was quiet for `_quiet_ticks` whole intervals."""
        return ()

    def _last_words(self) -> list[Event]:
        """What becomes of the pending text now that nothing more will come: what was settled is told."""
        return []

    # The contract.

    @property
    def audio_format(self) -> AudioFormat:
        return self._audio_format

    def opened(self) -> Sequence[Message]:
        return ()

    def finish(self) -> Sequence[Message]:
        if self._is_finishing:
            return ()
        self._is_finishing = True
        return self._finish()

    def received(self, message: Message) -> Sequence[Event]:
        return () if self._is_over else self._read(message)

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

    def _fail(self, fault: Fault) -> list[Event]:
        """The end, with what was settled before it: text that was final is never lost."""
        events = [*self._last_words(), Failed(fault)]
        self._is_over = True
        return events

    def _broken(self, fault: Fault) -> Sequence[Event]:
        """A message that cannot be read is fatal, unless the client reads the vendor's messages itself."""
        return self._fail(fault) if self._options.parse_json else ()
