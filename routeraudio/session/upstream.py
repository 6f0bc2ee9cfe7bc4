"""One connection to a provider: its stream, its adapter, its time.

    open() → opened() → Ready → audio … → FINISH → the vendor's own end → over

Every wait is bounded: the dial by the dialler; readiness, a provider that stops reading, and its last words here.
"""

import math
from collections.abc import Callable, Sequence

import trio

from routeraudio.audio.transcode import transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, Fault, UpstreamFault
from routeraudio.model.events import Event, Failed, Final, Finished, Raw, Ready, Usage
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import EndsOnSilence
from routeraudio.session.candidate import Candidate
from routeraudio.session.streams import Closed, Dialler, MessageStream, Refused

LAST_WORDS_FACTOR = 12
"""How many times over a provider that keeps talking may exceed the deadline for its last words."""


QUIET_S_MIN = 0.05
"""Shortest wait for a vendor that says no end, so that a slow client does not make us spin."""


class Upstream:
    """Listens to the stream and drives the adapter.

    Args:
        source: what `take` is given.
        generation: how many connections of the session came before.
        speaks_as: the provider's name, where that is another one than the session began with.
        on_refused: called with the provider's name and its HTTP status, where that is no 101.
        is_raw: also tell of the vendor's messages as they came.
        tell: called with this and every event; False: read no more until `resume`.
    """

    def __init__(
        self,
        candidate: Candidate,
        limits: Limits,
        *,
        source: AudioFormat,
        generation: int,
        is_raw: bool,
        speaks_as: str | None = None,
        on_refused: Callable[[str, int], None],
        tell: Callable[["Upstream", Event], bool],
    ) -> None:
        self.candidate = candidate
        self.adapter = candidate.adapter()
        self.generation = generation
        self.speaks_as = speaks_as
        self.begins_ms: float = 0.0
        """Where in the session its audio begins. Events are told on the connection's own timeline."""
        self.sent_bytes = 0
        """Audio it was sent."""
        self.opened_s = 0.0
        """When it was begun to be dialled."""
        self.open_s = 0.0
        """When it was open; 0 until then."""
        self.ready_s = 0.0
        """When it could first be sent audio; 0 until then."""
        self.is_over = False
        """The adapter has said its last event, or is not to be asked any more."""
        self.ending: Failed | Finished | None = None
        """Its last event."""
        self.usage_ms: int | None = None
        """What the vendor says it heard on this connection."""
        self.fault: Fault | None = None
        """Why it is over, where that is no good end."""
        audio = candidate.audio_format
        self._convert = None if audio == source else transcoder(source, audio)
        self._on_refused = on_refused
        self.heard = 0
        """Messages of the vendor's."""
        self.has_worked = self._has_place = False
        self._limits = limits
        self._title = candidate.title
        self._pace = candidate.pace
        self.container_ms: Callable[[], float] | None = None
        """Of a container, whose bytes are no measure of time: how much of its audio this connection was sent."""
        self._is_raw = is_raw
        self._tell = tell
        self._stream: MessageStream | None = None
        self._ready = trio.Event()
        self._is_finishing = False
        self._has_said_more = True
        self._awaits_quiet = False
        """The vendor says no end: every message makes us look anew whether this is it."""
        self._crash: Exception | None = None
        self._wake = trio.Event()
        """Set when the connection finishes and when a listener call crashed."""

    # What the relay calls.

    async def open(self) -> None:
        """Connect and say what comes first.

        Raises:
            Fault: the provider cannot be reached, or refused.
        """
        self.opened_s = trio.current_time()
        self.candidate.health.dials()
        self._has_place = True
        try:
            self._stream = await self._dialled(self.candidate.dial)
        except Fault as fault:
            self._ends(fault)
            raise
        self.open_s = trio.current_time()
        self._send_all(self.adapter.opened())
        if self.adapter.is_ready_when_opened:
            self._hear(Ready())
        self._stream.start(self)

    async def ready(self) -> None:
        """Wait until the provider accepts audio, or is over.

        Raises:
            UpstreamFault: it does not in time.
        """
        with trio.move_on_after(self._limits.ready_s) as scope:
            await self._ready.wait()
        if scope.cancelled_caught:
            raise self._ends(
                _too_slow(f"{self._title} was not ready within {self._limits.ready_s:g} s of connecting")
            )

    async def flushed(self) -> None:
        """Wait until the provider was sent everything that `take` was given, and has read it.

        Raises:
            UpstreamFault: it does not read.
        """
        assert self._stream is not None
        while self._has_more and not self.is_over:
            assert self._convert is not None
            self._send_all(self._audio(self._convert.push(b"")))
            await trio.lowlevel.checkpoint()
        with trio.move_on_after(self._limits.send_s) as scope:
            await self._stream.flushed()
        if scope.cancelled_caught:
            raise self._ends(_too_slow(f"{self._title} has not read for {self._limits.send_s:g} s"))

    def take(self, command: Command) -> bool:
        """Send a command on. False: wait, as the provider does not read as fast or there is more to convert."""
        stream = self._stream
        if self.is_over or stream is None:
            return True
        if isinstance(command, bytes):
            messages = self._audio(command if self._convert is None else self._convert.push(command))
        elif command is Control.FINISH:
            rest = b"" if self._convert is None else self._convert.finish()
            messages = [*self._audio(rest), *self.adapter.finish()]
            self._is_finishing = True
            self._wake.set()
        else:
            messages = self.adapter.finalize()
        self._send_all(messages)
        is_level = not (stream.is_congested or self._has_more)
        return is_level and (self._pace is None or self.ahead_s() == 0.0)

    @property
    def sent_to_ms(self) -> float:
        """Up to where in the session it was sent audio. Raw formats only."""
        return self.begins_ms + self.sent_bytes * 1000 / self.candidate.audio_format.bytes_per_second

    def ahead_s(self) -> float:
        """How long to wait before it wants more audio, if it wants it no faster than it is spoken."""
        if self._pace is None:
            return 0.0
        if self.container_ms is not None:
            sent_ms = round(self.container_ms())
        else:
            sent_ms = self.candidate.audio_format.duration_ms(self.sent_bytes)
        return self._pace.wait_s(sent_ms, trio.current_time() - self.ready_s)

    async def keep_time(self) -> None:
        """Keepalives until the connection finishes, then the deadline for the last words. Ends with the connection.

        Raises:
            Exception: what a listener call raised, as soon as it did.
        """
        while not (self._is_finishing or self.is_over):
            self._send_all(self.adapter.tick(trio.current_time()))
            due_s = self.adapter.due_s()
            await self._sleep_until(math.inf if due_s is None else due_s)
        self._wake = trio.Event()
        began_s = trio.current_time()
        if isinstance(self.adapter, EndsOnSilence):
            await self._await_quiet(self.adapter, began_s)
        while not self.is_over and self._is_progressing(began_s):
            self._has_said_more = False
            await self._sleep_until(trio.current_time() + self._limits.last_words_s)
        if not self.is_over:
            self._give_up()

    def settle(self) -> None:
        """The end comes before the provider's: what is settled becomes events. The adapter's last call."""
        if self._stream is None or self.is_over:
            return
        for event in self.adapter.closed(None, ""):
            if not isinstance(event, Failed | Finished):
                self._hear(event)
        self.is_over = True

    @property
    def is_paused(self) -> bool:
        """Whether it is not read, because the client does not read."""
        return self._stream is not None and self._stream.is_paused

    def abandon(self) -> None:
        """Nobody wants to hear any more of it."""
        self.is_over = True
        self._wake.set()

    def resume(self) -> None:
        """There is room for events again."""
        if self._stream is not None:
            self._stream.resume()

    async def aclose(self) -> None:
        """Close the connection, if there is one, within its close deadline."""
        self._give_place_back()
        if self._stream is not None:
            await self._stream.aclose()

    # What the stream calls.

    def message(self, message: Message) -> bool:
        """See `Listener.message`."""
        room = True
        self.heard += 1
        self._has_said_more = True
        if self._awaits_quiet:
            self._wake.set()
        if self._is_raw and not self.is_over:
            room = self._hear(Raw(message))
        for event in self.adapter.received(message) if not self.is_over else ():
            room = self._hear(event) and room
        return room

    def closed(self, closed: Closed) -> None:
        """See `Listener.closed`."""
        if not self.is_over:
            for event in self.adapter.closed(None if closed.is_violation else closed.code, closed.reason):
                self._hear(event)

    def crashed(self, error: Exception) -> None:
        """See `Listener.crashed`."""
        self._crash = error
        self._wake.set()

    # Helpers.

    def _ends(self, fault: Fault) -> Fault:
        """It is of no use any more; the provider's record says so once, where the provider is to blame."""
        if self.fault is None:
            self.fault = fault
            self._give_place_back()
            if not isinstance(fault, ClientFault):
                self.candidate.health.failed(fault)
        return fault

    def _give_place_back(self) -> None:
        """Of those that the provider takes at the same time: not after a close that a lost peer does not answer."""
        if self._has_place:
            self._has_place = False
            self.candidate.health.ended()

    @property
    def _has_more(self) -> bool:
        return self._convert is not None and self._convert.has_more

    def _audio(self, chunk: bytes) -> Sequence[Message]:
        if not chunk:
            return ()
        self.sent_bytes += len(chunk)
        return self.adapter.audio(chunk)

    async def _dialled(self, dial: Dialler) -> MessageStream:
        try:
            return await dial(self.adapter.dial())
        except Refused as refused:
            fault: Fault = self.adapter.refused(refused.status, refused.body)
            self._on_refused(self.candidate.name, refused.status)
            if isinstance(fault, UpstreamFault):
                fault.retry_after_s = refused.retry_after_s
        raise fault

    def _hear(self, event: Event) -> bool:
        if isinstance(event, Ready):
            self.ready_s = trio.current_time()
            self.candidate.health.ready(self.ready_s - self.opened_s)
            self._ready.set()
        elif isinstance(event, Usage):
            self.usage_ms = event.audio_ms
        elif isinstance(event, Failed | Finished):
            self.is_over, self.ending = True, event
            self._wake.set()
            self._ready.set()  # whoever waits for that waits no longer
            if isinstance(event, Failed):
                self._ends(event.fault)
        if not self.has_worked and isinstance(event, Final | Finished):
            self.has_worked = True
            self.candidate.health.worked()
        return self._tell(self, event)

    def _is_progressing(self, began_s: float) -> bool:
        """Whether the last words may still come.

        A provider that was sent audio faster than real time still works on it, and says so with every message. A
        slow client keeps us from reading: no delay of the provider's, and bounded as the client's reading is.
        """
        assert self._stream is not None
        if self._stream.is_paused:
            return True
        longest_s = LAST_WORDS_FACTOR * self._limits.last_words_s
        return self._has_said_more and trio.current_time() - began_s < longest_s

    async def _sleep_until(self, due_s: float) -> None:
        if self._crash is None:
            with trio.CancelScope(deadline=due_s):
                await self._wake.wait()
        if self._crash is not None:
            raise self._crash

    async def _await_quiet(self, adapter: EndsOnSilence, began_s: float) -> None:
        """Until the vendor has been silent for as long as its adapter says; or owes text for too long."""
        assert self._stream is not None
        self._awaits_quiet = True
        while not self.is_over and self._is_progressing(began_s):
            self._wake, self._has_said_more = trio.Event(), False
            quiet_s = adapter.quiet_s()
            wait_s = self._limits.last_words_s if quiet_s is None else max(quiet_s, QUIET_S_MIN)
            await self._sleep_until(trio.current_time() + wait_s)
            if quiet_s is not None and not (self._has_said_more or self._stream.is_paused):
                self.closed(Closed(1000, ""))

    def _give_up(self) -> None:
        """The provider owes its last words: keep what is settled, then say whose fault it is."""
        self.settle()
        self._hear(Failed(_too_slow(f"{self._title} did not finish within {self._limits.last_words_s:g} s")))

    def _send_all(self, messages: Sequence[Message]) -> None:
        assert self._stream is not None
        for message in messages:
            self._stream.send(message)


def _too_slow(message: str) -> UpstreamFault:
    return UpstreamFault(message, code="provider_unreachable", is_retryable=True)
