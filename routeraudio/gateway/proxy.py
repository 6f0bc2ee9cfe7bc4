"""A transparent session: what comes on one side goes out on the other as it came, and a meter reads along.

    client ──▶ link ──▶ count, pay ──▶ provider
    client ◀────────── link ◀───────── provider

Two links and no stages. On the fast path a message goes from socket to socket within one call of the poller's. Where
the other side does not read, or the provider is still being dialled, or a cycle is not granted yet, messages gather up
to `HELD_BYTES`, and then the sender is not read: nothing is dropped, nothing grows.

A close on one side travels through the same link, so it is said on the other behind every message that came before it,
also when the provider is still being dialled. When we must end it (a limit, a budget, the daemon stopping) the provider
is told that no more audio comes, in its own words, and its last words reach the client before the close.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import trio

from routeraudio.gateway.audio_gate import AudioGate
from routeraudio.gateway.closes import (
    GOING_AWAY,
    NO_CODE,
    Close,
    close_code,
    close_for_client,
    close_for_provider,
)
from routeraudio.model.errors import CloseCode, Fault, InternalFault, Overloaded, UpstreamFault, timed_out
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Dial
from routeraudio.providers.native import AudioCounter
from routeraudio.session.credit import Credit, UnlimitedCredit
from routeraudio.session.first_messages import FirstMessages
from routeraudio.session.frame import Ending, Frame, Usage, ending_word
from routeraudio.session.link import Link
from routeraudio.session.observer import NullObserver, Observer
from routeraudio.session.streams import Closed, Dialler, MessageStream, Refused
from routeraudio.session.watchdog import Sentences

HELD_BYTES: Final = 1_048_576
"""Kept per direction: one message of the greatest size."""

PROVIDER_READS_S: Final = 30.0
"""A provider may take what it is sent no faster than in real time, and a message may hold as much as this."""

SENTENCES: Final = Sentences(
    idle="nothing has passed for {:g} s", lasted="a stream lasts at most {:g} s; connect again"
)

CANCELLED: Final = Overloaded("cancelled", close_code=CloseCode.RESTART)

MESSAGE_BYTES: Final = 64
"""What a message costs beside its content, so that empty ones are bounded too."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy is made from, once everything that can be refused has been checked."""

    request_id: str
    key_id: str
    provider: str
    title: str
    """The provider as people write it."""
    model: str | None
    dial: Dial
    refused: Callable[[int, bytes], Fault]
    """Reads the provider's HTTP refusal."""
    meter: AudioCounter
    opening: Callable[[str], str] | None = None
    """What becomes of the first text message, where a key may stand in it."""
    end_of_audio: Callable[[int], Message] | None = None
    """See `providers.native`."""
    accepted: Callable[[], None] = lambda: None
    """Called when the provider has let the client's key, or ours, in."""
    secret: str | None = None
    """Our credential, if it is ours that is used: providers have been seen to quote it."""
    credit: Credit = UnlimitedCredit()
    """What it is charged to. The frame closes it."""
    observer: Observer = NullObserver()


class Sides(msgspec.Struct, frozen=True):
    """How a stream ends on both sides."""

    word: str
    """For logs and the ledger: `ok`, `client_gone`, an error code."""
    for_client: Close
    for_provider: Close
    why: str | None = None
    """In our own words."""


class Proxy:
    """One client and its provider.

    Args:
        already: what the client has sent so far, where its first message was read for the key.
    """

    def __init__(
        self,
        plan: Plan,
        client: MessageStream,
        dial: Dialler,
        limits: Limits,
        *,
        already: FirstMessages | None = None,
    ) -> None:
        self._plan = plan
        self._client = client
        self._provider: MessageStream | None = None
        self._dial = dial
        self._limits = limits
        self._already = already
        self._opening = plan.opening
        self._meter = plan.meter
        self._secret = plan.secret
        self._gate = AudioGate(plan.credit, plan.meter, on_refused=self.finish)
        self._owed: Message | None = None
        """Waits for its cycle to be granted."""
        self._up: Link[Message | Sides] = Link(
            self._send_up,
            wait=self._wait_up,
            size=_size,
            room_bytes=HELD_BYTES,
            on_room=client.resume,
        )
        self._down: Link[Message | Sides] = Link(
            self._send_down,
            wait=self._wait_down,
            size=_size,
            room_bytes=HELD_BYTES,
            on_room=self._resume_provider,
        )
        self._messages_up = self._binaries_up = self._messages_down = 0
        self._because: Fault | None = None
        self._is_parting = False
        """The provider has been told that no more comes."""
        self._asked = trio.Event()
        """Somebody wants it to end."""
        self._last_words = trio.Event()
        """The provider has closed, and the client has been sent everything before that."""
        self._ending: Sides | None = None
        self._crash: Exception | None = None
        self._over = trio.Event()
        self._frame = Frame(
            client,
            limits,
            SENTENCES,
            request_id=plan.request_id,
            credit=plan.credit,
            observer=plan.observer,
        )

    def finish(self, because: Fault) -> None:
        """End it from our side, politely: the provider's last words first, then the close that says why."""
        if self._because is None:
            self._because = because
            self._asked.set()

    async def run(self) -> None:
        """Serve until both sides are closed and both sockets released.

        Owns both streams and the credit. Raises nothing of its own; cancelled, it closes the client with 1012.
        """
        await self._frame.run(self)

    # For the frame: see `session.frame.Service`.

    async def serve(self, nursery: trio.Nursery) -> Ending:
        """See `Service`."""
        self._listen()
        nursery.start_soon(self._up.run)
        nursery.start_soon(self._down.run)
        nursery.start_soon(self._gate.run)
        nursery.start_soon(self._part)
        await self._over.wait()
        if self._crash is not None:
            raise self._crash
        assert self._ending is not None
        return _for_frame(self._ending)

    def end(self, fault: Fault) -> Ending:
        """See `Service`."""
        self._ending = _sides(fault)
        return _for_frame(self._ending)

    def cancelled(self) -> Ending:
        """See `Service`."""
        return _for_frame(_sides(CANCELLED))

    def activity(self) -> object:
        """See `Service`."""
        return self._messages_up + self._messages_down

    def progress(self) -> tuple[int, int]:
        """See `Service`."""
        return self._gate.passed_ms, self._gate.passed_ms

    def usage(self) -> Usage:
        """See `Service`."""
        return Usage(self._gate.passed_ms)

    def names(self) -> Mapping[str, object]:
        """See `Service`."""
        return {
            "request_id": self._plan.request_id,
            "key_id": self._plan.key_id,
            "dialect": "gateway",
            "provider": self._plan.provider,
            "model": self._plan.model,
        }

    def log_fields(self) -> Mapping[str, object]:
        """See `Service`."""
        return {
            "audio_ms": self._gate.passed_ms,
            "cycles": self._gate.cycles,
            "messages_up": self._messages_up,
            "messages_down": self._messages_down,
        }

    async def aclose(self) -> None:
        """See `Service`."""
        if self._provider is not None:
            sides = self._ending or _sides(CANCELLED)
            self._provider.close(sides.for_provider.code, sides.for_provider.reason)
            await self._provider.aclose()

    # Client to provider.

    def _listen(self) -> None:
        ear = _Ear(self._up.push, self._client_gone, self._crashed)
        already = self._already
        for message in already.messages if already is not None else ():
            self._up.push(message)
        if already is not None and already.crash is not None:
            raise already.crash
        if already is not None and already.ended is not None:
            self._client_gone(already.ended)
            return
        self._client.start(ear)
        self._client.resume()

    def _send_up(self, message: "Message | Sides") -> bool:
        """The fast path. False: wait before the next one."""
        if isinstance(message, Sides):
            self._end(message)
            return False
        if self._is_parting:
            return True
        if isinstance(message, bytes):
            self._binaries_up += 1
        elif self._opening is not None:
            message = self._opening(message)
            self._opening = None
        self._messages_up += 1
        self._meter.read(message)
        if not self._gate.lets_pass():
            self._owed = message
            return False
        stream = self._provider
        assert stream is not None
        stream.send(message)
        return not stream.is_congested

    async def _wait_up(self) -> None:
        if self._provider is None:
            await self._open()
        stream = self._provider
        assert stream is not None
        if self._owed is not None:
            await self._gate.wait()
            if not self._gate.is_shut:
                stream.send(self._owed)
                self._owed = None
        with trio.move_on_after(PROVIDER_READS_S) as scope:
            await stream.flushed()
        if scope.cancelled_caught:
            raise UpstreamFault(
                f"{self._plan.title} has not read for {PROVIDER_READS_S:g} s", code="provider_unreachable"
            )

    async def _open(self) -> None:
        """Dial, within the dialler's deadlines.

        Raises:
            Fault: the provider cannot be reached, or refused.
        """
        began_s = trio.current_time()
        refusal: Fault | None = None
        try:
            self._provider = await self._dial(self._plan.dial)
        except Refused as refused:
            refusal = self._plan.refused(refused.status, refused.body)
        if refusal is not None:
            raise refusal
        assert self._provider is not None
        self._plan.observer.dialled(trio.current_time() - began_s)
        self._plan.accepted()
        self._provider.start(_Ear(self._down.push, self._provider_gone, self._crashed))

    def _client_gone(self, closed: Closed) -> None:
        is_lost = closed.code is None
        ending = Sides(
            "client_gone" if is_lost else "ok",
            Close(GOING_AWAY if closed.code is None else closed.code),
            close_for_provider(closed.code, closed.reason, is_violation=closed.is_violation),
        )
        if is_lost or closed.is_violation:
            self._end(ending)  # nobody waits for what its last messages would bring
        else:
            self._up.push(ending)

    # Provider to client.

    def _send_down(self, message: "Message | Sides") -> bool:
        """The fast path. False: the client does not read as fast as the provider speaks."""
        if isinstance(message, Sides):
            self._last_words.set()
            if self._because is None:
                self._end(message)
            return False
        self._messages_down += 1
        if self._secret is not None and isinstance(message, str) and self._secret in message:
            message = message.replace(self._secret, "…")
        client = self._client
        client.send(message)
        return not client.is_congested

    async def _wait_down(self) -> None:
        with trio.move_on_after(self._limits.send_s) as scope:
            await self._client.flushed()
        if scope.cancelled_caught:
            raise timed_out(f"the client has not read for {self._limits.send_s:g} s")

    def _provider_gone(self, closed: Closed) -> None:
        is_clean = closed.code in (CloseCode.NORMAL, NO_CODE)
        self._down.push(
            Sides(
                "ok" if is_clean else "provider_error",
                close_for_client(
                    self._plan.title,
                    closed.code,
                    closed.reason,
                    is_violation=closed.is_violation,
                    secret=self._secret,
                ),
                Close(CloseCode.NORMAL),
            )
        )

    def _resume_provider(self) -> None:
        assert self._provider is not None
        self._provider.resume()

    # The end.

    async def _part(self) -> None:
        """When we must end it: tell the provider, and let its last words through."""
        await self._asked.wait()
        assert self._because is not None
        if self._provider is not None:
            self._up.drain()
            self._is_parting = True
            if self._plan.end_of_audio is not None:
                self._provider.send(self._plan.end_of_audio(self._binaries_up))
                with trio.move_on_after(self._limits.last_words_s):
                    await self._last_words.wait()
        self._end(_sides(self._because))

    def _end(self, ending: Sides) -> None:
        """The first ending counts."""
        if self._ending is None:
            self._ending = ending
            self._over.set()

    def _crashed(self, error: Exception) -> None:
        self._crash = error
        self._over.set()


def _sides(fault: Fault) -> Sides:
    is_ours = isinstance(fault, InternalFault) or fault.close_code is CloseCode.RESTART
    return Sides(
        ending_word(fault),
        Close(close_code(fault), fault.message),
        Close(GOING_AWAY if is_ours else CloseCode.NORMAL),
        fault.message if fault.code == "provider_unreachable" else None,
    )


def _for_frame(sides: Sides) -> Ending:
    return Ending(sides.word, int(sides.for_client.code), sides.for_client.reason, sides.why)


class _Ear(msgspec.Struct, frozen=True):
    """Listens to one side: a `Listener`."""

    message: Callable[[Message], bool]
    closed: Callable[[Closed], None]
    crashed: Callable[[Exception], None]


def _size(message: Message | Sides) -> int:
    return MESSAGE_BYTES if isinstance(message, Sides) else len(message) + MESSAGE_BYTES
