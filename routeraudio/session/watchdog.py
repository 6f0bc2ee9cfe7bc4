"""The meter reads along: how much audio a client has sent, and the clock of an idle or endless session."""

from collections.abc import Callable
from typing import Final

import trio

from routeraudio.model.errors import ClientFault, CloseCode, Fault
from routeraudio.policy.limits import Limits
from routeraudio.session.credit import Credit
from routeraudio.session.observer import Arrivals

LOOK_S: Final = 5.0
"""Between two looks at the clock: how late an idle session may be noticed."""


class Watchdog:
    """Counts one session's audio.

    Args:
        credit: says when the session must end for its key's sake.
        arrivals: remembers when audio came.
        on_limit: called once with the fault when that happens, or the session has been idle, or has lasted, too long.
        is_held: whether the client is kept from sending, so that its silence is not its own.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        credit: Credit,
        arrivals: Arrivals,
        on_limit: Callable[[Fault], None],
        is_held: Callable[[], bool],
    ) -> None:
        self.received_bytes = 0
        self._limits = limits
        self._arrivals = arrivals
        self._credit = credit
        self._on_limit = on_limit
        self._is_held = is_held
        self._signs_of_life = 0

    def audio(self, length_bytes: int) -> None:
        """The client sent audio."""
        self.received_bytes += length_bytes
        if self.received_bytes >= self._arrivals.look_at_bytes:
            self._arrivals.came(self.received_bytes)

    def keepalive(self) -> None:
        """The client said that it is still there."""
        self._signs_of_life += 1

    async def run(self) -> None:
        """Observer the clock until the session ends. Looks now and then, so that the hot path needs no clock."""
        began_s = quiet_since_s = trio.current_time()
        seen = (0, 0)
        look_s = min(LOOK_S, self._limits.idle_s / 4)
        while True:
            try:
                with trio.move_on_after(look_s):
                    await self._credit.revoked()
            except Fault as fault:
                self._on_limit(fault)
                return
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
