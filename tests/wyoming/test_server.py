"""Conversations with a listener of the real daemon, over loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from routeraudio import daemon
from routeraudio.config.schema import Key, Wyoming
from routeraudio.config.secret import Secret
from routeraudio.wyoming.events import Event, Reader
from tests.edge.fakes import KEY, PATIENCE_S, WORDS, FakeDeepgram, config, until_end

AUDIO = {"rate": 16_000, "width": 2, "channels": 1}
SECOND = bytes(range(256)) * 125


def event(kind: str, data: dict[str, Any] | None = None, payload: bytes = b"") -> bytes:
    head = {"type": kind, "data": data or {}, "payload_length": len(payload)}
    return msgspec.json.encode(head) + b"\n" + payload


class Caller:
    """A client."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._reader = Reader()
        self._events: list[Event] = []

    async def send(self, *events: bytes) -> None:
        for one in events:
            await self.stream.send_all(one)

    async def receive(self) -> Event:
        with trio.fail_after(PATIENCE_S):
            while not self._events:
                data = await self.stream.receive_some()
                assert data, "the connection is over"
                self._events += self._reader.push(data)
            return self._events.pop(0)

    async def says(self, seconds: int = 1) -> None:
        """An utterance."""
        await self.send(event("transcribe", {"language": "en"}), event("audio-start", AUDIO))
        for _ in range(seconds):
            await self.send(event("audio-chunk", AUDIO, SECOND))
        await self.send(event("audio-stop"))


@asynccontextmanager
async def calling(
    deepgram: FakeDeepgram | None = None, *, listener: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Caller]:
    wish = {"bind": "127.0.0.1:0", "provider": "deepgram", "api_key": Secret(KEY), **(listener or {})}
    served = deepgram or FakeDeepgram()
    async with served.serving() as url, trio.open_nursery() as nursery:
        whole = msgspec.structs.replace(config(deepgram=url, **settings), wyoming=(Wyoming(**wish),))
        addresses = await nursery.start(daemon.serve, whole)
        async with await trio.open_tcp_stream("127.0.0.1", int(addresses[1].rpartition(":")[2])) as stream:
            yield Caller(stream)
        nursery.cancel_scope.cancel()


async def test_two_utterances_on_a_connection(autojump_clock: MockClock) -> None:
    """Satellites keep connections; every utterance is a session of its own."""
    deepgram = FakeDeepgram()
    async with calling(deepgram) as caller:
        for _ in range(2):
            await caller.says(2)
            told = await caller.receive()
            assert (told.type, told.data) == ("transcript", {"text": WORDS, "language": "en"})
    assert [bytes(audio) for audio in deepgram.audio] == [SECOND * 2] * 2


async def test_what_needs_no_session(autojump_clock: MockClock) -> None:
    """Descriptions and pings dial nobody; what is unknown is ignored."""
    deepgram = FakeDeepgram()
    async with calling(deepgram) as caller:
        await caller.send(event("describe"), event("synthesize", {"text": "x"}), event("ping", {"text": "t"}))
        assert (await caller.receive()).data["asr"][0]["installed"]
        assert await caller.receive() == Event("pong", {"text": "t"})
    assert deepgram.requests == []


async def test_audio_without_its_start(autojump_clock: MockClock) -> None:
    """Some satellites begin with a chunk, which says its format; a language that nobody has is none."""
    async with calling() as caller:
        await caller.send(event("transcribe", {"language": "xx"}), event("audio-chunk", AUDIO, SECOND))
        await caller.send(event("audio-stop"))
        assert (await caller.receive()).data["text"] == WORDS


@pytest.mark.parametrize(
    ("sent", "listener", "code"),
    [
        (event("audio-start", {**AUDIO, "width": 4}), {}, "invalid_parameter"),
        (event("audio-start", AUDIO), {"api_key": Secret("router_wrong")}, "unauthorized"),
        (event("audio-start", AUDIO), {"api_key": None}, "unauthorized"),
        (event("audio-start", AUDIO), {"provider": "local"}, "unauthorized"),
        (event("audio-start", AUDIO), {}, "timeout"),
    ],
)
async def test_what_is_refused(
    sent: bytes, listener: dict[str, Any], code: str, autojump_clock: MockClock
) -> None:
    """In an `error`, and the connection is over."""
    keys = [Key(id="one", hash="sha256:" + sha256(b"router_good").hexdigest())]
    async with calling(listener=listener, keys=keys, limits={"idle_s": 5.0}) as caller:
        await caller.send(sent)
        told = await caller.receive()
        assert (told.type, told.data["code"]) == ("error", code)
        assert await until_end(caller.stream) == b""


async def test_a_client_that_leaves_takes_its_upstream_along(autojump_clock: MockClock) -> None:
    """In the middle of an utterance."""
    deepgram = FakeDeepgram()
    async with calling(deepgram) as caller:
        await caller.send(event("audio-start", AUDIO), event("audio-chunk", AUDIO, SECOND))
        await deepgram.until_heard(len(SECOND))
        await caller.stream.aclose()
        await deepgram.until(0)


async def test_another_protocol(autojump_clock: MockClock) -> None:
    """A scanner's HTTP is not answered."""
    async with calling() as caller:
        await caller.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await until_end(caller.stream) == b""


@pytest.mark.parametrize(("networks", "is_served"), [(("127.0.0.0/8",), True), (("10.0.0.0/8",), False)])
async def test_where_clients_may_come_from(
    networks: tuple[str, ...], is_served: bool, autojump_clock: MockClock
) -> None:
    """Others are not answered."""
    async with calling(listener={"allow_networks": networks}) as caller:
        await caller.send(event("describe"))
        if is_served:
            assert (await caller.receive()).type == "info"
        else:
            assert await until_end(caller.stream) == b""
