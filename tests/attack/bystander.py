"""A daemon in a process of its own, a provider that answers at once and counts, and a client that is measured."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketRequest,
    serve_websocket,
)

from tests.attack.attacks import KEY as INVENTED
from tests.edge.fakes import get
from tests.end_to_end.router import client_of, rest

ADMIN_KEY = "admin_attack_0123456789abcdef"
BUDGET_USD = 0.02
"""Of the key that is spent by force; 33 cycles at Deepgram's price."""
RAW = {"provider": "deepgram", "encoding": "pcm_s16le", "sample_rate": 16000}
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


class Vendor:
    """A provider that says a partial for every message of audio of stored keys', and nothing to attackers.

    It takes every attacker's key but those that are made up anew for each connection.
    """

    def __init__(self) -> None:
        self.heard_bytes: Counter[str] = Counter()
        """Of 16-bit audio at 16 kHz, by the model asked for: the bystander's is `nova-3`, spenders' `nova-2`."""

    async def answer(self, request: WebSocketRequest) -> None:
        """One connection."""
        keys = [value.decode() for name, value in request.headers if name.lower() == b"authorization"]
        if not keys or keys[0] not in ("Token stored", f"Token {INVENTED}"):
            await request.reject(401)
            return
        model = dict(parse_qsl(request.path.partition("?")[2])).get("model", "")
        connection, number = await request.accept(), 0
        try:
            while True:
                message = await connection.get_message()
                if isinstance(message, bytes) and keys[0] == "Token stored":
                    self.heard_bytes[model] += len(message)
                    await connection.send_message(RESULT.replace("NUMBER", str(number)))
                    number += 1
                elif isinstance(message, str) and "CloseStream" in message:
                    await connection.send_message('{"type":"Metadata","duration":0.0}')
                    await connection.aclose(1000)
        except ConnectionClosed:
            pass


class Attacked(msgspec.Struct):
    """A running daemon, and who may use it."""

    port: int
    vendor: Vendor
    bystander: str
    spender: str
    """A key with a small budget."""

    async def usage(self) -> dict[str, dict[str, float]]:
        """What the ledger says, by model; of the two keys."""
        report = await get(self.port, "/v1/usage?by=model,key", f"x-api-key: {ADMIN_KEY}")
        keys = {key.split("_")[1] for key in (self.bystander, self.spender)}
        return {row["model"]: row for row in report.json["rows"] if row["key"] in keys}

    async def settled(self) -> dict[str, dict[str, float]]:
        """The same, when nobody streams any more and all is written."""
        with trio.fail_after(60):
            while True:
                usage = await self.usage()
                told = {
                    model: round(row["audio_seconds"] + row["replayed_seconds"], 3)
                    for model, row in usage.items()
                }
                if told and told == {model: self.heard_s(model) for model in told}:
                    return usage
                await trio.sleep(0.5)

    def heard_s(self, model: str) -> float:
        """As the vendor has counted it; a begun millisecond does not count."""
        return self.vendor.heard_bytes[model] // 32 / 1000


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[Attacked]:
    """A running daemon. Nobody reads its log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with trio.open_nursery() as nursery:
        vendor = Vendor()
        provider = await nursery.start(serve_websocket, vendor.answer, "127.0.0.1", 0, None)
        config = folder / "attack.toml"
        config.write_text(
            f'[server]\nbind = ["127.0.0.1:{port}"]\n[store]\nurl = "sqlite:///{folder}/db"\n'
            f'[access]\nadmin_key_env = "ATTACK_ADMIN_KEY"\n'
            f'[providers.deepgram]\nurl = "ws://127.0.0.1:{provider.port}"\napi_key = "stored"\n'
            f'[providers.soniox]\nurl = "ws://127.0.0.1:{provider.port}"\n'
        )
        config.chmod(0o600)
        environ = {**os.environ, "ATTACK_ADMIN_KEY": ADMIN_KEY}
        bystander = await _new_key(config, environ)
        spender = await _new_key(config, environ, "--budget", f"{BUDGET_USD}/total")
        log, unread = os.pipe()
        process = subprocess.Popen(  # noqa: ASYNC220 - begun once, ended below
            [sys.executable, "-m", "routeraudio", "serve", "--config", str(config)],
            stderr=unread,
            env=environ,
        )
        os.close(unread)
        try:
            with trio.fail_after(60):
                while await health_s(port) is None:  # noqa: ASYNC110 - another process, which sets no event
                    await trio.sleep(0.1)
            yield Attacked(port, vendor, bystander, spender)
        finally:
            process.kill()
            os.close(log)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(process.wait)
        nursery.cancel_scope.cancel()


async def _new_key(config: Path, environ: dict[str, str], *wishes: str) -> str:
    command = [sys.executable, "-m", "routeraudio", "keys", "create", "--config", str(config), "--name", "x"]
    done = await trio.run_process([*command, "--json", *wishes], capture_stdout=True, env=environ)
    key: str = msgspec.json.decode(done.stdout)["key"]
    return key


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


async def measure(place: Attacked, seconds: float) -> Figures:
    """A client that streams in real time for so long: from each chunk to what is said about it."""
    delays_s: list[float] = []
    health: list[float | None] = []
    sent_s: list[float] = []
    port, wish = place.port, {**RAW, "model": "nova-3", "partial_results": "true"}
    async with (
        client_of(f"127.0.0.1:{port}", place.bystander, **wish) as client,
        trio.open_nursery() as nursery,
    ):

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


async def spend(place: Attacked) -> None:
    """Clients of a key that send all they have at once, until its budget is used up."""

    async def one() -> None:
        with trio.move_on_after(20), suppress(ConnectionClosed, ConnectionRejected, HandshakeError):
            async with client_of(f"127.0.0.1:{place.port}", place.spender, **RAW, model="nova-2") as client:
                for _ in range(60):
                    await client.send_message(bytes(64_000))
                await rest(client)

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(one)


async def attacked(place: Attacked, name: str, seconds: float) -> Figures:
    """The bystander's figures while somebody attacks."""
    attacker = subprocess.Popen(  # noqa: ASYNC220 - begun once, ended below
        [sys.executable, "-m", "tests.attack.attacks", name, str(place.port), str(seconds + 1)]
    )
    try:
        await trio.sleep(0.5)  # Python starts
        return await measure(place, seconds)
    finally:
        attacker.kill()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(attacker.wait)


def folder() -> "tempfile.TemporaryDirectory[str]":
    """For the daemon's files."""
    return tempfile.TemporaryDirectory(prefix="routeraudio-attack-")
