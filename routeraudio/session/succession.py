"""How one connection to a provider follows another.

A session begins with the first connection and replaces it by the next one, whatever the reason. The reason so far: a
vendor that ends connections by the clock. Then the next one is dialled in time:

    current  ──── audio ────▶│ FINISH ──▶ last words ──▶ over
    next          dialled ──▶│ ready      audio ────────────▶ … current
                             └ the switch: at a final or a pause, else when the time is up
"""

from typing import Final

import structlog
import trio

from routeraudio.audio.transcode import Transcoder
from routeraudio.model.errors import Fault
from routeraudio.policy.limits import Limits
from routeraudio.session.candidate import Candidate
from routeraudio.session.observer import Observer
from routeraudio.session.pause import Pause
from routeraudio.session.relay import Relay
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


class Succession:
    """The connections of one session, from the first to the last. Owns them.

    Args:
        relay: is told which connection is the current one.
        source: what the audio comes from; a container has to begin anew for a new connection.
        observer: is told how long the first dial took.
        is_raw: also pass the vendor's messages on as they came.
    """

    def __init__(
        self,
        relay: Relay,
        candidate: Candidate,
        limits: Limits,
        *,
        source: Transcoder,
        observer: Observer,
        is_raw: bool,
    ) -> None:
        self._relay = relay
        self._candidate = candidate
        self._limits = limits
        self._source = source
        self._observer = observer
        self._is_raw = is_raw
        self._open: list[Upstream] = []
        """All that have been made and not yet closed."""

    async def run(self) -> None:
        """Dial, then serve the relay's link until cancelled. The session calls `aclose` afterwards.

        Raises:
            Fault: the upstream cannot be opened, does not get ready, or does not read.
        """
        first = self._make()
        self._relay.take_over(first)
        await first.open()
        self._observer.dialled(trio.current_time() - first.opened_s)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._relay.link.run)
            if self._candidate.session_s is not None:
                nursery.start_soon(self._rotate, nursery, first, self._candidate.session_s)
            await self._tend(first)

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

    async def _rotate(self, nursery: trio.Nursery, current: Upstream, session_s: float) -> None:
        """Replace the connection before the vendor ends it, again and again. Starts tasks in ``nursery``."""
        relay = self._relay
        ahead_s = min(ROTATION_S, session_s / ROTATION_SHARE)
        while not relay.is_finishing:
            await trio.sleep_until(current.opened_s + session_s - ahead_s)
            successor = await self._dial_successor()
            nursery.start_soon(self._tend, successor)
            # A quarter of the time is left for the old connection's last words.
            await self._await_pause(until_s=current.opened_s + session_s - ahead_s / 4)
            if not (successor.is_over or relay.is_finishing):
                if not self._switch(current, successor):
                    return
                current = successor

    async def _dial_successor(self) -> Upstream:
        """A ready connection. If there is none to be had, the vendor ends the session meanwhile."""
        while True:
            successor = self._make()
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

    def _switch(self, current: Upstream, successor: Upstream) -> bool:
        """The successor goes on where the current connection's audio ends.

        False: the client's container cannot be taken up again, the vendor's end will be the session's.
        """
        if self._candidate.audio_format.is_raw:
            successor.begins_ms = current.sent_to_ms
        elif self._source.resumed_ms is not None:
            current.begins_ms = self._source.resumed_ms
        if not self._source.restart():
            log.warning("rotation_impossible", provider=self._candidate.title)
            return False
        self._relay.take_over(successor)
        log.debug("rotated", provider=self._candidate.title, at_ms=round(successor.begins_ms))
        return True

    # Connections.

    def _make(self) -> Upstream:
        upstream = Upstream(
            self._candidate,
            self._limits,
            generation=self._relay.connections,
            is_raw=self._is_raw,
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
        self._open.remove(upstream)
