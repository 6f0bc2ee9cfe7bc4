"""Plain requests behind the door: the pages that balancers ask, and whatever else is asked."""

import socket
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routeraudio.api.hypercorn import FILE_S, REQUEST_S, HypercornServer
from routeraudio.transport.bytestream import ByteStream
from tests.edge.fakes import FakeDeepgram, client, config, connect, daemon_on, get, until_end
from tests.transport.peers import at_once

SEND_S = 10.0


async def test_a_full_daemon_is_not_ready(autojump_clock: MockClock) -> None:
    """With as many sessions as allowed, balancers should look elsewhere; one more session is told 1013."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url, max_sessions=1)) as port:
        async with client(port):
            await deepgram.until(1)
            full = await get(port, "/readyz")
            assert (full.status, full.json) == (503, {"status": "full"})
            assert (await get(port, "/healthz")).status == 200
            async with client(port) as second:
                messages, code = await second.rest()
            assert (code, [message["code"] for message in messages]) == (1013, ["rate_limited"])
        await deepgram.until(0)
        assert (await get(port, "/readyz")).status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "DELETE", "TRACE", "X-WHATEVER", "CONNECT"])
@pytest.mark.parametrize(
    "path", ["/healthz", "/nothing", "*", "//", "/%00", "http://elsewhere.example/healthz"]
)
async def test_every_method_has_an_answer(method: str, path: str, autojump_clock: MockClock) -> None:
    """Whatever is asked for in whatever way is answered at once, and the connection ends."""
    async with daemon_on(config()) as port:
        async with await connect(port) as stream:
            with at_once():
                await stream.send_all(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                data = await until_end(stream)
        assert data.startswith(b"HTTP/1.1 "), data
        assert int(data.split()[1]) < 500
        assert (await get(port, "/healthz")).status == 200


async def test_a_client_that_waits_for_leave_to_send_its_body(autojump_clock: MockClock) -> None:
    """`Expect: 100-continue` holds nobody up."""
    async with daemon_on(config()) as port, await connect(port) as stream:
        with at_once():
            await stream.send_all(
                b"POST /healthz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            await stream.send_all(b"{}")
            assert b"HTTP/1.1 405" in await until_end(stream)


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """An application whose answer is larger than every buffer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64):
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def crashing(scope: Any, receive: Any, send: Any) -> None:
    """An application with a bug."""
    raise ZeroDivisionError


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """An application that never answers."""
    await trio.sleep_forever()


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["alone", "cancelled"])
@pytest.mark.parametrize("app", [endless, crashing, silent])
async def test_no_request_lasts(app: Any, is_cancelled: bool, autojump_clock: MockClock) -> None:
    """Whatever the application does and whether the client reads or not, the request ends, also when cancelled."""
    ours, theirs = socket.socketpair()
    stream = ByteStream(ours, send_s=SEND_S)
    with theirs:
        theirs.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        began_s = trio.current_time()
        with trio.move_on_after(1 if is_cancelled else 600):
            try:
                await HypercornServer(app).serve(stream)
            except* ZeroDivisionError:
                pass
        assert trio.current_time() - began_s <= SEND_S + (1 if is_cancelled else REQUEST_S)
        stream.close_now()


async def test_a_recording_may_last(autojump_clock: MockClock) -> None:
    """Some providers hear it no faster than it was spoken; even that ends."""
    ours, theirs = socket.socketpair()
    stream = ByteStream(ours, send_s=SEND_S)
    with theirs:
        theirs.send(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        began_s = trio.current_time()
        await HypercornServer(silent).serve(stream, "/v1/audio/transcriptions")
        assert trio.current_time() - began_s == pytest.approx(FILE_S, abs=SEND_S)
        stream.close_now()


async def test_what_a_request_holds_is_given_back(autojump_clock: MockClock) -> None:
    """When nobody waits for the answer any more, too."""
    given_back = trio.Event()

    async def holder(scope: Any, receive: Any, send: Any) -> None:
        scope["routeraudio.held"].callback(given_back.set)
        await trio.sleep_forever()

    ours, theirs = socket.socketpair()
    stream = ByteStream(ours, send_s=SEND_S)
    with theirs:
        theirs.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with trio.move_on_after(1):
            await HypercornServer(holder).serve(stream)
        assert given_back.is_set()
        stream.close_now()
