"""Crowds that want the same thing from several nodes at the same moment."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Final

import httpx
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected

from tests.edge.fakes import Client, client, client_on, connect
from tests.fleet.fleet import NAMES, Fleet
from tests.fleet.processes import Daemon
from tests.fleet.riding import status_of

MULAW: Final = "/v1/listen?provider=deepgram&encoding=pcm_mulaw&sample_rate=8000"

PATIENCE_S: Final = 60.0


class Crowd:
    """Who got in, and what the others were told."""

    def __init__(self) -> None:
        self.inside: list[Client] = []
        self.codes: list[int] = []
        """Close codes of those who did not."""


async def new_token(fleet: Fleet, key: str) -> str:
    """A token, made by one node."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:
        answer = await http.post(f"http://{fleet.address}/v1/token", headers={"x-api-key": key})
    token: str = answer.raise_for_status().json()["token"]
    return token


async def token_race(fleet: Fleet, key: str, count: int) -> Crowd:
    """``count`` connects with one token, over all nodes; everybody is gone afterwards."""
    token = await new_token(fleet, key)
    async with rush(fleet, f"{MULAW}&jwt_token={token}", {}, count, audio=b"\x00" * 80) as crowd:
        return crowd


@asynccontextmanager
async def rush(
    fleet: Fleet,
    path: str,
    headers: Mapping[str, str],
    count: int,
    *,
    audio: bytes,
    on: Sequence[str] = NAMES,
) -> AsyncIterator[Crowd]:
    """Connect ``count`` clients at once; yields when all know where they stand.

    A client is inside when it gets a transcript for its ``audio``; the provider must answer each with one.

    Args:
        on: nodes, which are taken in turn.
    """
    addresses = cycle([fleet.nodes[name].address for name in on])
    crowd = Crowd()
    start, waiting = trio.Event(), [trio.Event() for _ in range(count)]
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        streams = [await connect(int(next(addresses).rpartition(":")[2])) for _ in range(count)]
        for stream in streams:
            stack.push_async_callback(stream.aclose)
        for stream, known in zip(streams, waiting, strict=True):
            nursery.start_soon(_come, stream, path, headers, audio, start, known, crowd)
        start.set()
        with trio.fail_after(PATIENCE_S):
            for known in waiting:
                await known.wait()
        yield crowd
        nursery.cancel_scope.cancel()


async def _come(
    stream: trio.SocketStream,
    path: str,
    headers: Mapping[str, str],
    audio: bytes,
    start: trio.Event,
    known: trio.Event,
    crowd: Crowd,
) -> None:
    await start.wait()
    async with client_on(stream, path, headers) as caller:
        try:
            await caller.send(audio)
            await caller.send('{"type":"finalize"}')
        except ConnectionClosed:
            pass  # told already
        message = await caller.receive()
        if message["type"] == "error":
            crowd.codes.append((await caller.rest())[1])
            known.set()
            return
        crowd.inside.append(caller)
        known.set()
        await trio.sleep_forever()


async def told(node: Daemon, headers: Mapping[str, str]) -> int | None:
    """How a new stream is refused: an HTTP status or close code; None: it is served."""
    try:
        async with client(int(node.address.rpartition(":")[2]), MULAW, headers) as caller:
            try:
                await caller.finish()
            except ConnectionClosed:
                pass  # told already
            _, code = await caller.rest()
            return None if code == 1000 else code
    except* ConnectionRejected as group:
        status = status_of(group)
    return status
