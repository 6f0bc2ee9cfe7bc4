"""A daemon in a process of its own, a provider that answers at once, and a client whose delays are measured."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from tests.end_to_end.router import client_of

ROUTER_KEY = "router_bystander"
CHUNK = bytes(640)
CHUNK_S = 0.02
RESULT = json.dumps(
    {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 0.02,
        "start": 0.0,
        "is_final": False,
        "speech_final": False,
        "channel": {"alternatives": [{"transcript": "NUMBER", "confidence": 1.0, "words": []}]},
    }
)


class Figures(msgspec.Struct):
    """What an attack has cost."""

    p50_ms: float
    p99_ms: float
    worst_health_ms: float
    """Of `/healthz`; infinity: one was not answered."""
    messages: int


async def answer(request: WebSocketRequest) -> None:
    """A provider that says a partial for every message of audio of the bystander's, and nothing to anybody else."""
    is_known = ("authorization", "Token stored") in [
        (name.decode().lower(), value.decode()) for name, value in request.headers
    ]
    if not is_known:
        await request.reject(401)
        return
    connection = await request.accept()
    try:
        for number in count():
            if isinstance(await connection.get_message(), bytes):
                await connection.send_message(RESULT.replace("NUMBER", str(number)))
    except ConnectionClosed:
        pass


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[int]:
    """A running daemon's port. Nobody reads its log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with trio.open_nursery() as nursery:
        provider = await nursery.start(serve_websocket, answer, "127.0.0.1", 0, None)
        digest = sha256(ROUTER_KEY.encode()).hexdigest()
        config = folder / "attack.toml"
        config.write_text(
            f'[server]\nbind = ["127.0.0.1:{port}"]\n[store]\nurl = "sqlite:///{folder}/db"\n'
            f'[[keys]]\nid = "test"\nhash = "sha256:{digest}"\n'
            f'[providers.deepgram]\nurl = "ws://127.0.0.1:{provider.port}"\napi_key = "stored"\n'
            f'[providers.soniox]\nurl = "ws://127.0.0.1:{provider.port}"\n'
        )
        config.chmod(0o600)
        log, unread = os.pipe()
        process = subprocess.Popen(  # noqa: ASYNC220 - begun once, ended below
            [sys.executable, "-m", "routeraudio", "serve", "--config", str(config)], stderr=unread
        )
        os.close(unread)
        try:
            with trio.fail_after(60):
                while await health_s(port) is None:  # noqa: ASYNC110 - another process, which sets no event
                    await trio.sleep(0.1)
            yield port
        finally:
            process.kill()
            os.close(log)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(process.wait)
        nursery.cancel_scope.cancel()


async def health_s(port: int) -> float | None:
    """How long `/healthz` took; None: it was not answered."""
    began_s = trio.current_time()
    with trio.move_on_after(10):
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if (await stream.receive_some(4096)).startswith(b"HTTP/1.1 200"):
                    return trio.current_time() - began_s
        except (OSError, trio.BrokenResourceError):
            pass
    return None


async def measure(port: int, seconds: float) -> Figures:
    """A client that streams in real time for so long: from each chunk to what is said about it."""
    delays_s: list[float] = []
    health: list[float | None] = []
    sent_s: list[float] = []
    wish = {"provider": "deepgram", "encoding": "pcm_s16le", "sample_rate": 16000, "partial_results": "true"}
    async with client_of(f"127.0.0.1:{port}", ROUTER_KEY, **wish) as client, trio.open_nursery() as nursery:

        async def hear() -> None:
            while True:
                await client.get_message()
                delays_s.append(trio.current_time() - sent_s[len(delays_s)])

        async def look() -> None:
            while True:
                health.append(await health_s(port))
                await trio.sleep(0.2)

        nursery.start_soon(hear)
        nursery.start_soon(look)
        until_s = trio.current_time() + seconds
        while trio.current_time() < until_s:
            sent_s.append(trio.current_time())
            await client.send_message(CHUNK)
            await trio.sleep(CHUNK_S)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    ordered = sorted(delays_s) or [float("inf")]
    answered = [one for one in health if one is not None]
    return Figures(
        p50_ms=1000 * ordered[len(ordered) // 2],
        p99_ms=1000 * ordered[len(ordered) * 99 // 100],
        worst_health_ms=1000 * max(answered) if len(answered) == len(health) else float("inf"),
        messages=len(delays_s),
    )


async def attacked(port: int, name: str, seconds: float) -> Figures:
    """The bystander's figures while somebody attacks."""
    attacker = subprocess.Popen(  # noqa: ASYNC220 - begun once, ended below
        [sys.executable, "-m", "tests.attack.attacks", name, str(port), str(seconds + 1)]
    )
    try:
        await trio.sleep(0.5)  # Python starts
        return await measure(port, seconds)
    finally:
        attacker.kill()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(attacker.wait)


def folder() -> "tempfile.TemporaryDirectory[str]":
    """For the daemon's files."""
    return tempfile.TemporaryDirectory(prefix="routeraudio-attack-")
