"""The clock of a session: idle for too long, lasting for too long, or no longer allowed to its key."""

from collections.abc import Callable
from typing import Final

import msgspec
import trio

from routeraudio.model.errors import Fault, timed_out
from routeraudio.policy.limits import Limits
from routeraudio.session.credit import Credit

LOOK_S: Final = 5.0
"""Between two looks at the clock: how late an idle session may be noticed."""

LOOK_LEASED_S: Final = 1.0
"""The same for sessions whose place others may need sooner than that."""


class Sentences(msgspec.Struct, frozen=True):
    """What a client is told; `{:g}` stands for the seconds of the limit."""

    idle: str
    lasted: str


class Watchdog:
    """Watches one session.

    Args:
        credit: says when the session must end for its key's sake.
        activity: differs from the last look when something has happened since.
        on_limit: called once with the fault when the session must end.
        is_held: whether the client is kept from sending, so that its silence is not its own.
    """

    __slots__ = ("_activity", "_credit", "_is_held", "_limits", "_on_limit", "_sentences")

    def __init__(
        self,
        limits: Limits,
        sentences: Sentences,
        *,
        credit: Credit,
        activity: Callable[[], object],
        on_limit: Callable[[Fault], None],
        is_held: Callable[[], bool],
    ) -> None:
        self._limits = limits
        self._sentences = sentences
        self._activity = activity
        self._credit = credit
        self._on_limit = on_limit
        self._is_held = is_held

    async def run(self) -> None:
        """Watch the clock until the session must end. Looks now and then, so that the hot path needs no clock."""
        limits = self._limits
        began_s = quiet_since_s = trio.current_time()
        seen = self._activity()
        look_s = min(LOOK_LEASED_S if self._credit.is_leased else LOOK_S, limits.idle_s / 4)
        while True:
            try:
                with trio.move_on_after(look_s):
                    await self._credit.revoked()
            except Fault as fault:
                self._on_limit(fault)
                return
            now_s = trio.current_time()
            now_seen = self._activity()
            if now_seen != seen or self._is_held():
                seen, quiet_since_s = now_seen, now_s
            self._credit.quiet(quiet_since_s)
            if now_s - quiet_since_s >= limits.idle_s:
                self._on_limit(timed_out(self._sentences.idle.format(limits.idle_s)))
                return
            if now_s - began_s >= limits.session_s:
                self._on_limit(timed_out(self._sentences.lasted.format(limits.session_s)))
                return
