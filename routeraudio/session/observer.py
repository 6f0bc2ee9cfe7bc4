"""The seam between a session and whoever watches it: its milestones and its end, for metrics.

A watch is told a handful of times per session, never per message; how much audio has passed it asks for itself, once
a second. `Arrivals` remembers when audio came, so that the delay of a final can be told from its position alone.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import Final, Protocol

import trio

from routeraudio.model.audio import AudioFormat
from routeraudio.model.events import Event, Partial
from routeraudio.model.events import Final as FinalText

MARK_MS: Final = 100
"""Between two marks positions are interpolated: a clock call per message would tell no more."""

MARKS_MAX: Final = 300
"""Thirty seconds in some 5 KiB. A final that is later than this counts as just so late."""


class Progress(Protocol):
    """What a session can say about its audio at any time."""

    def __call__(self) -> tuple[int, int]:
        """Milliseconds received from the client, and sent to the provider."""


class Observer(Protocol):
    """Is told about one session. Methods return at once and never raise."""

    def began(self, progress: Progress) -> None:
        """The session runs; ``progress`` may be asked until `ended`."""

    def dialled(self, took_s: float) -> None:
        """A connection to the provider is open: DNS, TCP, TLS and upgrade took so long."""

    def ready(self, took_s: float) -> None:
        """The provider accepts audio, so long after it was dialled."""

    def refused(self, provider: str, status: int) -> None:
        """A provider has answered the upgrade with this HTTP status."""

    def first_text(self, after_s: float) -> None:
        """The first partial or final has come, so long after the first audio."""

    def final(self, after_s: float) -> None:
        """A final has come, so long after its last sample came from the client."""

    def ended(self, close_code: int | None, ending: str) -> None:
        """The session is over: with which close code, and how in one word (`ok`, `client_gone`, an error code)."""


class NullObserver:
    """For whoever is not watched."""

    def began(self, progress: Progress) -> None:
        """See `Observer`."""

    def dialled(self, took_s: float) -> None:
        """See `Observer`."""

    def ready(self, took_s: float) -> None:
        """See `Observer`."""

    def refused(self, provider: str, status: int) -> None:
        """See `Observer`."""

    def first_text(self, after_s: float) -> None:
        """See `Observer`."""

    def final(self, after_s: float) -> None:
        """See `Observer`."""

    def ended(self, close_code: int | None, ending: str) -> None:
        """See `Observer`."""


class Arrivals:
    """When a session's audio came, and from that how late its text is.

    Args:
        audio: what the client sends. Of containers nothing is known here: their positions are the decoder's.
        watch: is told how late texts are.
    """

    def __init__(
        self, audio: AudioFormat, observer: Observer, now_s: Callable[[], float] = trio.current_time
    ) -> None:
        self._audio = audio
        self._observer = observer
        self._now_s = now_s
        self._positions_ms = array("q")
        self._times_s = array("d")
        self._first_s: float | None = None
        self._is_speaking = False
        self.look_at_bytes = 1 if audio.is_raw else 1 << 62
        """`came` has nothing to do before so many bytes have been received."""

    def came(self, received_bytes: int) -> None:
        """So many bytes have been received in all; call it when `look_at_bytes` is reached."""
        now_s = self._now_s()
        if self._first_s is None:
            self._first_s = now_s
        position_ms = self._audio.duration_ms(received_bytes)
        self._positions_ms.append(position_ms)
        self._times_s.append(now_s)
        if len(self._times_s) > MARKS_MAX:
            half = MARKS_MAX // 2
            del self._positions_ms[:half], self._times_s[:half]
        self.look_at_bytes = self._audio.bytes_per_second * (position_ms + MARK_MS) // 1000

    def told(self, event: Event) -> None:
        """The provider has said something; its times are the session's."""
        if not isinstance(event, FinalText | Partial) or self._first_s is None:
            return
        now_s = self._now_s()
        if not self._is_speaking:
            self._is_speaking = True
            self._observer.first_text(now_s - self._first_s)
        if isinstance(event, FinalText):
            came_s = self._came_s(event.end_ms)
            if came_s is not None:
                self._observer.final(max(0.0, now_s - came_s))

    def _came_s(self, position_ms: int) -> float | None:
        """When the sample at a position came; None: it has not."""
        after = bisect_left(self._positions_ms, position_ms)
        if after == len(self._positions_ms):
            # Behind the last mark: audio that came since then, at its own pace, or a vendor's padding.
            behind_ms = position_ms - self._positions_ms[-1]
            return self._times_s[-1] + behind_ms / 1000 if behind_ms <= MARK_MS else None
        if after == 0:
            return self._times_s[0]
        one_ms, two_ms = self._positions_ms[after - 1 : after + 1]
        one_s, two_s = self._times_s[after - 1 : after + 1]
        return one_s + (two_s - one_s) * (position_ms - one_ms) / (two_ms - one_ms)
