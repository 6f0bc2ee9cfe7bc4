"""Clients of a fleet that speak in real time: one ride is one connection, from the connect to however it ends."""

import json
import random
from typing import Final, Literal

import msgspec
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError

from tests.edge.fakes import Client, client
from tests.fleet.counting import BYTES_PER_MS, SILENCE

Ending = Literal["finished", "told", "left", "cut", "refused"]
"""How a ride ended: `finished` as the client wished, `told` with an error and a close frame, `left` by the client
without a word, `cut` without a close frame, `refused` before it began."""

CUT: Final = 1006
"""No close frame (RFC 6455, 7.1.5)."""

GOODBYE_S: Final = 60.0
"""For last words, on a loaded machine."""

AUDIO: Final = bytes(byte for byte in random.Random(8000).choices(range(256), k=64_000) if byte != SILENCE[0])
"""Noise without the one byte that is not counted."""


class Ride(msgspec.Struct, kw_only=True):
    """A connection, as its client saw it."""

    name: str
    """In the place of a model."""
    ending: Ending = "refused"
    code: int = 0
    """Of the close frame, or the HTTP status of a refusal; 0: there was no connection."""
    why: str = ""
    """The error that the client was told."""
    sent_bytes: int = 0
    late_s: float = 0.0
    """How far behind real time the client was at worst."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a client intends."""

    name: str
    key: str
    seconds: float
    """Of audio."""
    chunk_ms: int = 100
    leaves: bool = False
    """Ends without a word."""


async def ride(port: int, wish: Wish) -> Ride:
    """Connect, speak, end. Never raises for what a daemon or balancer does."""
    done = Ride(name=wish.name)
    path = f"/v1/listen?provider=deepgram&encoding=pcm_mulaw&sample_rate=8000&model={wish.name}"
    try:
        async with client(port, path, {"x-api-key": wish.key}) as caller:
            done.ending = "left"
            with trio.move_on_after(wish.seconds + GOODBYE_S):
                await _converse(caller, wish, done)
    except* ConnectionRejected as group:
        done.code = status_of(group)
    except* (HandshakeError, OSError, trio.BrokenResourceError):
        pass  # nobody was there
    return done


async def _converse(caller: Client, wish: Wish, done: Ride) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_listen, caller, done, nursery.cancel_scope)
        await _speak(caller, wish, done)
        if wish.leaves:
            nursery.cancel_scope.cancel()


async def _speak(caller: Client, wish: Wish, done: Ride) -> None:
    """Chunks in real time, on a clock that does not drift; a client that is late does not wait."""
    size = wish.chunk_ms * BYTES_PER_MS
    began_s = trio.current_time()
    try:
        for number in range(int(wish.seconds * 1000 / wish.chunk_ms)):
            at = number * size % (len(AUDIO) - size)
            await caller.send(AUDIO[at : at + size])
            done.sent_bytes += size
            due_s = began_s + (number + 1) * wish.chunk_ms / 1000
            done.late_s = max(done.late_s, trio.current_time() - due_s)
            await trio.sleep_until(due_s)
        if not wish.leaves:
            await caller.finish()
    except ConnectionClosed:
        pass  # the listener knows how


async def _listen(caller: Client, done: Ride, scope: trio.CancelScope) -> None:
    """Read until the connection ends."""
    try:
        while True:
            message = json.loads(await caller.socket.get_message())
            if message["type"] == "error":
                done.why = message["error"]
    except ConnectionClosed:
        done.code = int(caller.socket.closed.code) if caller.socket.closed else CUT
        done.ending = _ending(done)
    scope.cancel()


def _ending(done: Ride) -> Ending:
    if done.code == CUT:
        return "cut"
    return "finished" if done.code == 1000 else "told"


def status_of(group: BaseExceptionGroup[ConnectionRejected]) -> int:
    """The HTTP status that refused an upgrade."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, ConnectionRejected)
    return first.status_code
