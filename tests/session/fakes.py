"""Both ends of a session in memory. A `FakeStream` is what a session sees of a peer, and the test is that peer.

A fake holds nothing back by itself: the peer `reads` all unless told otherwise, a message of the peer's waits while
the session has asked it to (as it would in the socket), and closing takes as long as a rude peer makes it take.
"""

from collections import deque
from collections.abc import Callable, Sequence

import trio

from routeraudio.audio.transcode import transcoder
from routeraudio.model.errors import Fault
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Dial
from routeraudio.session.audio_meter import AudioMeter
from routeraudio.session.candidate import Candidate
from routeraudio.session.credit import Credit, UnlimitedCredit
from routeraudio.session.deliver import Deliver
from routeraudio.session.observer import Arrivals, NullObserver
from routeraudio.session.relay import Relay
from routeraudio.session.streams import Closed, Listener
from routeraudio.session.succession import Succession

CLOSE_S = 2.0
"""How long a fake waits for the peer's part of the closing, unless told otherwise."""


class FakeTab:
    """A credit that grants what the test says."""

    is_leased = False

    def __init__(self, granted: float) -> None:
        self.granted = granted
        self.marks: list[int] = []
        self.waited: list[int] = []
        self.closings: list[dict[str, object]] = []
        self.fault: Fault | None = None
        self._answer = trio.Event()

    @property
    def is_closed(self) -> bool:
        return bool(self.closings)

    def grant(self, cycles: float) -> None:
        self.granted = cycles
        self._answer.set()
        self._answer = trio.Event()

    def refuse(self, fault: Fault) -> None:
        self.fault = fault
        self._answer.set()

    def begun(self, cycles: int) -> None:
        self.marks.append(cycles)

    async def wait_granted(self, cycles: int) -> None:
        self.waited.append(cycles)
        await self._answer.wait()
        if self.fault is not None:
            raise self.fault

    async def revoked(self) -> None:
        await trio.sleep_forever()

    def quiet(self, since_s: float) -> None:
        pass

    async def close(self, **closing: object) -> None:
        self.closings.append(closing)


class Unwatched:
    """A relay and its connections. Audio comes as the provider takes it; nobody pays for it and nobody watches."""

    def __init__(
        self,
        candidate: Candidate,
        deliver: Deliver,
        limits: Limits,
        *,
        is_raw: bool = False,
        credit: Credit | None = None,
        position_ms: Callable[[int], int] = lambda _: 0,
    ) -> None:
        audio = candidate.audio_format
        self.faults: list[Fault] = []
        self.source = transcoder(audio, audio)
        self.relay = Relay(
            audio,
            deliver,
            limits,
            audio_meter=AudioMeter(
                UnlimitedCredit() if credit is None else credit,
                audio,
                position_ms=position_ms,
                on_refused=self.faults.append,
            ),
            observer=NullObserver(),
            arrivals=Arrivals(audio, NullObserver()),
            source=self.source,
        )
        self.succession = Succession(
            self.relay,
            (candidate,),
            limits,
            audio=audio,
            source=self.source,
            observer=NullObserver(),
            is_raw=is_raw,
        )


class FakeStream:
    """A `MessageStream`.

    Args:
        already: messages that came before the session began to listen.
        is_polite: whether the peer answers a close; else `aclose` takes `CLOSE_S`.
    """

    def __init__(self, *, already: Sequence[Message] = (), is_polite: bool = True) -> None:
        self.heard: list[Message] = []
        """What the peer has read."""
        self.close: FakeClose = FakeClose(self)
        self.closed_at_s: float | None = None
        self.is_released = False
        self.is_started = False
        self.pauses = 0
        self._already = list(already)
        self._is_polite = is_polite
        self._listener: Listener | None = None
        self._is_open = True
        self._is_reading = True
        self._unread: deque[Message] = deque()
        self._read = trio.Event()
        self._is_paused = False
        self._resumed = trio.Event()
        self._gone = trio.Event()

    # What the session calls; see `MessageStream`.

    def start(self, listener: Listener) -> None:
        assert not self.is_started, "started twice"
        self.is_started = True
        self._listener = listener
        for message in self._already:
            self.says_at_once(message)
        self._wake()

    def resume(self) -> None:
        self._is_paused = False
        self._wake()

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def send(self, message: Message) -> None:
        if not self._is_open:
            return
        if self._is_reading and not self._unread:
            self.heard.append(message)
        else:
            self._unread.append(message)

    @property
    def is_congested(self) -> bool:
        return bool(self._unread)

    async def flushed(self) -> None:
        while self._unread and not self._gone.is_set():
            await self._read.wait()
        await trio.lowlevel.checkpoint_if_cancelled()

    async def aclose(self) -> None:
        self.close(1000)
        try:
            with trio.move_on_after(CLOSE_S):
                await self._gone.wait()
        finally:
            self.is_released = True
            self._be_gone()

    # What the peer does.

    async def says(self, message: Message) -> None:
        """Send a message, which waits in the socket while the session does not read."""
        while self._is_paused or not self.is_started:
            await self._resumed.wait()
        self.says_at_once(message)
        await trio.lowlevel.checkpoint()

    def says_at_once(self, message: Message) -> None:
        """A message that the session's side had already read when it paused."""
        if self._listener is None:
            return
        try:
            goes_on = self._listener.message(message)
        except Exception as error:  # noqa: BLE001 - what the contract asks of a stream
            self._crash(error)
            return
        if not goes_on and not self._is_paused:
            self._is_paused = True
            self.pauses += 1

    def hangs_up(self, code: int | None = 1000, reason: str = "", *, is_violation: bool = False) -> None:
        """The connection ends from the peer's side."""
        self._is_open = False
        self._be_gone()
        listener, self._listener = self._listener, None
        if listener is not None:
            try:
                listener.closed(Closed(code, reason, is_violation))
            except Exception as error:  # noqa: BLE001 - as above
                listener.crashed(error)

    def stops_reading(self) -> None:
        self._is_reading = False

    def reads(self, count: int | None = None) -> None:
        """Read ``count`` of the messages that wait, or all, and go on reading."""
        if count is None:
            self._is_reading = True
            count = len(self._unread)
        for _ in range(min(count, len(self._unread))):
            self.heard.append(self._unread.popleft())
        if not self._unread:
            self._read.set()
            self._read = trio.Event()

    # What the peer saw.

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def audio(self) -> bytes:
        """All binary messages in one."""
        return b"".join(message for message in self.heard if isinstance(message, bytes))

    @property
    def texts(self) -> list[str]:
        return [message for message in self.heard if isinstance(message, str)]

    # Helpers.

    def _crash(self, error: Exception) -> None:
        listener, self._listener = self._listener, None
        assert listener is not None
        listener.crashed(error)

    def _shut(self) -> None:
        """Our close frame is on its way."""
        self._listener = None
        self._is_open = False
        self.resume()
        if self._is_polite and self._is_reading:
            self._be_gone()

    def _wake(self) -> None:
        self._resumed.set()
        self._resumed = trio.Event()

    def _be_gone(self) -> None:
        self._gone.set()
        self._read.set()


class FakeClose:
    """`MessageStream.close`, and what the peer is told by the first call of it."""

    def __init__(self, stream: FakeStream) -> None:
        self._stream = stream
        self.code: int | None = None
        self.reason: str | None = None
        self.at_s: float | None = None

    def __call__(self, code: int, reason: str = "") -> None:
        if self._stream.is_open:
            self.code, self.reason, self.at_s = int(code), reason, trio.current_time()
        self._stream._shut()


class FakeDialler:
    """Opens ``upstream`` after a while, or fails."""

    def __init__(self, upstream: FakeStream, *, after_s: float = 0.0, fails: Exception | None = None) -> None:
        self.dials: list[Dial] = []
        self.is_cancelled = False
        self._upstream = upstream
        self._after_s = after_s
        self._fails = fails

    async def __call__(self, dial: Dial) -> FakeStream:
        self.dials.append(dial)
        try:
            await trio.sleep(self._after_s)
        except trio.Cancelled:
            self.is_cancelled = True
            raise
        if self._fails is not None:
            raise self._fails
        return self._upstream
