"""The engine's WebSocket protocol, spoken by trio-websocket's client and by raw sockets."""

from collections.abc import AsyncIterator

import psutil  # type: ignore[import-untyped]
import pytest
import trio
from trio_websocket import ConnectionRejected

from routeraudio.engine import protocol
from routeraudio.engine import server as module
from routeraudio.engine.pool import Pool
from routeraudio.engine.server import serve

from .client import dialled, receive, rest
from .clips import GO, MS_BYTES, normalised, pcm, silence, split
from .processes import until


@pytest.fixture
async def port(nursery: trio.Nursery) -> AsyncIterator[int]:
    """A running engine with room for two."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await nursery.start(_serve, listeners, 2)
    yield listeners[0].socket.getsockname()[1]
    nursery.cancel_scope.cancel()


async def _serve(
    listeners: list[trio.SocketListener], workers_max: int, *, task_status: trio.TaskStatus[Pool]
) -> None:
    await serve(listeners, workers_max=workers_max, task_status=task_status)


async def test_a_conversation(port: int) -> None:
    """Ready, partials, a final with words, done with the audio's length, close 1000."""
    async with dialled(port, "?sample_rate=16000&partials=true&endpointing_ms=300") as websocket:
        for chunk in split(pcm("goforward"), [641]):
            await websocket.send_message(chunk)
        await websocket.send_message('{"type":"finish"}')
        (ready, *heard, done), code = await rest(websocket)
    assert ready["type"] == "ready"
    assert len(ready["id"]) == 16
    *partials, final = heard
    assert {each["type"] for each in partials} == {"partial"}
    assert final["type"] == "final"
    assert final["text"] == GO
    assert [word["text"] for word in final["words"]] == GO.split()
    assert set(final) == {"type", "text", "start_ms", "end_ms", "words"}
    assert set(final["words"][0]) == {"text", "start_ms", "end_ms"}
    assert done == {"type": "done", "audio_ms": len(pcm("goforward")) // MS_BYTES}
    assert code == 1000


async def test_finalize(port: int) -> None:
    """A finalize in the middle of speech brings the final at once."""
    async with dialled(port) as websocket:
        await websocket.send_message(pcm("goforward")[: 2130 * MS_BYTES])
        await websocket.send_message('{"type":"finalize"}')
        assert (await receive(websocket))["type"] == "ready"
        final = await receive(websocket)
        assert (final["type"], normalised(final["text"])) == ("final", normalised(GO))


async def test_silence(port: int) -> None:
    """Silence is answered with done alone."""
    async with dialled(port, "?partials=true") as websocket:
        await websocket.send_message(silence(3000))
        await websocket.send_message('{"type":"finish"}')
        messages, code = await rest(websocket)
    assert [message["type"] for message in messages] == ["ready", "done"]
    assert code == 1000


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/", 404, "/v1/recognise"),
        ("/v1/recognise/", 404, "/v1/recognise"),
        ("/v1/recognise?sample_rate=8000", 400, "sample_rate must be 16000"),
        ("/v1/recognise?sample_rate=", 400, "allowed"),
        ("/v1/recognise?partials=perhaps", 400, "partials=true|false"),
        ("/v1/recognise?endpointing_ms=10001", 400, "10000"),
        ("/v1/recognise?endpointing_ms=-1", 400, "10000"),
        ("/v1/recognise?partials=true&partials=true", 400, "twice"),
        ("/v1/recognise?lang=en", 400, "language"),
        ("/v1/recognise?nonsense", 400, "name=value"),
        ("/v1/recognise?" + "&".join(f"a{n}=1" for n in range(99)), 400, "name=value"),
    ],
)
def test_refused_requests(path: str, status: int, words: str) -> None:
    """What cannot be served is refused with what is allowed."""
    with pytest.raises(protocol.BadRequest) as caught:
        protocol.read_target(path)
    assert caught.value.status == status
    assert words in caught.value.message


async def test_a_refusal_is_an_http_answer(port: int) -> None:
    """A wrong parameter is refused before the upgrade, in words."""
    rejected: list[ConnectionRejected] = []
    try:
        async with dialled(port, "?sample_rate=8000"):
            pass
    except* ConnectionRejected as group:
        rejected += group.exceptions  # type: ignore[arg-type]
    assert [(each.status_code, each.body) for each in rejected] == [(400, b"sample_rate must be 16000")]


async def test_text_messages_that_mean_nothing(port: int) -> None:
    """An unknown text message ends its session with an error and 1003, however broken it is."""
    for message in (
        "",
        "hello",
        "{}",
        '{"type":"audio"}',
        "[1]",
        '{"type":7}',
        "[" * 50_000,
        '{"type":"finalize"',
    ):
        async with dialled(port) as websocket:
            await websocket.send_message(message)
            messages, code = await rest(websocket)
        assert messages[-1]["type"] == "error", message[:20]
        assert messages[-1]["code"] == "bad_message"
        assert code == 1003


async def test_audio_after_finish(port: int) -> None:
    """Nothing may follow finish."""
    async with dialled(port) as websocket:
        await websocket.send_message(pcm("austen-0930"))
        await websocket.send_message('{"type":"finish"}')
        await websocket.send_message(pcm("austen-0930"))
        messages, code = await rest(websocket)
    assert messages[-1]["code"] == "bad_message"
    assert code == 1003


async def test_too_big_a_message(port: int) -> None:
    """A message beyond 1 MiB is refused with 1009."""
    async with dialled(port) as websocket:
        await websocket.send_message(bytes(1_048_577))
        _, code = await rest(websocket)
    assert code == 1009


async def test_a_full_engine_refuses(port: int) -> None:
    """Who comes when all recognisers are busy is told so, with 1013; the others are not disturbed."""
    async with dialled(port) as first, dialled(port) as second:
        assert (await receive(first))["type"] == "ready"
        assert (await receive(second))["type"] == "ready"
        async with dialled(port) as third:
            (error,), code = await rest(third)
            assert (error["type"], error["code"]) == ("error", "engine_full")
            assert code == 1013
        await first.send_message('{"type":"finish"}')
        messages, code = await rest(first)
        assert messages[-1]["type"] == "done"
        assert code == 1000


async def test_a_killed_worker_is_an_error_of_one_session(port: int) -> None:
    """The session of a killed recogniser gets an error and 1011, the other one all its words."""
    async with dialled(port) as doomed:
        await receive(doomed)
        (zygote,) = psutil.Process().children()
        (victim,) = zygote.children()
        async with dialled(port) as spared:
            await receive(spared)
            await spared.send_message(pcm("goforward"))
            victim.kill()
            (error,), code = await rest(doomed)
            assert (error["type"], error["code"]) == ("error", "engine_failed")
            assert code == 1011
            await spared.send_message('{"type":"finish"}')
            (final, _), code = await rest(spared)
            assert final["text"] == GO
            assert code == 1000


async def test_an_idle_client_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends nothing for very long is let go, with 1008."""
    monkeypatch.setattr(module, "REST_S", 0.1)
    monkeypatch.setattr(module, "IDLE_S", 0.2)
    async with dialled(port) as websocket:
        messages, code = await rest(websocket)
    assert messages[-1]["code"] == "idle"
    assert code == 1008


async def test_a_silent_client_lends_its_recogniser(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends no audio gives the recogniser back and gets one again, on the same timeline."""
    monkeypatch.setattr(module, "REST_S", 0.2)
    (zygote,) = await _zygotes()
    async with dialled(port) as websocket:
        assert (await receive(websocket))["type"] == "ready"
        for _ in range(2):
            await websocket.send_message(pcm("goforward"))
            await until(lambda: bool(zygote.children()))
            assert (await receive(websocket))["text"] == GO
            await until(lambda: not zygote.children())
        await websocket.send_message(pcm("goforward"))
        await websocket.send_message('{"type":"finish"}')
        (final, done), code = await rest(websocket)
    spoken_ms = len(pcm("goforward")) // MS_BYTES
    assert final["text"] == GO
    assert final["start_ms"] > 2 * spoken_ms
    assert final["words"][0]["start_ms"] == final["start_ms"]
    assert done == {"type": "done", "audio_ms": len(pcm("goforward")) * 3 // MS_BYTES}
    assert code == 1000


async def test_who_only_keeps_alive_lends_its_recogniser(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages without audio do not hold a recogniser; others get it, and so does the client with its next audio."""
    monkeypatch.setattr(module, "REST_S", 0.3)
    (zygote,) = await _zygotes()
    async with dialled(port) as websocket:
        assert (await receive(websocket))["type"] == "ready"
        await until(lambda: bool(zygote.children()))
        with trio.fail_after(30):
            while zygote.children():
                await websocket.send_message('{"type":"finalize"}')
                await websocket.send_message(b"")
                await trio.sleep(0.02)
        await websocket.send_message(pcm("goforward"))
        await websocket.send_message('{"type":"finish"}')
        (final, _), code = await rest(websocket)
    assert final["text"] == GO
    assert code == 1000


async def _zygotes() -> list[psutil.Process]:
    """The processes that a server has started, once it has."""
    await until(lambda: bool(psutil.Process().children()))
    return psutil.Process().children()


async def test_status(port: int) -> None:
    """An engine tells what it serves and how much of it is in use."""
    async with dialled(port) as other:
        assert (await receive(other))["type"] == "ready"
        async with dialled(port, path="/v1/status") as websocket:
            (status,), code = await rest(websocket)
    assert status == {
        "type": "status",
        "is_loaded": True,
        "models": ["moonshine-tiny-en"],
        "workers": 1,
        "workers_max": 2,
    }
    assert code == 1000


async def test_a_model_by_its_name(port: int) -> None:
    """The model can be named; another one is refused with the names that there are."""
    async with dialled(port, "?model=moonshine-tiny-en&language=en&punctuate=false") as websocket:
        await websocket.send_message(pcm("goforward"))
        await websocket.send_message('{"type":"finish"}')
        (_, final, _), _ = await rest(websocket)
        assert final["text"] == "go forward ten meters"
    rejected: list[ConnectionRejected] = []
    try:
        async with dialled(port, "?model=other"):
            pass
    except* ConnectionRejected as group:
        rejected += group.exceptions  # type: ignore[arg-type]
    assert [each.status_code for each in rejected] == [400]
    assert b"moonshine-tiny-en" in (rejected[0].body or b"")


HANDSHAKE = (
    b"GET /v1/recognise HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


async def test_no_handshake_disturbs_others(port: int) -> None:
    """Peers that speak something else are dropped; the engine serves on."""
    for data in (
        b"",
        b"\x16\x03\x01\x00\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
        HANDSHAKE + b"Sec-WebSocket-Protocol: \xff\r\n\r\n",
        HANDSHAKE + b"\r\n\xff\xff\xff\xff",
    ):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(data)
            await stream.send_eof()
            with trio.fail_after(60):
                await _drain(stream)
    async with dialled(port) as websocket:
        assert (await receive(websocket))["type"] == "ready"


async def _drain(stream: trio.SocketStream) -> None:
    try:
        while await stream.receive_some(4096):
            pass
    except trio.BrokenResourceError:
        pass  # closed with a reset: dropped all the same


async def test_a_client_that_leaves_frees_its_place(port: int) -> None:
    """A connection that is cut in the middle of speech gives its recogniser back."""
    for _ in range(5):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(HANDSHAKE + b"\r\n")
        with trio.fail_after(60):
            assert b"101" in await stream.receive_some(4096)
        await trio.aclose_forcefully(stream)
    with trio.fail_after(60):
        while True:
            async with dialled(port) as websocket:
                first = await receive(websocket)
                if first["type"] == "ready":
                    return
            await trio.sleep(0.05)
