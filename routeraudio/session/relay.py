"""The relay stage: where audio goes, and what is told of what comes back.

Audio goes to the current connection. What a connection tells is moved to where its audio began, so that the client
sees one session on one timeline. While a predecessor has not said its last words, what the current connection says is
held. When the current connection is lost, audio waits; the one that takes over gets again what was not final, and of
what it says the part that was final before is left out. How one connection comes to follow another is `succession`'s.
"""

from collections import deque
from collections.abc import Callable, Sequence

import structlog
import trio

from routeraudio.audio.transcode import Transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.model.events import (
    Event,
    Failed,
    Final,
    Finished,
    Lost,
    Notice,
    Partial,
    Ready,
    TurnEnd,
    Usage,
    moved,
)
from routeraudio.policy.limits import Limits
from routeraudio.session.audio_meter import AudioMeter
from routeraudio.session.deliver import Deliver
from routeraudio.session.link import Link
from routeraudio.session.observer import Arrivals, Observer
from routeraudio.session.overlap import Overlap, Told
from routeraudio.session.parts import Parts
from routeraudio.session.pause import Pause
from routeraudio.session.replay import OVERLAP_MS, Kept, Replay
from routeraudio.session.stall import Stall
from routeraudio.session.upstream import Upstream

log = structlog.get_logger(__name__)

ITEM_BYTES = 64
"""What a chunk costs beside its audio, so that one-byte chunks are bounded too."""

CONTAINER_BYTES_PER_SECOND = 16_000
"""Compressed speech, generously: 128 kbit/s. Only bounds of memory are derived from it."""


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
        audio: what the provider is sent.
        audio_meter: counts what is sent, and says how far it may go.
        observer: is told about connections.
        arrivals: is told about texts.
        source: what the audio comes from.
        kept: keeps audio for a connection that takes over from a lost one; None: there will be none.
        stall: notices that the provider has stopped listening; None: nobody does.
        channels: those of the events: None for mixed audio.
    """

    # More attributes than instances of a class share the names of: a dictionary of its own would cost 1.5 KiB.
    __slots__ = (
        "_arrivals",
        "_audio_meter",
        "_backlog",
        "_channels",
        "_current",
        "_deliver",
        "_held",
        "_is_first_ready",
        "_is_lost",
        "_kept",
        "_limits",
        "_observer",
        "_old",
        "_overlap",
        "_partial_ms",
        "_past_usage_ms",
        "_room_bytes",
        "_sent_bytes",
        "_source",
        "_stall",
        "_taken_over",
        "_told",
        "_waiting",
        "connections",
        "finalised_ms",
        "is_finishing",
        "link",
        "lost_ms",
        "on_lost",
        "on_stall",
        "parts",
        "pause",
    )

    def __init__(
        self,
        audio: AudioFormat,
        deliver: Deliver,
        limits: Limits,
        *,
        audio_meter: AudioMeter,
        observer: Observer,
        arrivals: Arrivals,
        source: Transcoder,
        kept: Kept | None = None,
        stall: Stall | None = None,
        channels: Sequence[int | None] = (None,),
    ) -> None:
        self._deliver = deliver
        self._limits = limits
        self._audio_meter = audio_meter
        self._observer = observer
        self._arrivals = arrivals
        self._source = source
        self.link: Link[Command] = Link(
            self.step,
            wait=self.wait,
            size=size,
            room_bytes=room_bytes(audio, limits.dialling_audio_s),
            on_room=_nothing,
        )
        self._current: Upstream | None = None
        self._old: Upstream | None = None
        """The predecessor, while it has not said its last word."""
        self._held: list[Event] = []
        """Of the current connection, meanwhile."""
        self._is_first_ready = False
        self._sent_bytes = 0
        """Of the session's audio, over all connections; what was sent again counts once."""
        self._waiting: bytes | None = None
        """A piece of a container with more cycles in it than are granted: it is sent whole or not at all."""
        self._past_usage_ms = 0
        self._room_bytes = self.link.room_bytes
        self._kept = kept
        self._stall = stall
        self._channels = channels
        self._told = Told()
        self._overlap: Overlap | None = None
        """There while the current connection may repeat what was final before."""
        self._partial_ms: int | None = None
        """Where the open utterance begins."""
        self._backlog: deque[Command] = deque()
        """Of a replay; goes before what the link holds."""
        self._is_lost = False
        self._taken_over = trio.Event()
        self.on_lost: Callable[[Upstream, Fault], bool] = _gives_up
        """Called when the current connection is lost. True: another one will take over."""
        self.on_stall: Callable[[Upstream], None] = _lets_be
        """Called when the current connection seems to have stopped listening."""
        self.lost_ms = 0
        """Audio of which no text will come."""
        self.is_finishing = False
        """No more audio comes."""
        self.pause: Pause | None = None
        """There while a successor waits for a pause."""
        self.connections = 0
        self.parts = Parts()
        self.finalised_ms = 0
        """Where the last final ends."""

    # Where audio goes.

    def take_over(self, upstream: Upstream) -> None:
        """From here on audio goes to ``upstream``; a predecessor is asked for its last words, and heard out first."""
        old = self._current
        self._begin(upstream)
        if old is not None:
            self._old = old
            self.parts.ends(self._audio_meter.sent_ms, "rotated")
            old.take(Control.FINISH)
        self.parts.begins(upstream.candidate.name, round(upstream.begins_ms))
        self._hear_missed(upstream)

    def _begin(self, upstream: Upstream) -> None:
        self._current = upstream
        self.connections += 1
        if not upstream.candidate.audio_format.is_raw:
            upstream.container_ms = lambda: self._audio_meter.sent_ms - upstream.begins_ms

    def replace(self, upstream: Upstream) -> None:
        """``upstream``, which is ready, takes over from one that was lost: it gets again what was not final."""
        self._begin(upstream)
        self.link.room_bytes = self._stage_bytes(upstream)
        until_ms = self._told.until_ms(self._channels)
        replay = self._container_since(until_ms) if self._kept is None else self._kept.since(until_ms)
        self._replay(upstream, replay, until_ms)
        self.parts.begins(upstream.candidate.name, round(upstream.begins_ms))
        if self.is_finishing and Control.FINISH not in self._backlog:
            self._backlog.append(Control.FINISH)
        self._is_lost = False
        self._taken_over.set()
        self._hear_missed(upstream)

    def unsettled(self) -> tuple[int, int]:
        """Where all that was sent before is final, ms, and how much of what was sent `replace` would send again, ms."""
        until_ms = self._told.until_ms(self._channels)
        kept = self._kept
        begins_ms = max(0, until_ms - OVERLAP_MS) if kept is None else kept.since(until_ms).begins_ms
        sent_ms = self._audio_meter.sent_ms
        return min(max(until_ms, begins_ms), sent_ms), max(0, sent_ms - begins_ms)

    def _replay(self, upstream: Upstream, replay: Replay, until_ms: int) -> None:
        upstream.begins_ms = replay.begins_ms
        self._overlap = self._told.overlap()
        self._backlog.extend(replay.commands)
        if self._partial_ms is not None and self._partial_ms < replay.begins_ms:
            # It was being spoken of, and is not kept any more.
            self._lose(max(until_ms, self._partial_ms), replay.begins_ms)
        self._partial_ms = None

    def _container_since(self, until_ms: int) -> Replay:
        """The container begun anew. What has gathered belongs to it as it was begun, and comes with the replay."""
        gathered = [] if self._waiting is None else [self._waiting]
        self._waiting = None
        controls: list[Command] = []
        for item in self.link.clear():
            (gathered if isinstance(item, bytes) else controls).append(item)  # type: ignore[arg-type]
        self._sent_bytes += sum(map(len, gathered))
        again = self._source.restart(max(0, until_ms - OVERLAP_MS))
        self._audio_meter.sent(self._sent_bytes)
        return Replay(self._source.resumed_ms, [again, *controls] if again else controls)

    def give_up(self, fault: Fault) -> None:
        """No connection will take over."""
        self._push(Failed(fault))

    def step(self, command: Command) -> bool:
        """See `Link`. Must wait while the provider does not read, and for the grant of the next cycle."""
        current = self._current
        assert current is not None, "the link is served when there is a connection"
        if isinstance(command, bytes):
            if self._audio_meter.is_cut:
                return True
            if not (current.candidate.audio_format.is_raw or self._audio_meter.covers(self._with(command))):
                self._waiting = command
                return False
            return self._send(current, command)
        if command is Control.FINISH:
            self.is_finishing = True
        elif self._kept is not None:
            self._kept.keep(command)
        return current.take(command) and not self._is_lost

    async def wait(self) -> None:
        """See `Link`.

        Raises:
            UpstreamFault: the provider does not get ready, or does not read, and nobody takes over.
        """
        while True:
            if self._is_lost:
                await self._taken_over.wait()
            current = self._current
            assert current is not None
            try:
                await self._until_level(current)
            except UpstreamFault as fault:
                if current is not self._current or self._is_lost:
                    continue
                current.settle()
                if not self._hand_over(current, fault):
                    raise
            if current is self._current and not self._is_lost:
                return

    async def _until_level(self, current: Upstream) -> None:
        """Until the connection takes more, and has what waits ahead of the link."""
        await current.ready()
        if not self._is_first_ready:
            self._is_first_ready = True
            self._observer.ready(current.ready_s - current.opened_s)
        while not self._is_lost:
            await current.flushed()
            waiting = self._waiting
            await self._audio_meter.room(0 if waiting is None else self._with(waiting))
            if waiting is not None:
                self._waiting = None
                if not self._audio_meter.is_cut:
                    self._send(current, waiting)
            await trio.sleep(current.ahead_s())
            if current is not self._current or not self._backlog:
                return
            current.take(self._backlog.popleft())

    def _send(self, current: Upstream, audio: bytes) -> bool:
        if self.pause is not None:
            self.pause.audio(audio)
        if self._kept is not None:
            self._kept.keep(audio)
        elif current.is_over:
            return True
        may_take_more = current.take(audio)
        self._sent_bytes += len(audio)
        if self._stall is not None and self._sent_bytes >= self._stall.look_at_bytes:
            self._look(current, self._stall)
        return self._audio_meter.sent(self._sent_bytes) and may_take_more and not self._is_lost

    def _look(self, current: Upstream, stall: Stall) -> None:
        assert self._kept is not None, "stalls are looked for in what is kept"
        if stall.look(self._kept, self._sent_bytes):
            self.on_stall(current)

    def doubted(self, upstream: Upstream, fault: Fault | None) -> None:
        """What became of a connection that seemed to have stopped listening: None, it is alive."""
        if self._stall is None or upstream is not self._current or self._is_lost:
            return
        if fault is None:
            self._stall.alive(self._sent_bytes)
            return
        upstream.settle()
        if self._hand_over(upstream, fault):
            self._stall.left(self._sent_bytes)

    def _with(self, audio: bytes) -> int:
        """Bytes sent in all, ``audio`` among them."""
        return self._sent_bytes + len(audio)

    def _stage_bytes(self, upstream: Upstream) -> int:
        return room_bytes(upstream.candidate.audio_format, self._limits.stage_audio_s)

    def _hand_over(self, upstream: Upstream, fault: Fault) -> bool:
        """The current connection is lost. False: nobody takes over."""
        if not self.on_lost(upstream, fault):
            return False
        if self._old is not None:
            # What it owes is given to the next one, with what the lost one has said of it.
            self._old.abandon()
            self._old = None
            self._held.clear()
        if self.pause is not None:
            self.pause.end()
        self._past_usage_ms += upstream.usage_ms or 0
        self.parts.ends(self._audio_meter.sent_ms, fault.code)
        self._is_lost = True
        self._taken_over = trio.Event()
        self._backlog.clear()
        self.link.room_bytes = self._room_bytes
        self.link.hold()
        return True

    # What is told.

    def hear(self, upstream: Upstream, event: Event) -> bool:
        """What a connection tells, on its own timeline. False: read no more from it until `resume`."""
        if isinstance(event, Notice):
            log.debug("upstream_notice", provider=upstream.candidate.title, code=event.code)
        if upstream is self._old:
            return self._hear_old(upstream, event)
        if upstream is not self._current or self._is_lost:
            return self._hear_waiting(event)
        if isinstance(event, Failed) and self._hand_over(upstream, event.fault):
            return True
        if isinstance(event, Ready):
            self.link.room_bytes = self._stage_bytes(upstream)
        elif isinstance(event, Final) and self.pause is not None:
            self.pause.end()
        event = moved(event, self._begins_ms(upstream), upstream.generation, upstream.speaks_as)
        if self._old is not None:
            self._held.append(event)
            return True
        return self._push(event)

    def _hear_missed(self, upstream: Upstream) -> None:
        """It may have gone again between the moment at which it was ready and this one."""
        if upstream.ending is not None:
            self.hear(upstream, upstream.ending)

    def _hear_waiting(self, event: Event) -> bool:
        """A successor has been sent no audio; all it can tell is that it has gone again."""
        if isinstance(event, Failed | Finished) and self.pause is not None:
            self.pause.end()
        return True

    def _hear_old(self, old: Upstream, event: Event) -> bool:
        if isinstance(event, Failed):
            log.warning("rotation_incomplete", provider=old.candidate.title, why=event.fault.message)
            current = self._current
            assert current is not None
            if self._hand_over(current, event.fault):
                current.abandon()
            else:
                self._lose(self._told.until_ms(self._channels), round(current.begins_ms))
                self._retire(old)
            return True
        if isinstance(event, Finished):
            self._retire(old)
            return True
        if isinstance(event, TurnEnd):
            return True  # of our own making: it was asked for its last words, and the speaker goes on
        return self._push(moved(event, round(old.begins_ms), old.generation, old.speaks_as))

    def _retire(self, old: Upstream) -> None:
        """The predecessor has said its last word: now the current connection may be heard."""
        self._past_usage_ms += old.usage_ms or 0
        self._old = None
        held, self._held = self._held, []
        for event in held:
            self._push(event)

    def _push(self, event: Event) -> bool:
        if self._overlap is not None and isinstance(event, Partial | Final | TurnEnd):
            fresh = self._overlap.fresh(event)
            if self._overlap.is_over:
                self._overlap = None
            if fresh is None:
                return True
            event = fresh
        self._arrivals.told(event)
        if self._stall is not None and isinstance(event, Partial | Final) and event.text:
            self._stall.text(self._sent_bytes)
        if isinstance(event, Final):
            self.finalised_ms = max(self.finalised_ms, event.end_ms)
            self._told.final(event)
            self._forget(self._told.until_ms(self._channels))
            self._partial_ms = None
        elif isinstance(event, Partial):
            if self._partial_ms is None:
                self._partial_ms = event.start_ms
        elif isinstance(event, Lost):
            self.lost_ms += event.end_ms - event.start_ms
        return self._deliver.push(event)

    def _forget(self, until_ms: int) -> None:
        """All before is final: nobody has to hear it again."""
        if self._kept is not None:
            self._kept.forget(until_ms)
        else:
            self._source.forget(until_ms - OVERLAP_MS)

    def _lose(self, start_ms: int, end_ms: int) -> None:
        """No text will come of this."""
        if end_ms > start_ms:
            self._push(Lost(start_ms, end_ms))

    def _begins_ms(self, current: Upstream) -> int:
        """Where the current connection's audio begins; a container's transcoder knows where it began anew."""
        if not current.candidate.audio_format.is_raw:
            current.begins_ms = self._source.resumed_ms
        return round(current.begins_ms)

    # What the session asks.

    @property
    def current(self) -> Upstream | None:
        """The connection that audio goes to."""
        return self._current

    @property
    def usage(self) -> Usage | None:
        """What the vendor says it heard, over all connections; None: it has not said."""
        now_ms = None if self._current is None else self._current.usage_ms
        return None if now_ms is None else Usage(self._past_usage_ms + now_ms)

    def settle(self) -> None:
        """The session ends before the provider does: what is settled becomes events, in order."""
        if self._old is not None:
            self._old.settle()
            self._retire(self._old)
        if self._current is not None:
            self._current.settle()


def _gives_up(_upstream: Upstream, _fault: Fault) -> bool:
    """Where no connection takes over from a lost one."""
    return False


def _lets_be(_upstream: Upstream) -> None:
    """Where nobody looks after a provider that has stopped listening."""


def _nothing() -> None:
    """The transcode stage waits for `Link.room` itself."""
