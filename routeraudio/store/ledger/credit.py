"""A running credit: one stream's side of the ledger. See `session.credit.Credit`, which it is."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio

from routeraudio.model.errors import Fault
from routeraudio.policy.pricing import CYCLE_S
from routeraudio.store.contract import MOVED, Mark, Opening, Settled
from routeraudio.store.ledger import refusals

AHEAD: Final = 1
"""Cycles granted beyond those that are durable: the one in flight, which is all that a crash may lose."""

CLOSE_S: Final = 5.0
"""For an ending to become durable; what takes longer is kept, and told later."""


class _End(msgspec.Struct, frozen=True):
    audio_ms: int
    connected_ms: int
    provider_ms: int | None
    ending: str


class RunningCredit:
    """See `Credit`.

    Args:
        on_change: called when there is a new mark to take down.
        on_wait: called when the stream stands still until it is.
        hurry: takes marks down right away where nobody does it later.
    """

    def __init__(
        self,
        opening: Opening,
        granted: int,
        *,
        on_change: Callable[["RunningCredit"], None],
        on_wait: Callable[[], None],
        hurry: Callable[[], Awaitable[None]],
    ) -> None:
        self.granted: float = granted
        self.line_id: Final = (opening.session_id, opening.leg)
        self.key_id: Final = opening.key_id
        self._token_concurrent_max: Final = opening.token_concurrent_max
        self.account: Final = opening.account
        self.has_key: Final = bool(opening.account)
        self.is_leased: Final = (
            opening.concurrency_max is not None or opening.token_concurrent_max is not None
        )
        self.is_awaited: Final = self.is_leased or opening.budget is not None
        """Whether somebody may be refused for what this stream holds."""
        self.quiet_since_s = trio.current_time()
        self._has_given_way = False
        self._on_change = on_change
        self._on_wait = on_wait
        self._hurry = hurry
        self._cycles = 0
        self._replayed_ms = 0
        self._wanted = 0
        """Cycles that somebody waits for."""
        self._lent = 0
        """Cycles granted here in this outage."""
        self._is_asked = False
        """A mark is on its way, whose answer will be fresh."""
        self._refused: Fault | None = None
        """Why the last answer did not grant all that was wanted."""
        self._revoked: Fault | None = None
        self._changed = trio.Event()
        self._end: _End | None = None

    # For the session: see `Credit`.

    def begun(self, cycles: int) -> None:
        """See `Credit`."""
        if cycles > self._cycles:
            self._cycles = cycles
            self._ask()

    async def wait_granted(self, cycles: int) -> None:
        """See `Credit`. What was refused a cycle ago is asked for again: a budget may have been raised since."""
        while self.granted < cycles:
            if self._revoked is not None:
                raise self._revoked
            if cycles > self._wanted:
                self._wanted = cycles
                self._ask()
            elif not self._is_asked:
                self._ask()
            self._on_wait()
            await self._changed.wait()
            if self.granted < cycles and self._refused is not None and not self._is_asked:
                raise self._refused

    async def revoked(self) -> None:
        """See `Credit`."""
        while self._revoked is None:
            await self._changed.wait()
        raise self._revoked

    def quiet(self, since_s: float) -> None:
        """See `Credit`."""
        self.quiet_since_s = since_s

    def replayed(self, replayed_ms: int) -> None:
        """See `session.legs.Leg`."""
        self._replayed_ms = replayed_ms
        self._ask()

    def moved(self, cycles: int, *, audio_ms: int, connected_ms: int, provider_ms: int | None) -> None:
        """See `session.legs.Leg`."""
        if self._end is None:
            self._cycles = cycles
            self._end = _End(audio_ms, connected_ms, provider_ms, MOVED)
            self._ask()

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """See `Credit`. Waits for nothing while the ledger runs: a session's place is not held for a disk."""
        if self._end is None:
            self._end = _End(audio_ms, connected_ms, provider_ms, ending)
            self._ask()
        if self.is_awaited:
            # Whoever comes back, to another node, shall find its place free soon.
            self._on_wait()
        with trio.move_on_after(CLOSE_S, shield=True):
            await self._hurry()

    # For the ledger.

    @property
    def is_closed(self) -> bool:
        """Whether the stream is over."""
        return self._end is not None

    def mark(self) -> Mark:
        """Where the stream stands now."""
        session_id, leg = self.line_id
        end = self._end
        if end is None and self._has_given_way:
            return Mark(
                session_id=session_id, leg=leg, cycles=self._cycles, wanted=self._cycles, ended="replaced"
            )
        if end is None:
            # More than this, because the last cycle has begun.
            audio_ms = max(0, self._cycles - 1) * CYCLE_S * 1000
            wanted = max(self._cycles + AHEAD, self._wanted)
            return Mark(
                session_id=session_id,
                leg=leg,
                cycles=self._cycles,
                wanted=wanted,
                audio_ms=audio_ms,
                replayed_ms=self._replayed_ms,
            )
        return Mark(
            session_id=session_id,
            leg=leg,
            cycles=self._cycles,
            wanted=self._cycles,
            audio_ms=end.audio_ms,
            connected_ms=end.connected_ms,
            provider_ms=end.provider_ms,
            replayed_ms=self._replayed_ms,
            ended=end.ending,
        )

    def settled(self, mark: Mark, answer: Settled) -> bool:
        """The ledger has taken ``mark`` down. Whether that was the last word."""
        self._lent = 0
        refusal = answer.refusal
        if mark.ended is None and refusal is not None and refusal.why != "budget":
            self.revoke(refusals.fault(refusal))
        self._refused = refusals.fault(refusal) if refusal is not None else None
        self._grant(answer.granted)
        return self._told(mark)

    def spooled(self, mark: Mark, lent_max: int, beyond: Fault) -> bool:
        """The local disk has ``mark``; at most ``lent_max`` cycles are lent. Whether it was the last word.

        Args:
            beyond: what ends a stream that wants more than that; whoever sends in real time never does.
        """
        more = mark.wanted - int(self.granted)
        is_fit = self._refused is None and self._revoked is None and mark.ended is None
        if is_fit and 0 < more <= lent_max - self._lent:
            self._lent += more
            self._grant(mark.wanted)
        elif is_fit and more > 0:
            self._refused = beyond
            self._notify()
        elif self._refused is not None:
            self._notify()
        return self._told(mark)

    @property
    def may_give_way(self) -> bool:
        """Whether it holds a place that a newer stream could be given."""
        return self.is_leased and not self._has_given_way and not self.is_closed

    def is_alike(self, opening: Opening) -> bool:
        """Whether ``opening`` is of the same key, and counts against the same limit of its tokens."""
        return (self.key_id, self._token_concurrent_max) == (opening.key_id, opening.token_concurrent_max)

    def give_way(self) -> None:
        """A newer stream of the same key takes its place at once; how long this one takes to end is its own matter."""
        self._has_given_way = True
        self.revoke(refusals.replaced())
        self._ask()

    def revoke(self, fault: Fault) -> None:
        """The stream must end. The first reason counts."""
        if self._revoked is None:
            self._revoked = fault
            self._notify()

    def _ask(self) -> None:
        self._is_asked = True
        self._on_change(self)

    def _grant(self, cycles: int) -> None:
        self.granted = max(self.granted, cycles)
        self._notify()

    def _told(self, mark: Mark) -> bool:
        self._is_asked = False
        return mark.ended is not None

    def _notify(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
