"""The charge stands at the provider's door: audio counts when it is sent there, and goes as far as it is granted.

Counted where it is sent, audio that never reached a provider costs nothing; counted by samples, silence on an open
socket costs nothing either. The price per message is one comparison: everything else happens once a cycle.
"""

from collections.abc import Callable
from typing import Final

import trio

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault
from routeraudio.policy.pricing import CYCLE_S, cycles
from routeraudio.session.credit import Credit

CYCLE_MS: Final = CYCLE_S * 1000


class AudioMeter:
    """What of a session's audio has been charged, and whether more may be sent.

    Args:
        audio: what the provider is sent.
        position_ms: for a container, whose bytes are no measure of time: how much audio so many of its bytes hold.
        on_refused: called once with the fault when no more will be granted.
    """

    def __init__(
        self,
        credit: Credit,
        audio: AudioFormat,
        *,
        position_ms: Callable[[int], int],
        on_refused: Callable[[Fault], None],
    ) -> None:
        self._credit = credit
        self._audio = audio
        self._position_ms = audio.duration_ms if audio.is_raw else position_ms
        self._on_refused = on_refused
        self._sent_bytes = 0
        self._look_at_bytes = 0.0
        """Until then there is nothing to do."""
        self.cycles = 0
        """Begun."""
        self.is_cut = False
        """No more is granted: what follows is not sent."""

    @property
    def sent_ms(self) -> int:
        """Audio sent, whole milliseconds."""
        return self._position_ms(self._sent_bytes)

    def sent(self, sent_bytes: int) -> bool:
        """So many bytes have been sent in all. False: `room` must be waited for before more is."""
        self._sent_bytes = sent_bytes
        return sent_bytes < self._look_at_bytes or self._look()

    def covers(self, sent_bytes: int) -> bool:
        """Whether so many bytes in all may be sent. What cannot be cut at the borders of cycles is asked for ahead."""
        return cycles(self._position_ms(sent_bytes)) <= self._credit.granted

    async def room(self, sent_bytes: int = 0) -> None:
        """Wait until more audio may be sent, up to ``sent_bytes`` in all, or none may any more."""
        while not (self.is_cut or (self._look() and self.covers(sent_bytes))):
            try:
                await self._credit.wait_granted(max(self.cycles + 1, cycles(self._position_ms(sent_bytes))))
            except Fault as fault:
                self.cut(fault)
        await trio.lowlevel.checkpoint_if_cancelled()

    def cut(self, fault: Fault) -> None:
        """Nothing more is sent, because of ``fault``."""
        if not self.is_cut:
            self.is_cut = True
            self._on_refused(fault)

    def _look(self) -> bool:
        sent_ms = self.sent_ms
        begun = cycles(sent_ms)
        if begun > self.cycles:
            self.cycles = begun
            self._credit.begun(begun)
        granted_ms = self._credit.granted * CYCLE_MS
        if self._audio.is_raw:
            # The first whole millisecond of the next cycle begins it; the last granted one is waited behind.
            next_ms = min(self.cycles * CYCLE_MS + 1, granted_ms)
            self._look_at_bytes = -(-next_ms * self._audio.bytes_per_second // 1000)
        return sent_ms < granted_ms
