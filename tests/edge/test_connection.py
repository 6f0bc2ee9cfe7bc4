"""The daemon's one port, end to end on loopback: every kind of peer, and what it costs the others."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from routeraudio.api.hypercorn import REQUEST_S
from routeraudio.edge.connection import ANSWER_S
from routeraudio.edge.http_error import LINGER_S
from tests.edge.fakes import (
    KEY,
    LISTEN,
    UPGRADE,
    WORDS,
    FakeDeepgram,
    ask,
    client,
    config,
    connect,
    daemon_on,
    get,
    parsed,
    until_end,
    upgrade,
    whole_session,
)
from tests.edge.test_request_head import REFUSED
from tests.transport.peers import at_once

# What is where.


async def test_paths(autojump_clock: MockClock) -> None:
    """Streams are where they are, pages where they are, and each confusion has its own status in JSON."""
    async with daemon_on(config()) as port:
        with at_once():
            assert (await get(port, "/healthz")).json == {"status": "ok"}
            assert (await get(port, "/readyz")).json == {"status": "ready"}
        missing = await get(port, "/nothing/here")
        assert (missing.status, missing.headers["content-type"]) == (404, "application/json")
        no_stream = await ask(port, upgrade("/nothing/here"))
        assert no_stream.status == 404
        assert "/v1/listen" in no_stream.json["error"]
        no_upgrade = await get(port, LISTEN)
        assert (no_upgrade.status, no_upgrade.headers["upgrade"]) == (426, "websocket")
        upgrade_of_a_page = await ask(port, upgrade("/healthz"))
        assert upgrade_of_a_page.status == 404


async def test_a_session(autojump_clock: MockClock) -> None:
    """Sound in, words out, through the real daemon."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        await whole_session(port)
    (request,) = deepgram.requests
    assert dict(request.headers)[b"authorization"] == b"Token " + KEY.encode()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["provider", "encoding", "sample_rate"]),
        ("provider=acme&encoding=flac&sample_rate=1", ["provider", "encoding", "sample_rate"]),
        (
            "provider=deepgram&encoding=pcm_s16le&sample_rate=16000&channels=99&diarize=si",
            ["channels", "diarize"],
        ),
        ("&".join(f"x{number}=1" for number in range(100)), ["query"]),
        ("provider=%ff", ["query"]),
    ],
)
async def test_wrong_parameters_are_all_named(
    query: str, names: list[str], autojump_clock: MockClock
) -> None:
    """HTTP 400 before the upgrade, with a JSON body that names every parameter at fault."""
    async with daemon_on(config()) as port:
        answer = await ask(port, upgrade(f"/v1/listen?{query}", f"x-api-key: {KEY}"))
    assert answer.status == 400
    assert [error["parameter"] for error in answer.json["errors"]] == names
    assert answer.json["parameter"] == names[0]


BAD_UPGRADES = {
    "no key": UPGRADE.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
    "a short key": UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"YQ=="),
    "a key that is no base64": UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"****"),
    "two keys": UPGRADE + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "version 8": UPGRADE.replace(b"13", b"8"),
    "no Connection": UPGRADE.replace(b"Connection: Upgrade\r\n", b""),
    "two upgrades": UPGRADE.replace(b"websocket", b"websocket, h2c"),
    "a body": UPGRADE + b"Content-Length: 5\r\n",
    "a body in chunks": UPGRADE + b"Transfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("name", BAD_UPGRADES)
async def test_a_bad_handshake_is_refused(name: str, autojump_clock: MockClock) -> None:
    """What RFC 6455 calls a bad request is answered with a status of refusal, in JSON."""
    async with daemon_on(config()) as port:
        answer = await ask(
            port, b"GET " + LISTEN.encode() + b" HTTP/1.1\r\nHost: x\r\n" + BAD_UPGRADES[name] + b"\r\n"
        )
    assert 400 <= answer.status < 500
    assert set(answer.json) == {"error"}


async def test_compression_is_not_negotiated(autojump_clock: MockClock) -> None:
    """An offer of permessage-deflate is passed over; a compressed frame ends with 1002."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url)) as port,
        await connect(port) as stream,
    ):
        await stream.send_all(
            upgrade(LISTEN, f"x-api-key: {KEY}", "Sec-WebSocket-Extensions: permessage-deflate")
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        assert head.startswith(b"HTTP/1.1 101")
        assert b"extensions" not in head.lower()
        await stream.send_all(b"\xc2\x81\0\0\0\0x")
        assert b"\x03\xea" in await until_end(stream)


async def test_sound_behind_the_upgrade_request_counts(autojump_clock: MockClock) -> None:
    """A client may send before it has read the 101: nothing of it is lost."""
    deepgram = FakeDeepgram()
    frames = b"\x82\x84\0\0\0\0abcd" * 10
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url)) as port,
        await connect(port) as stream,
    ):
        await stream.send_all(upgrade(LISTEN, f"x-api-key: {KEY}") + frames + b"\x81\xff"[:1])
        await stream.send_all(b"\x98\0\0\0\0" + b'{"type":"end_of_stream"}')
        data = await until_end(stream)
    assert data.startswith(b"HTTP/1.1 101")
    assert WORDS.encode() in data
    assert deepgram.audio == [bytearray(b"abcd" * 10)]


async def test_a_close_frame_behind_the_upgrade_request(autojump_clock: MockClock) -> None:
    """A client that leaves before it was let in is let go at once."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url)) as port,
        await connect(port) as stream,
    ):
        began_s = trio.current_time()
        await stream.send_all(upgrade(LISTEN, f"x-api-key: {KEY}") + b"\x88\x82\0\0\0\0\x03\xe8")
        data = await until_end(stream)
        assert data.startswith(b"HTTP/1.1 101")
        assert data.endswith(b"\x88\x02\x03\xe8")
        assert trio.current_time() - began_s < 1


# Who may not come in.


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, 3000), ({"x-api-key": "router_unknown"}, 3000), ({"x-api-key": "two words"}, 3000)],
    ids=["no key", "unknown key", "no key's characters"],
)
async def test_without_a_good_key(headers: dict[str, str], code: int, autojump_clock: MockClock) -> None:
    """Let in to be told why not: an error message, then 3000."""
    async with daemon_on(config()) as port, client(port, headers=headers) as caller:
        messages, closed = await caller.rest()
    assert closed == code
    assert [message["code"] for message in messages] == ["unauthorized"]


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_heads_cost_only_their_connection(name: str, autojump_clock: MockClock) -> None:
    """Every head that must be refused is, in JSON, and the next peer is served."""
    data, status = REFUSED[name]
    async with daemon_on(config()) as port:
        answer = await ask(port, data)
        assert answer.status == status
        assert set(answer.json) == {"error"}
        assert (await get(port, "/healthz")).status == 200


H2C = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: %b\r\n\r\n"


@pytest.mark.parametrize("settings_header", [b"AAMAAABkAAQAAP__", b"", b"***", b"A"])
@pytest.mark.parametrize("path", [b"/healthz", b"/v1/listen", b"/nothing"])
async def test_http_2_is_not_spoken(path: bytes, settings_header: bytes, autojump_clock: MockClock) -> None:
    """An offer to go on in HTTP/2 is passed over or refused, never taken."""
    async with daemon_on(config()) as port:
        async with await connect(port) as stream:
            await stream.send_all(H2C % (path, settings_header) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            answer = await until_end(stream)
        assert answer.startswith(b"HTTP/1.1 ")
        assert not answer.startswith(b"HTTP/1.1 101")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert (await get(port, "/healthz")).status == 200


async def test_one_request_per_connection(autojump_clock: MockClock) -> None:
    """A second request on the connection, which could be an upgrade past the door, is not served."""
    async with daemon_on(config()) as port, await connect(port) as stream:
        await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + upgrade("/healthz"))
        data = await until_end(stream)
    assert parsed(data[: data.index(b"}") + 1]).status == 200
    assert data.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("kind", ["length", "chunked"])
async def test_a_body_that_never_ends_is_cut_off(kind: str, autojump_clock: MockClock) -> None:
    """A request whose body drips has a bounded time."""
    framing = "Content-Length: 50000" if kind == "length" else "Transfer-Encoding: chunked"
    async with daemon_on(config()) as port, await connect(port) as stream, trio.open_nursery() as nursery:

        async def drip() -> None:
            await stream.send_all(f"POST /healthz HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
            try:
                while True:
                    await stream.send_all(b"1\r\nx\r\n" if kind == "chunked" else b"x")
                    await trio.sleep(1)
            except trio.BrokenResourceError:
                pass

        nursery.start_soon(drip)
        began_s = trio.current_time()
        await until_end(stream)
        assert trio.current_time() - began_s <= REQUEST_S + 2
        nursery.cancel_scope.cancel()


async def test_a_head_that_drips_is_cut_off(autojump_clock: MockClock) -> None:
    """The head has its time, then 408."""
    async with daemon_on(config()) as port, await connect(port) as stream:
        began_s = trio.current_time()
        await stream.send_all(b"GET / HTTP/1.1\r\nHo")
        assert parsed(await until_end(stream)).status == 408
        assert trio.current_time() - began_s == pytest.approx(5, abs=0.1)


async def test_a_refused_peer_that_talks_on_is_cut_off(autojump_clock: MockClock) -> None:
    """Refusals linger so that they can be read, but not for long."""
    async with daemon_on(config()) as port, await connect(port) as stream:
        began_s = trio.current_time()
        try:
            while trio.current_time() - began_s < 60:
                await stream.send_all(b"\0" * 100)
                await trio.sleep(0.1)
        except trio.BrokenResourceError:
            pass
        assert trio.current_time() - began_s <= max(LINGER_S, ANSWER_S) + 1


@pytest.mark.parametrize("size", [70_000, 1_000_000])
async def test_a_refusal_reaches_a_peer_that_is_still_sending(size: int, autojump_clock: MockClock) -> None:
    """Our answer is not lost because there was more to read."""
    async with daemon_on(config()) as port, await connect(port) as stream:
        await stream.send_all(b"GET /" + b"x" * size)
        assert parsed(await until_end(stream)).status == 431
