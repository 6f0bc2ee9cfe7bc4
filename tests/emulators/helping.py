"""What the emulators' tests share: a recogniser that hears what it is told to, and clients in memory."""

import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import h11
import numpy as np
import trio
import trio.testing
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection, wrap_client_stream

from routeraudio.emulators.kit.base import Heard, HeardWord, Hearing
from routeraudio.emulators.kit.server import Emulator

AUDIO = Path(__file__).parent.parent / "assets" / "audio"

RAW = "encoding=linear16&sample_rate=16000"
SECOND = b"\x01\x00" * 16000
"""A second of 16 kHz PCM that is not silence in bytes."""

PATIENCE_S = 30.0
"""Longer than any test takes; ends one that hangs."""

Heads = Sequence[tuple[str, str]]
KEY: Heads = (("Authorization", "Token good"),)


def heard(kind: str, text: str, start_ms: int, word_ms: int = 300) -> Heard:
    """Words of equal length, one after the other."""
    words = tuple(
        HeardWord(word, start_ms + index * word_ms, start_ms + (index + 1) * word_ms)
        for index, word in enumerate(text.split())
    )
    return Heard(kind, text, start_ms, words[-1].end_ms, words)  # type: ignore[arg-type]


class FakeHear:
    """Hears what it is told when so much audio has arrived: `plan` is (after_ms, heard), `rest` comes at the end.

    `held` is given by the first `finalize`.
    """

    def __init__(
        self,
        plan: Sequence[tuple[int, Heard]] = (),
        *,
        held: Heard | None = None,
        rest: Sequence[Heard] = (),
    ) -> None:
        self.plan, self.held, self.rest = plan, held, rest
        self.opened: list[tuple[int, bool]] = []
        self.pcm: list[bytearray] = []
        self.open_now = 0

    @asynccontextmanager
    async def open(self, *, endpointing_ms: int, partials: bool) -> AsyncIterator[Hearing]:
        self.opened.append((endpointing_ms, partials))
        self.pcm.append(bytearray())
        self.open_now += 1
        try:
            yield _FakeHearing(self, self.pcm[-1])
        finally:
            self.open_now -= 1


class _FakeHearing:
    def __init__(self, hear: FakeHear, pcm: bytearray) -> None:
        self._plan = list(hear.plan)
        self._held = hear.held
        self._rest = hear.rest
        self._pcm = pcm
        self._say, self._said = trio.open_memory_channel[Heard](100)

    async def send(self, pcm: bytes) -> None:
        self._pcm += pcm
        while self._plan and self._plan[0][0] <= len(self._pcm) // 32:
            await self._say.send(self._plan.pop(0)[1])

    async def finalize(self) -> None:
        if self._held is not None:
            await self._say.send(self._held)
            self._held = None

    async def finish(self) -> None:
        for each in self._rest:
            await self._say.send(each)
        self._say.close()

    def __aiter__(self) -> AsyncIterator[Heard]:
        return self._said


class Client:
    """A client that keeps what it is told."""

    def __init__(self, socket: WebSocketConnection, stream: trio.abc.Stream) -> None:
        self.socket = socket
        self.stream = stream

    async def send(self, *messages: str | bytes | dict[str, Any]) -> None:
        for message in messages:
            await self.socket.send_message(json.dumps(message) if isinstance(message, dict) else message)

    async def receive(self) -> Any:
        with trio.fail_after(PATIENCE_S):
            return json.loads(await self.receive_whatever())

    async def receive_whatever(self) -> str | bytes:
        return await self.socket.get_message()

    async def rest(self) -> tuple[list[Any], CloseReason]:
        """All messages until the close, and the close."""
        messages = []
        with trio.fail_after(PATIENCE_S):
            while True:
                try:
                    messages.append(json.loads(await self.socket.get_message()))
                except ConnectionClosed:
                    assert self.socket.closed is not None
                    return messages, self.socket.closed


@asynccontextmanager
async def talk(
    emulator: Emulator, target: str, headers: Heads = KEY, subprotocols: Sequence[str] = ()
) -> AsyncIterator[Client]:
    """An accepted connection, in memory. On leaving, the emulator's side must come to an end by itself."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as serving:
        serving.start_soon(emulator.answer, theirs)
        async with trio.open_nursery() as nursery:
            socket = await wrap_client_stream(
                nursery,
                ours,
                "emulator",
                target,
                subprotocols=subprotocols,
                extra_headers=[(name.encode(), value.encode()) for name, value in headers],
            )
            yield Client(socket, ours)
            nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(ours)
    assert emulator.connections[-1].error is None
    assert emulator.connections[-1].ended.is_set()


async def ask(emulator: Emulator, target: str, headers: Heads = KEY) -> tuple[int, dict[str, str], bytes]:
    """Send an upgrade request as bytes; the answer's status, headers and body."""
    ours, theirs = trio.testing.memory_stream_pair()
    http = h11.Connection(h11.CLIENT)
    upgrade = [
        ("Host", "emulator"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emulator.answer, theirs)
        request = h11.Request(method="GET", target=target, headers=[*upgrade, *headers])
        await ours.send_all(http.send(request) or b"")
        http.send(h11.EndOfMessage())
        body = b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await ours.receive_some())
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                status, found = event.status_code, event.headers
                if status == 101:
                    break
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
        await trio.aclose_forcefully(ours)
    return status, {name.decode(): value.decode() for name, value in found}, body


def clip(name: str) -> bytes:
    """A clip's samples: 16 kHz, mono, s16le."""
    data = (AUDIO / name).read_bytes()
    return data[data.index(b"data") + 8 :]


def encoded(pcm: bytes, container: str, codec: str, rate: int) -> bytes:
    """A clip in a container."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = 16000
        resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def chunks(data: bytes, size: int) -> list[bytes]:
    """Cut into messages."""
    return [data[start : start + size] for start in range(0, len(data), size)]
