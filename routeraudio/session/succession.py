"""How one connection to a provider follows another.

A session begins with the first connection and replaces it by the next one, whatever the reason.

**Rotation**, before a vendor ends a connection by the clock. The next one is dialled in time:

    current  ──── audio ────▶│ FINISH ──▶ last words ──▶ over
    next          dialled ──▶│ ready      audio ────────────▶ … current
                             └ the switch: at a final or a pause, else when the time is up

**Failover**, when a connection was lost: cut, refused, silent at its end. Audio waits meanwhile, and the next one hears
again what was not final:

    current  ──── audio ────╳ lost
    next                     dialled ──▶ ready: replay, audio ────────────▶ … current
                             └ an incident (`session.incident`): so many attempts, so long
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.audio.transcode import Transcoder
from routeraudio.dialects.base import Control
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.policy.limits import Limits
from routeraudio.policy.routing import Budget
from routeraudio.session.candidate import Candidate
from routeraudio.session.dialling import Dialling
from routeraudio.session.incident import Incident, may_be_survived
from routeraudio.session.legs import Legs
from routeraudio.session.observer import Observer
from routeraudio.session.pause import Pause
from routeraudio.session.relay import Relay
from routeraudio.session.stall import ANSWER_S
from routeraudio.session.upstream import Upstream

log = structlog.get_logger(__name__)

ROTATION_S: Final = 30.0
"""How long before a connection's end its successor is dialled: two failed dials and a sentence."""

ROTATION_SHARE: Final = 3
"""But not before two thirds of a short connection are over."""

REDIAL_S: Final = 1.0
"""Between two attempts to dial a successor."""

LEVEL_S: Final = 0.05
"""Between two looks whether a container's bytes are all on their way."""


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    """How a session survives the loss of a connection."""

    budget: Budget = Budget()
    """Of one incident."""
    replay_s: float = 30.0
    """Audio kept for the next connection, while it is not final."""
    stall_s: float = 0.0
    """Speech without any text for so long is a provider that has stopped listening; 0: that is never noticed."""
    hedge_s: float = 0.0
    """A dial that has not led to anything by then gets a competitor; 0: none ever does."""


class Succession:
    """The connections of one session, from the first to the last. Owns them.

    Args:
        relay: is told which connection is the current one.
        candidates: who may serve the session, best first.
        audio: what the relay is given.
        source: what the audio comes from; a container has to begin anew for a new connection.
        observer: is told how long the first dial took.
        is_raw: also pass the vendor's messages on as they came.
        failover: None: the loss of a connection ends the session.
        legs: is told which candidate goes on with the session; None: all cost the same.
    """

    def __init__(
        self,
        relay: Relay,
        candidates: Sequence[Candidate],
        limits: Limits,
        *,
        audio: AudioFormat,
        source: Transcoder,
        observer: Observer,
        is_raw: bool,
        failover: Failover | None = None,
        legs: Legs | None = None,
    ) -> None:
        self._relay = relay
        self._candidates = candidates
        self._at = 0
        """Which of them is the current one."""
        self._limits = limits
        self._audio = audio
        self._source = source
        self._observer = observer
        self._is_raw = is_raw
        self._failover = failover
        self._legs = legs
        self._open: list[Upstream] = []
        """All that have been made and not yet closed."""
        self._gone: set[int] = set()
        """Candidates that are of no use to this session any more."""
        self._incident: Incident | None = None
        """Not over before a connection has shown that it works."""
        self._loss: tuple[Upstream, Fault] | None = None
        self._lost = trio.Event()
        self._rotation = trio.CancelScope()
        self.losses: list[str] = []
        """Why connections were lost, for the log: codes of faults."""
        self._doubtful: Upstream | None = None
        self._doubt = trio.Event()
        if failover is not None:
            relay.on_lost = self._on_lost
            relay.on_stall = self._on_stall

    @property
    def _candidate(self) -> Candidate:
        return self._candidates[self._at]

    async def run(self) -> None:
        """Dial, then serve the relay's link until cancelled. The session calls `aclose` afterwards.

        Raises:
            Fault: the upstream cannot be opened, does not get ready, or does not read.
        """
        async with trio.open_nursery() as nursery:
            first = await self._first(nursery)
            nursery.start_soon(self._relay.link.run)
            self._serve(nursery, first)
            if self._failover is not None and self._failover.stall_s:
                nursery.start_soon(self._doubts)
            while True:
                await self._lost.wait()
                await self._recover(nursery)

    async def _first(self, nursery: trio.Nursery) -> Upstream:
        """The first connection, which audio goes to."""
        if self._failover is None:
            first = self._make(self._candidate)
            self._relay.take_over(first)
            await first.open()
        else:
            if len(self._candidates) == 1 and (why := self._candidate.health.why()):
                raise UpstreamFault(
                    f"{self._candidate.title} {why}", code="provider_unreachable", is_retryable=True
                )
            self._incident = self._new_incident(self._failover)
            found = await self._dialled(nursery, self._incident)
            if found is None:
                raise self._incident.fault()
            first = found
            if self._at:
                await self._move(None)
            self._relay.take_over(first)
        self._observer.dialled(first.open_s - first.opened_s)
        return first

    def _serve(self, nursery: trio.Nursery, current: Upstream) -> None:
        """Start the tasks of the current connection."""
        nursery.start_soon(self._tend, current)
        self._rotation = trio.CancelScope()
        if self._candidate.session_s is not None:
            nursery.start_soon(self._rotate, nursery, self._rotation, current, self._candidate.session_s)

    async def aclose(self) -> None:
        """Close every connection within its close deadline."""
        async with trio.open_nursery() as nursery:
            for upstream in self._open:
                nursery.start_soon(upstream.aclose)

    def resume(self) -> None:
        """The client has room for events again."""
        for upstream in self._open:
            upstream.resume()

    # Rotation.

    async def _rotate(
        self, nursery: trio.Nursery, scope: trio.CancelScope, current: Upstream, session_s: float
    ) -> None:
        """Replace the connection before the vendor ends it, again and again. Starts tasks in ``nursery``."""
        with scope:
            await self._rotates(nursery, current, session_s)

    async def _rotates(self, nursery: trio.Nursery, current: Upstream, session_s: float) -> None:
        relay = self._relay
        ahead_s = min(ROTATION_S, session_s / ROTATION_SHARE)
        while not relay.is_finishing:
            await trio.sleep_until(current.opened_s + session_s - ahead_s)
            successor = await self._dial_successor()
            nursery.start_soon(self._tend, successor)
            # A quarter of the time is left for the old connection's last words.
            await self._await_pause(until_s=current.opened_s + session_s - ahead_s / 4)
            if not (successor.is_over or relay.is_finishing):
                self._switch(current, successor)
                current = successor

    async def _dial_successor(self) -> Upstream:
        """A ready connection. If there is none to be had, the vendor ends the session meanwhile."""
        while True:
            successor = self._make(self._candidate)
            try:
                await successor.open()
                await successor.ready()
            except Fault as fault:
                log.warning("rotation_dial_failed", provider=self._candidate.title, why=fault.message)
                await self._close(successor)
                await trio.sleep(REDIAL_S)
            else:
                return successor

    async def _await_pause(self, until_s: float) -> None:
        """Until a word's end, so far as that can be told, and for a container until nothing is under way."""
        self._relay.pause = Pause(self._candidate.audio_format)
        with trio.move_on_at(until_s):
            await self._relay.pause.wait()
        self._relay.pause = None
        if not self._candidate.audio_format.is_raw:
            # A container begins anew at its source, ahead of the link.
            while not self._relay.link.is_level:  # noqa: ASYNC110 - at most once in hours
                await trio.sleep(LEVEL_S)

    def _switch(self, current: Upstream, successor: Upstream) -> None:
        """The successor goes on where the current connection's audio ends."""
        if self._candidate.audio_format.is_raw:
            successor.begins_ms = current.sent_to_ms
        else:
            current.begins_ms = self._source.resumed_ms
        self._source.restart()
        self._relay.take_over(successor)
        log.debug("rotated", provider=self._candidate.title, at_ms=round(successor.begins_ms))

    # Failover.

    def _on_lost(self, upstream: Upstream, fault: Fault) -> bool:
        """The current connection is lost. True: `_recover` finds another one, or says why there is none."""
        is_hopeless = (
            isinstance(fault, UpstreamFault) and not fault.is_retryable and len(self._candidates) == 1
        )
        if is_hopeless or not may_be_survived(fault):
            return False
        self._loss = upstream, fault
        self._lost.set()
        return True

    def _on_stall(self, upstream: Upstream) -> None:
        """The current connection seems to have stopped listening."""
        self._doubtful = upstream
        self._doubt.set()

    async def _doubts(self) -> None:
        """Ask whoever seems to have stopped listening for finals; who stays silent has."""
        while True:
            await self._doubt.wait()
            self._doubt = trio.Event()
            doubtful = self._doubtful
            assert doubtful is not None
            heard = doubtful.heard
            doubtful.take(Control.FINALIZE)
            await trio.sleep(ANSWER_S)
            is_silent = doubtful.heard == heard and not (doubtful.is_paused or self._relay.is_finishing)
            title = doubtful.candidate.title
            fault = UpstreamFault(
                f"{title} has heard speech for some time, and said nothing",
                code="provider_unreachable",
                is_retryable=True,
            )
            if is_silent:
                log.warning("provider_stalled", provider=title)
            self._relay.doubted(doubtful, fault if is_silent else None)

    async def _recover(self, nursery: trio.Nursery) -> None:
        assert self._loss is not None
        assert self._failover is not None
        lost, fault = self._loss
        self._lost = trio.Event()
        self._rotation.cancel()
        self.losses.append(fault.code)
        log.warning("connection_lost", provider=lost.candidate.title, code=fault.code)
        log.debug("connection_lost_why", why=fault.message)
        if lost in self._open:
            nursery.start_soon(self._close, lost)
        incident = self._incident
        if (
            incident is None
            or lost.has_worked
            or trio.current_time() - lost.ready_s >= self._failover.budget.within_s
        ):
            incident = self._incident = self._new_incident(self._failover, lost=self._at)
        incident.failed(self._at, fault)
        found = await self._dialled(nursery, incident)
        if found is None:
            self._relay.give_up(incident.fault())
            return
        try:
            await self._move(lost)
        except Fault as refused:
            nursery.start_soon(self._close, found)
            self._relay.give_up(refused)
            return
        self._relay.replace(found)
        log.info("connection_replaced", provider=found.candidate.title, at_ms=round(found.begins_ms))
        self._serve(nursery, found)

    async def _move(self, lost: Upstream | None) -> None:
        """What is not final is charged at the price of whoever makes it so.

        Raises:
            Fault: the key may not go on.
        """
        open_leg = self._candidate.open_leg
        if self._legs is not None and open_leg is not None:
            final_ms, replayed_ms = self._relay.unsettled()
            heard_ms = None if lost is None else lost.usage_ms
            await self._legs.move(open_leg, final_ms=final_ms, replayed_ms=replayed_ms, provider_ms=heard_ms)

    def _new_incident(self, failover: Failover, lost: int | None = None) -> Incident:
        now_s = trio.current_time()
        return Incident(self._candidates, failover.budget, self._gone, now_s, lost)

    async def _dialled(self, nursery: trio.Nursery, incident: Incident) -> Upstream | None:
        """A connection that is ready for audio; None: there is none to be had.

        Raises:
            ClientFault: the client must change something.
        """
        assert self._failover is not None
        found = await Dialling(
            incident,
            lambda at: self._make(self._candidates[at]),
            self._close,
            closing=nursery,
            hedge_s=self._failover.hedge_s,
        ).run()
        if found is None:
            return None
        self._at, upstream = found
        return upstream

    # Connections.

    def _make(self, candidate: Candidate) -> Upstream:
        upstream = Upstream(
            candidate,
            self._limits,
            source=self._audio,
            generation=self._relay.connections,
            is_raw=self._is_raw,
            speaks_as=None if candidate.name == self._candidates[0].name else candidate.name,
            on_refused=self._observer.refused,
            tell=self._relay.hear,
        )
        self._open.append(upstream)
        return upstream

    async def _tend(self, upstream: Upstream) -> None:
        """Keep a connection's time to its end; close it, unless the session ends with it."""
        await upstream.keep_time()
        if upstream is not self._relay.current:
            await self._close(upstream)

    async def _close(self, upstream: Upstream) -> None:
        await upstream.aclose()
        if upstream in self._open:
            self._open.remove(upstream)
