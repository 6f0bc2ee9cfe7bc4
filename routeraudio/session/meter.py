"""The meter reads along: audio seconds by samples, 5-second cycles, and the clock of an idle or endless session."""

from collections.abc import Callable

import trio

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.policy.limits import Limits
from routeraudio.policy.pricing import CYCLE_S, cycles


class Meter:
    """Counts one session's audio.

    Args:
        on_limit: called once with the fault when the session has been idle, or has lasted, too long.
        is_held: whether the client is kept from sending, so that its silence is not its own.
    """

    def __init__(
        self,
        source: AudioFormat,
        limits: Limits,
        *,
        on_limit: Callable[[ClientFault], None],
        is_held: Callable[[], bool],
    ) -> None:
        self.received_bytes = 0
        self._source = source
        self._limits = limits
        self._on_limit = on_limit
        self._is_held = is_held
        self._signs_of_life = 0

    def audio(self, length_bytes: int) -> None:
        """The client sent audio."""
        self.received_bytes += length_bytes

    def keepalive(self) -> None:
        """The client said that it is still there."""
        self._signs_of_life += 1

    @property
    def audio_ms(self) -> int:
        """Audio received, whole milliseconds; 0 for containers, whose duration only a decoder knows."""
        return self._source.duration_ms(self.received_bytes) if self._source.is_raw else 0

    @property
    def cycles(self) -> int:
        """Cycles begun."""
        return cycles(self.audio_ms)

    async def run(self) -> None:
        """Watch the clock until the session ends. Looks once a cycle, so that the hot path needs no clock."""
        began_s = quiet_since_s = trio.current_time()
        seen = (0, 0)
        look_s = min(CYCLE_S, self._limits.idle_s / 4)
        while True:
            await trio.sleep(look_s)
            now_s = trio.current_time()
            now_seen = (self.received_bytes, self._signs_of_life)
            if now_seen != seen or self._is_held():
                seen, quiet_since_s = now_seen, now_s
            if now_s - quiet_since_s >= self._limits.idle_s:
                self._on_limit(
                    _timeout(f"no audio for {self._limits.idle_s:g} s; send audio or keepalive messages")
                )
                return
            if now_s - began_s >= self._limits.session_s:
                self._on_limit(_timeout(f"sessions last at most {self._limits.session_s:g} s; connect again"))
                return


def _timeout(message: str) -> ClientFault:
    return ClientFault(message, code="timeout", close_code=CloseCode.TIMEOUT)
