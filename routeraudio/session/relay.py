"""The relay stage: where audio goes, and what is told of what comes back.

Audio goes to the current connection. What a connection tells is moved to where its audio began, so that the client
sees one session on one timeline. While a predecessor has not said its last words, what the current connection says is
held. How one connection comes to follow another is `succession`'s.
"""

import structlog
import trio

from routeraudio.audio.transcode import Transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.model.audio import AudioFormat
from routeraudio.model.events import Event, Failed, Final, Finished, Notice, Ready, TurnEnd, Usage, moved
from routeraudio.policy.limits import Limits
from routeraudio.session.audio_meter import AudioMeter
from routeraudio.session.deliver import Deliver
from routeraudio.session.link import Link
from routeraudio.session.observer import Arrivals, Observer
from routeraudio.session.pause import Pause
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
    """

    # More attributes than instances of a class share the names of: a dictionary of its own would cost 1.5 KiB.
    __slots__ = (
        "_arrivals",
        "_audio_meter",
        "_current",
        "_deliver",
        "_held",
        "_is_first_ready",
        "_limits",
        "_observer",
        "_old",
        "_past_bytes",
        "_past_usage_ms",
        "_source",
        "_waiting",
        "connections",
        "finalised_ms",
        "is_finishing",
        "link",
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
        self._past_bytes = 0
        """Sent over earlier connections."""
        self._waiting: bytes | None = None
        """A piece of a container with more cycles in it than are granted: it is sent whole or not at all."""
        self._past_usage_ms = 0
        self.is_finishing = False
        """No more audio comes."""
        self.pause: Pause | None = None
        """There while a successor waits for a pause."""
        self.connections = 0
        self.finalised_ms = 0
        """Where the last final ends."""

    # Where audio goes.

    def take_over(self, upstream: Upstream) -> None:
        """From here on audio goes to ``upstream``; a predecessor is asked for its last words, and heard out first."""
        old = self._current
        self._current = upstream
        self.connections += 1
        if old is not None:
            self._old = old
            self._past_bytes += old.sent_bytes
            old.take(Control.FINISH)

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
        return current.take(command)

    async def wait(self) -> None:
        """See `Link`.

        Raises:
            UpstreamFault: the provider does not get ready, or does not read.
        """
        current = self._current
        assert current is not None
        await current.ready()
        if not self._is_first_ready:
            self._is_first_ready = True
            self._observer.ready(current.ready_s - current.opened_s)
        await current.flushed()
        waiting = self._waiting
        await self._audio_meter.room(0 if waiting is None else self._with(waiting))
        if waiting is not None:
            self._waiting = None
            if not self._audio_meter.is_cut:
                self._send(current, waiting)
        await trio.sleep(current.ahead_s())

    def _send(self, current: Upstream, audio: bytes) -> bool:
        if self.pause is not None:
            self.pause.audio(audio)
        may_take_more = current.take(audio)
        return self._audio_meter.sent(self._past_bytes + current.sent_bytes) and may_take_more

    def _with(self, audio: bytes) -> int:
        """Bytes sent in all, ``audio`` among them."""
        sent_bytes = 0 if self._current is None else self._current.sent_bytes
        return self._past_bytes + sent_bytes + len(audio)

    # What is told.

    def hear(self, upstream: Upstream, event: Event) -> bool:
        """What a connection tells, on its own timeline. False: read no more from it until `resume`."""
        if isinstance(event, Notice):
            log.debug("upstream_notice", provider=upstream.candidate.title, code=event.code)
        if upstream is self._old:
            return self._hear_old(upstream, event)
        if upstream is not self._current:
            return self._hear_waiting(event)
        if isinstance(event, Ready):
            self.link.room_bytes = room_bytes(upstream.candidate.audio_format, self._limits.stage_audio_s)
        elif isinstance(event, Final) and self.pause is not None:
            self.pause.end()
        event = moved(event, self._begins_ms(upstream), upstream.generation)
        if self._old is not None:
            self._held.append(event)
            return True
        return self._push(event)

    def _hear_waiting(self, event: Event) -> bool:
        """A successor has been sent no audio; all it can tell is that it has gone again."""
        if isinstance(event, Failed | Finished) and self.pause is not None:
            self.pause.end()
        return True

    def _hear_old(self, old: Upstream, event: Event) -> bool:
        if isinstance(event, Failed | Finished):
            if isinstance(event, Failed):
                log.warning("rotation_incomplete", provider=old.candidate.title, why=event.fault.message)
            self._retire(old)
            return True
        if isinstance(event, TurnEnd):
            return True  # of our own making: it was asked for its last words, and the speaker goes on
        return self._push(moved(event, round(old.begins_ms), old.generation))

    def _retire(self, old: Upstream) -> None:
        """The predecessor has said its last word: now the current connection may be heard."""
        self._past_usage_ms += old.usage_ms or 0
        self._old = None
        held, self._held = self._held, []
        for event in held:
            self._push(event)

    def _push(self, event: Event) -> bool:
        self._arrivals.told(event)
        if isinstance(event, Final):
            self.finalised_ms = max(self.finalised_ms, event.end_ms)
        return self._deliver.push(event)

    def _begins_ms(self, current: Upstream) -> int:
        """Where the current connection's audio begins; a container's transcoder knows where it began anew."""
        if not current.candidate.audio_format.is_raw and self._source.resumed_ms is not None:
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


def _nothing() -> None:
    """The transcode stage waits for `Link.room` itself."""
