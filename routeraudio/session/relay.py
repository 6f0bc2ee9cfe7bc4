"""The relay stage: owns the upstream connection and drives the adapter.

    dial → opened() → Ready → audio … → finish() → the vendor's own end

Audio waits in the link until the adapter says `Ready`. Every wait is bounded: the dial by the dialler, readiness, a
provider that stops reading, and its last words after `finish` here.
"""

import math
from collections.abc import Sequence

import structlog
import trio

from routeraudio.dialects.base import Command, Control
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.model.events import Event, Failed, Finished, Notice, Raw, Ready, Usage
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Adapter
from routeraudio.session.deliver import Deliver
from routeraudio.session.link import Link
from routeraudio.session.streams import Closed, Dialler, MessageStream, Refused

log = structlog.get_logger(__name__)

ITEM_BYTES = 64
"""What a chunk costs beside its audio, so that one-byte chunks are bounded too."""


LAST_WORDS_FACTOR = 12
"""How many times over a provider that keeps talking may exceed the deadline for its last words."""

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
    """One upstream connection of a session. Listens to the upstream.

    Args:
        title: the provider as people write it.
        is_raw: also pass the vendor's messages on as they came.
    """

    def __init__(
        self,
        adapter: Adapter,
        dial: Dialler,
        deliver: Deliver,
        limits: Limits,
        *,
        title: str,
        is_raw: bool,
    ) -> None:
        self._adapter = adapter
        self._dial = dial
        self._deliver = deliver
        self._limits = limits
        self._title = title
        self._is_raw = is_raw
        self.link: Link[Command] = Link(
            self.step,
            wait=self.wait,
            size=size,
            room_bytes=room_bytes(adapter.audio_format, limits.dialling_audio_s),
            on_room=_nothing,
        )
        self._upstream: MessageStream | None = None
        self._ready = trio.Event()
        self._is_over = False
        self._is_finishing = False
        self._has_said_more = True
        self._crash: Exception | None = None
        self._wake = trio.Event()
        """Set when the session finishes and when a listener call crashed."""
        self.usage: Usage | None = None
        self.sent_bytes = 0

    # The stage.

    def step(self, command: Command) -> bool:
        """See `Link`. Must wait while the provider does not read."""
        upstream = self._upstream
        if self._is_over or upstream is None:
            return True
        if isinstance(command, bytes):
            self.sent_bytes += len(command)
            messages = self._adapter.audio(command)
        elif command is Control.FINISH:
            messages = self._adapter.finish()
            self._is_finishing = True
            self._wake.set()
        else:
            messages = self._adapter.finalize()
        self._send_all(messages)
        return not upstream.is_congested

    async def wait(self) -> None:
        """See `Link`.

        Raises:
            UpstreamFault: the provider does not get ready, or does not read.
        """
        with trio.move_on_after(self._limits.ready_s) as scope:
            await self._ready.wait()
        if scope.cancelled_caught:
            raise _too_slow(f"{self._title} was not ready within {self._limits.ready_s:g} s of connecting")
        assert self._upstream is not None
        with trio.move_on_after(self._limits.send_s) as scope:
            await self._upstream.flushed()
        if scope.cancelled_caught:
            raise _too_slow(f"{self._title} has not read for {self._limits.send_s:g} s")

    async def run(self) -> None:
        """Dial, then serve the link until cancelled. The session calls `aclose` afterwards.

        Raises:
            Fault: the upstream cannot be opened, does not get ready, or does not read.
        """
        self._upstream = upstream = await self._open()
        self._send_all(self._adapter.opened())
        if self._adapter.is_ready_when_opened:
            self._emit(Ready())
        upstream.start(self)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.link.run)
            await self._keep_time()

    async def aclose(self) -> None:
        """Close the upstream, if there is one, within its close deadline."""
        if self._upstream is not None:
            await self._upstream.aclose()

    def resume(self) -> None:
        """The client has room for events again."""
        if self._upstream is not None:
            self._upstream.resume()

    def settle(self) -> None:
        """The session ends before the upstream does: what is settled becomes events. The adapter's last call."""
        if self._upstream is None or self._is_over:
            return
        for event in self._adapter.closed(None, ""):
            if not isinstance(event, Failed | Finished):
                self._emit(event)
        self._is_over = True

    # What the upstream's stream calls.

    def message(self, message: Message) -> bool:
        """See `Listener.message`."""
        room = True
        self._has_said_more = True
        if self._is_raw and not self._is_over:
            room = self._deliver.push(Raw(message))
        for event in self._adapter.received(message) if not self._is_over else ():
            room = self._emit(event) and room
        return room

    def closed(self, closed: Closed) -> None:
        """See `Listener.closed`."""
        if not self._is_over:
            for event in self._adapter.closed(None if closed.is_violation else closed.code, closed.reason):
                self._emit(event)

    def crashed(self, error: Exception) -> None:
        """See `Listener.crashed`."""
        self._crash = error
        self._wake.set()

    # Helpers.

    async def _open(self) -> MessageStream:
        try:
            return await self._dial(self._adapter.dial())
        except Refused as refused:
            fault: Fault = self._adapter.refused(refused.status, refused.body)
        raise fault

    def _emit(self, event: Event) -> bool:
        if isinstance(event, Ready):
            self._ready.set()
            self.link.room_bytes = room_bytes(self._adapter.audio_format, self._limits.stage_audio_s)
        elif isinstance(event, Notice):
            log.debug("upstream_notice", provider=self._title, code=event.code)
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, Failed | Finished):
            self._is_over = True
        return self._deliver.push(event)

    async def _keep_time(self) -> None:
        """Keepalives until the session finishes, then the deadline for the last words."""
        while not (self._is_finishing or self._is_over):
            self._send_all(self._adapter.tick(trio.current_time()))
            due_s = self._adapter.due_s()
            await self._sleep_until(math.inf if due_s is None else due_s)
        self._wake = trio.Event()
        began_s = trio.current_time()
        while not self._is_over and self._is_progressing(began_s):
            self._has_said_more = False
            await self._sleep_until(trio.current_time() + self._limits.last_words_s)
        if not self._is_over:
            self._give_up()

    def _is_progressing(self, began_s: float) -> bool:
        """Whether the last words may still come.

        A provider that was sent audio faster than real time still works on it, and says so with every message. A
        slow client keeps us from reading: no delay of the provider's, and bounded as the client's reading is.
        """
        assert self._upstream is not None
        if self._upstream.is_paused:
            return True
        longest_s = LAST_WORDS_FACTOR * self._limits.last_words_s
        return self._has_said_more and trio.current_time() - began_s < longest_s

    async def _sleep_until(self, due_s: float) -> None:
        """Raises what a listener call raised, as soon as it did."""
        if self._crash is None:
            with trio.CancelScope(deadline=due_s):
                await self._wake.wait()
        if self._crash is not None:
            raise self._crash

    def _give_up(self) -> None:
        """The provider owes its last words: keep what is settled, then say whose fault it is."""
        self.settle()
        self._emit(Failed(_too_slow(f"{self._title} did not finish within {self._limits.last_words_s:g} s")))

    def _send_all(self, messages: Sequence[Message]) -> None:
        assert self._upstream is not None
        for message in messages:
            self._upstream.send(message)


def _nothing() -> None:
    """The transcode stage waits for `Link.room` itself."""


def _too_slow(message: str) -> UpstreamFault:
    return UpstreamFault(message, code="provider_unreachable", is_retryable=True)
