"""How an incident gets its connection: one dial after another, or, hedged, two side by side.

first    dialled ──── not ready ──────────────────╳ closed, it was sent no audio
second            └ hedge_s: dialled ──▶ ready ────▶ serves
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.session.incident import Incident, may_be_survived
from routeraudio.session.upstream import Upstream

log = structlog.get_logger(__name__)

SIDE_BY_SIDE: Final = 2
"""Dials at the same time; more would cost vendors more than they save a listener."""


class Dialling:
    """The dials of one incident.

    Args:
        make: a connection to the candidate of this index, not yet dialled.
        close: closes one that is of no use.
        closing: outlives the incident; connections are closed there.
        hedge_s: whoever is not ready by then gets a competitor; 0: no dial begins before the last one has failed.
    """

    def __init__(
        self,
        incident: Incident,
        make: Callable[[int], Upstream],
        close: Callable[[Upstream], Awaitable[None]],
        *,
        closing: trio.Nursery,
        hedge_s: float,
    ) -> None:
        self._incident = incident
        self._make = make
        self._close = close
        self._closing = closing
        self._hedge_s = hedge_s
        self._racing: list[int] = []
        self._scope = trio.CancelScope()
        """Of the dials that are under way."""
        self._ready: tuple[int, Upstream] | None = None
        self._fatal: Fault | None = None

    async def run(self) -> tuple[int, Upstream] | None:
        """A candidate's index and its connection, ready for audio; None: there is none to be had.

        Raises:
            ClientFault: the client must change something.
        """
        while (step := self._incident.next(trio.current_time())) is not None:
            await trio.sleep(step.wait_s)
            self._scope = trio.CancelScope()
            with self._scope:
                async with trio.open_nursery() as dials:
                    self._begin(dials, step.index)
                    if self._hedge_s:
                        dials.start_soon(self._hedge, dials)
            if self._fatal is not None:
                raise self._fatal
            if self._ready is not None:
                return self._ready
        return None

    def _begin(self, dials: trio.Nursery, index: int) -> None:
        self._incident.dials(index)
        self._racing.append(index)
        dials.start_soon(self._dial, index)

    async def _hedge(self, dials: trio.Nursery) -> None:
        """Give the one that is not ready a competitor: another candidate, which may be dialled at once."""
        await trio.sleep(self._hedge_s)
        step = self._incident.next(trio.current_time())
        if step is not None and step.index not in self._racing and not step.wait_s:
            log.info("dial_hedged", slow=self._racing, competitor=step.index)
            self._begin(dials, step.index)

    async def _dial(self, index: int) -> None:
        upstream = self._make(index)
        try:
            await self._open(upstream)
        except Fault as fault:
            self._failed(index, upstream, fault)
        else:
            if self._ready is None:
                self._ready = index, upstream
                self._scope.cancel()
        finally:
            self._racing.remove(index)
            if self._ready is None or self._ready[1] is not upstream:
                self._closing.start_soon(self._close, upstream)
        if not self._racing:
            # What would have been a competitor is the next step's.
            self._scope.cancel()

    def _failed(self, index: int, upstream: Upstream, fault: Fault) -> None:
        if not may_be_survived(fault):
            self._fatal = fault
            self._scope.cancel()
            return
        self._incident.failed(index, fault)
        log.warning("dial_failed", provider=upstream.candidate.title, code=fault.code)

    async def _open(self, upstream: Upstream) -> None:
        """Open it, and wait until it is ready.

        Raises:
            Fault: it cannot be had.
        """
        with trio.move_on_at(self._incident.until_s) as scope:
            await upstream.open()
            await upstream.ready()
        if scope.cancelled_caught:
            raise UpstreamFault(
                f"{upstream.candidate.title} was not ready in time",
                code="provider_unreachable",
                is_retryable=True,
            )
        if upstream.fault is not None:
            raise upstream.fault
