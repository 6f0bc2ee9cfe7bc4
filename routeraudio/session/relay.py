"""The relay stage: sends audio to the provider and tells what comes back.

One connection serves a session, unless the vendor ends connections by the clock. Then the relay rotates in time:

    current  ──── audio ────▶│ FINISH ──▶ last words ──▶ over
    next          dialled ──▶│ ready      audio ────────────▶ … current
                             └ the switch: at a final or a pause, else when the time is up

What the new connection says is held until the old one has said its last word, and its times are moved to where its
audio began, so that the client sees one session on one timeline.
"""

from collections.abc import Callable

import structlog
import trio

from routeraudio.audio.pcm import is_quiet
from routeraudio.audio.transcode import Transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault
from routeraudio.model.events import Event, Failed, Final, Finished, Notice, Ready, TurnEnd, Usage, moved
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Adapter, Pace
from routeraudio.session.audio_meter import AudioMeter
from routeraudio.session.deliver import Deliver
from routeraudio.session.link import Link
from routeraudio.session.observer import Arrivals, Observer
from routeraudio.session.streams import Dialler
from routeraudio.session.upstream import Upstream

log = structlog.get_logger(__name__)

ITEM_BYTES = 64
"""What a chunk costs beside its audio, so that one-byte chunks are bounded too."""

CONTAINER_BYTES_PER_SECOND = 16_000
"""Compressed speech, generously: 128 kbit/s. Only bounds of memory are derived from it."""

ROTATION_S = 30.0
"""How long before a connection's end its successor is dialled: two failed dials and a sentence."""

ROTATION_SHARE = 3
"""But not before two thirds of a short connection are over."""

REDIAL_S = 1.0
"""Between two attempts to dial a successor."""

LEVEL_S = 0.05
"""Between two looks whether a container's bytes are all on their way."""

PAUSE_MS = 300
"""Quiet for this long is a pause between words (within words, stops are quiet for under 150 ms)."""


def size(command: Command) -> int:
    """What a command counts on a link of audio, in bytes."""
    return ITEM_BYTES + (len(command) if isinstance(command, bytes) else 0)


def room_bytes(audio: AudioFormat, duration_s: float) -> int:
    """How many bytes ``duration_s`` of ``audio`` may take up on a link."""
    per_second = audio.bytes_per_second if audio.is_raw else CONTAINER_BYTES_PER_SECOND
    return int(per_second * duration_s)


class Relay:
    """A session's side towards its provider.

    Args:
        source: what the audio comes from; a container has to begin anew for a new connection.
        audio_meter: counts what is sent, and says how far it may go.
        watch: is told about connections.
        arrivals: is told about texts.
        title: the provider as people write it.
        is_raw: also pass the vendor's messages on as they came.
        pace: how fast the vendor wants audio; None: as fast as it reads.
        another: makes the adapter of a further connection; None: there will be none.
        session_s: replace a connection before the vendor ends it, which it does after this long; None: its end is the
            session's.
    """

    # More attributes than instances of a class share the names of: a dictionary of its own would cost 1.5 KiB.
    __slots__ = (
        "_another",
        "_arrivals",
        "_audio_format",
        "_audio_meter",
        "_current",
        "_current_since_s",
        "_deliver",
        "_dial",
        "_dialled_s",
        "_held",
        "_is_finishing",
        "_is_raw",
        "_leaving",
        "_limits",
        "_next",
        "_observer",
        "_offset_ms",
        "_old",
        "_old_offset_ms",
        "_pace",
        "_past_usage_ms",
        "_pause",
        "_quiet_ms",
        "_session_s",
        "_source",
        "_title",
        "connections",
        "finalised_ms",
        "link",
        "sent_bytes",
    )

    def __init__(
        self,
        adapter: Adapter,
        dial: Dialler,
        deliver: Deliver,
        limits: Limits,
        *,
        source: Transcoder,
        audio_meter: AudioMeter,
        observer: Observer,
        arrivals: Arrivals,
        title: str,
        is_raw: bool,
        pace: Pace | None = None,
        another: Callable[[], Adapter] | None = None,
        session_s: float | None = None,
    ) -> None:
        self._dial = dial
        self._deliver = deliver
        self._limits = limits
        self._source = source
        self._audio_meter = audio_meter
        self._observer = observer
        self._arrivals = arrivals
        self._title = title
        self._is_raw = is_raw
        self._pace = pace if adapter.audio_format.is_raw else None
        self._another = another
        self._session_s = session_s
        self._audio_format = adapter.audio_format
        self.link: Link[Command] = Link(
            self.step,
            wait=self.wait,
            size=size,
            room_bytes=room_bytes(adapter.audio_format, limits.dialling_audio_s),
            on_room=_nothing,
        )
        self._current = self._make(adapter)
        self._next: Upstream | None = None
        self._old: Upstream | None = None
        self._held: list[Event] = []
        """Of the current connection, while the old one has not said its last word."""
        self._dialled_s: float | None = None
        """When the first connection was begun, until it is ready."""
        self._offset_ms = 0
        """Where the current connection's audio begins."""
        self._old_offset_ms = 0
        self._current_since_s = 0.0
        """When the current connection could be sent audio."""
        self._pause: trio.Event | None = None
        """There while a successor waits for a pause."""
        self._quiet_ms = 0
        self._is_finishing = False
        self._leaving: list[Upstream] = []
        """Connections that have said their last word and are being closed."""
        self._past_usage_ms = 0
        self.sent_bytes = 0
        self.connections = 1
        self.finalised_ms = 0
        """Where the last final ends."""

    # The stage.

    def step(self, command: Command) -> bool:
        """See `Link`. Must wait while the provider does not read, and for the grant of the next cycle."""
        if isinstance(command, bytes):
            if self._audio_meter.is_cut:
                return True
            self.sent_bytes += len(command)
            if self._pause is not None:
                self._listen_for_pause(command, self._pause)
            may_go_on = self._audio_meter.sent(self.sent_bytes)
            goes_on = self._current.take(command) and may_go_on
            return goes_on if self._pace is None else goes_on and self._ahead_s() == 0.0
        if command is Control.FINISH:
            self._is_finishing = True
        return self._current.take(command)

    async def wait(self) -> None:
        """See `Link`.

        Raises:
            UpstreamFault: the provider does not get ready, or does not read.
        """
        await self._current.ready()
        if self._dialled_s is not None:
            self._observer.ready(trio.current_time() - self._dialled_s)
            self._dialled_s = None
            self._current_since_s = trio.current_time()
        await self._current.flushed()
        await self._audio_meter.room()
        await trio.sleep(self._ahead_s())

    async def run(self) -> None:
        """Dial, then serve the link until cancelled. The session calls `aclose` afterwards.

        Raises:
            Fault: the upstream cannot be opened, does not get ready, or does not read.
        """
        opened_s = self._dialled_s = trio.current_time()
        await self._current.open(self._dial)
        self._observer.dialled(trio.current_time() - opened_s)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.link.run)
            if self._session_s is not None and self._another is not None:
                nursery.start_soon(self._rotate, nursery, opened_s, self._session_s, self._another)
            await self._tend(self._current)

    @property
    def usage(self) -> Usage | None:
        """What the vendor says it heard, over all connections; None: it has not said."""
        now_ms = self._current.usage_ms
        return None if now_ms is None else Usage(self._past_usage_ms + now_ms)

    async def aclose(self) -> None:
        """Close every connection within its close deadline."""
        async with trio.open_nursery() as nursery:
            for upstream in self._upstreams:
                nursery.start_soon(upstream.aclose)

    def resume(self) -> None:
        """The client has room for events again."""
        for upstream in self._upstreams:
            upstream.resume()

    def settle(self) -> None:
        """The session ends before the provider does: what is settled becomes events, in order."""
        if self._old is not None:
            self._old.settle()
            self._retired()
        self._current.settle()

    # What a connection tells.

    def _hear(self, upstream: Upstream, event: Event) -> bool:
        if isinstance(event, Notice):
            log.debug("upstream_notice", provider=self._title, code=event.code)
        if upstream is self._next:
            return self._hear_next(event)
        if upstream is self._old:
            return self._hear_old(event)
        if isinstance(event, Ready):
            self.link.room_bytes = room_bytes(self._audio_format, self._limits.stage_audio_s)
        elif isinstance(event, Final) and self._pause is not None:
            self._pause.set()
        event = moved(event, self._offset(), self.connections - 1)
        if self._old is not None:
            self._held.append(event)
            return True
        return self._push(event)

    def _hear_next(self, event: Event) -> bool:
        """It has been sent no audio; all it can tell is that it has gone again."""
        if isinstance(event, Failed | Finished) and self._pause is not None:
            self._pause.set()
        return True

    def _hear_old(self, event: Event) -> bool:
        if isinstance(event, Failed | Finished):
            if isinstance(event, Failed):
                log.warning("rotation_incomplete", provider=self._title, why=event.fault.message)
            self._retired()
            return True
        if isinstance(event, TurnEnd):
            return True  # of our own making: it was asked for its last words, and the speaker goes on
        return self._push(moved(event, self._old_offset_ms, self.connections - 2))

    def _retired(self) -> None:
        """The old connection has said its last word: now the new one may be heard."""
        assert self._old is not None
        self._past_usage_ms += self._old.usage_ms or 0
        self._leaving.append(self._old)
        self._old = None
        held, self._held = self._held, []
        for event in held:
            self._push(event)

    def _push(self, event: Event) -> bool:
        self._arrivals.told(event)
        if isinstance(event, Final):
            self.finalised_ms = max(self.finalised_ms, event.end_ms)
        return self._deliver.push(event)

    # Rotation.

    async def _rotate(
        self, nursery: trio.Nursery, opened_s: float, session_s: float, another: Callable[[], Adapter]
    ) -> None:
        """Replace the connection before the vendor ends it, again and again. Starts tasks in ``nursery``."""
        ahead_s = min(ROTATION_S, session_s / ROTATION_SHARE)
        while not self._is_finishing:
            await trio.sleep_until(opened_s + session_s - ahead_s)
            successor, successor_opened_s = await self._dial_successor(another)
            nursery.start_soon(self._tend, successor)
            self._pause, self._quiet_ms = trio.Event(), 0
            # A quarter of the time is left for the old connection's last words.
            with trio.move_on_at(opened_s + session_s - ahead_s / 4):
                await self._pause.wait()
            self._pause = None
            if not self._audio_format.is_raw:
                await self._level()
            if not (successor.is_over or self._is_finishing):
                if not self._switch(successor):
                    return
                opened_s = successor_opened_s

    async def _dial_successor(self, another: Callable[[], Adapter]) -> tuple[Upstream, float]:
        """A ready connection, and when it was begun. If there is none to be had, the vendor ends the session."""
        while True:
            began_s = trio.current_time()
            self._next = successor = self._make(another())
            try:
                await successor.open(self._dial)
                await successor.ready()
            except Fault as fault:
                log.warning("rotation_dial_failed", provider=self._title, why=fault.message)
                await successor.aclose()
                await trio.sleep(REDIAL_S)
            else:
                return successor, began_s

    async def _level(self) -> None:
        """Wait until nothing is under way: a container begins anew at its source, ahead of the link."""
        while not self.link.is_level:  # noqa: ASYNC110 - at most once in hours
            await trio.sleep(LEVEL_S)

    def _switch(self, successor: Upstream) -> bool:
        """From here on audio goes to ``successor``; the old connection is asked for its last words.

        False: the client's container cannot be taken up again, the vendor's end will be the session's.
        """
        old_offset_ms = self._offset()
        if not self._source.restart():
            log.warning("rotation_impossible", provider=self._title)
            return False
        old, self._old_offset_ms = self._current, old_offset_ms
        self._current, self._next, self._old = successor, None, old
        self._current_since_s = trio.current_time()
        self.connections += 1
        if self._audio_format.is_raw:
            self._offset_ms = self._audio_format.duration_ms(self.sent_bytes)
        log.debug("rotated", provider=self._title, at_ms=self._offset())
        old.take(Control.FINISH)
        return True

    def _offset(self) -> int:
        """Where the current connection's audio begins; a container's transcoder knows where it began anew."""
        resumed_ms = None if self._audio_format.is_raw else self._source.resumed_ms
        return self._offset_ms if resumed_ms is None else resumed_ms

    async def _tend(self, upstream: Upstream) -> None:
        """Keep a connection's time to its end; close it, unless the session ends with it."""
        await upstream.keep_time()
        if upstream is not self._current:
            await upstream.aclose()
            if upstream in self._leaving:
                self._leaving.remove(upstream)

    def _listen_for_pause(self, chunk: bytes, pause: trio.Event) -> None:
        if self._audio_format.encoding == "pcm_s16le" and is_quiet(chunk):
            self._quiet_ms += self._audio_format.duration_ms(len(chunk))
        else:
            self._quiet_ms = 0
        if self._quiet_ms >= PAUSE_MS:
            pause.set()

    # Helpers.

    def _ahead_s(self) -> float:
        """How long to wait for a vendor that wants audio no faster than it is spoken."""
        if self._pace is None:
            return 0.0
        sent_ms = self._audio_format.duration_ms(self.sent_bytes) - self._offset_ms
        return self._pace.wait_s(sent_ms, trio.current_time() - self._current_since_s)

    def _make(self, adapter: Adapter) -> Upstream:
        return Upstream(adapter, self._limits, title=self._title, is_raw=self._is_raw, tell=self._hear)

    @property
    def _upstreams(self) -> list[Upstream]:
        return [one for one in (*self._leaving, self._old, self._current, self._next) if one is not None]


def _nothing() -> None:
    """The transcode stage waits for `Link.room` itself."""
