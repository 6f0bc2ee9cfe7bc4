"""Recordings over HTTP: the real daemon and decoder, and a provider that hears the same in everything."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from routeraudio.config.schema import Key
from tests.edge.fakes import WORDS, FakeDeepgram, config, connect, daemon_on, until_end
from tests.pull.sources import encoded, pcm, wav

PATH = "/v1/audio/transcriptions"
BEARER = {"authorization": "Bearer dg-own-key"}
ROUTER_KEY = "router_test"
LENGTH_S = len(pcm()) / 32_000


@asynccontextmanager
async def calling(deepgram: FakeDeepgram | None = None, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a daemon in front of a provider."""
    served = deepgram or FakeDeepgram()
    async with (
        served.serving() as url,
        daemon_on(config(deepgram=url, **settings)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield client


async def send(client: httpx.AsyncClient, file: bytes | None = None, **fields: Any) -> httpx.Response:
    path = fields.pop("path", PATH)
    headers = fields.pop("headers", BEARER)
    files = {"file": ("sound", wav() if file is None else file)}
    request = client.build_request(
        "POST", path, data={"model": "deepgram", "language": "en", **fields}, files=files, headers=headers
    )
    request.read()  # httpx leaves its generators open when it is cancelled while it sends a form
    return await client.send(request)


def error(answer: httpx.Response) -> dict[str, Any]:
    """The vendor's error object, which has all its members."""
    found: dict[str, Any] = answer.json()["error"]
    assert set(found) == {"type", "code", "message", "param"}
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", []),
        ("a.mp3", ["-c:a", "libmp3lame"]),
        ("a.webm", ["-c:a", "libopus"]),
        ("a.ogg", ["-c:a", "libopus"]),
        ("a.m4a", ["-c:a", "aac", "-ar", "44100", "-ac", "2"]),
        ("a.flac", ["-c:a", "flac"]),
    ],
)
async def test_every_kind_of_file(name: str, options: list[str], tmp_path: Path) -> None:
    """Decoded whole, to the provider's last sample; m4a has its index at its end."""
    deepgram = FakeDeepgram()
    async with calling(deepgram) as client:
        answer = await send(client, await encoded(tmp_path, name, *options))
    assert answer.json()["text"] == WORDS
    assert answer.json()["usage"] == {"type": "duration", "seconds": 3}
    assert len(deepgram.audio[0]) / 32_000 == pytest.approx(LENGTH_S, abs=0.1)


@pytest.mark.parametrize(
    "path",
    [
        "/as/openai/v1/audio/transcriptions",
        "/as/openai/deepgram/v1/audio/transcriptions",
        "/as/openai/deepgram/nova-3/v1/audio/transcriptions",
    ],
)
async def test_behind_a_prefix(path: str) -> None:
    """The path says who serves, where the model does not."""
    deepgram = FakeDeepgram()
    async with calling(deepgram) as client:
        answer = await send(client, path=path, model="deepgram" if path.count("/") == 5 else "whisper-1")
    assert answer.json()["text"] == WORDS
    assert "model=nova-3" in deepgram.requests[0].path


async def test_server_sent_events() -> None:
    """Text as it comes, then all of it."""
    async with calling() as client:
        answer = await send(client, stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert [one["type"] for one in told] == ["transcript.text.delta", "transcript.text.done"]
    assert (told[0]["delta"], told[1]["text"]) == (WORDS, WORDS)


async def test_what_has_no_effect_is_said() -> None:
    """In the header that streams have at their upgrade."""
    async with calling() as client:
        answer = await send(client, model="deepgram", prompt="names")
    assert "prompt: has no effect" in answer.headers["x-routeraudio-warnings"]


@pytest.mark.parametrize("is_streamed", ["false", "true"])
@pytest.mark.parametrize("file", [b"nonsense" * 100, b"", wav()[:20], b"#EXTM3U\nhttp://127.0.0.1/\n"])
async def test_a_file_that_is_none(file: bytes, is_streamed: str) -> None:
    """The client's fault; nobody is dialled, and nothing charged."""
    deepgram = FakeDeepgram()
    async with calling(deepgram) as client:
        answer = await send(client, file, stream=is_streamed)
    assert deepgram.requests == []
    told = json.loads(answer.text.removeprefix("data: "))["error"]
    assert (told["type"], told["param"]) == ("invalid_request_error", "file")
    assert answer.status_code == (200 if is_streamed == "true" else 400)


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"response_format": "xml"}, 400, "response_format"),
        ({"model": "local/nobody"}, 400, "model"),
        ({"language": "xx"}, 400, "language"),
    ],
)
async def test_a_field_that_cannot_be(fields: dict[str, Any], status: int, param: str) -> None:
    """Named, before anybody is dialled."""
    async with calling() as client:
        answer = await send(client, **fields)
    assert (answer.status_code, error(answer)["param"]) == (status, param)


async def test_a_body_that_is_no_form() -> None:
    """Or one without a file."""
    async with calling() as client:
        for options in (
            {"json": {"model": "deepgram"}},
            {"data": {"model": "deepgram"}},
            {"files": {"model": (None, "deepgram")}},
            {"content": b"x", "headers": {**BEARER, "content-type": "multipart/form-data"}},
            {"content": b"--b\r\n", "headers": {**BEARER, "content-type": "multipart/form-data; boundary=b"}},
        ):
            answer = await client.post(PATH, **{"headers": BEARER, **options})  # type: ignore[arg-type]
            assert answer.status_code == 400, options
            assert error(answer)["type"] == "invalid_request_error"


async def test_a_file_that_is_too_long() -> None:
    """Is refused by its length; other bodies keep their own bound."""
    async with calling(limits={"file_bytes": 100_000}) as client:
        assert (await send(client)).status_code == 200
        answer = await send(client, bytes(200_000))
        assert (answer.status_code, error(answer)["type"]) == (413, "invalid_request_error")
        assert (await client.post("/v1/token", content=bytes(70_000))).status_code in (401, 413)


async def test_too_many_files() -> None:
    """Are told to come later; a place is free again when its client has gone."""
    deepgram = FakeDeepgram(is_mute=True)
    async with calling(deepgram, limits={"files_max": 1}) as client, trio.open_nursery() as nursery:
        nursery.start_soon(send, client)
        await deepgram.until(1)
        answer = await send(client)
        assert (answer.status_code, error(answer)["code"]) == (429, "rate_limit_exceeded")
        assert int(answer.headers["retry-after"]) > 0
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await deepgram.until(0)
            deepgram.is_mute = False
            while (answer := await send(client)).status_code == 429:
                pass
            assert answer.json()["text"] == WORDS


async def test_a_bad_key_is_refused_before_the_file_is_read() -> None:
    """A client that only says how much it will send has its answer."""
    keys = [Key(id="one", hash="sha256:" + sha256(ROUTER_KEY.encode()).hexdigest())]
    async with calling(keys=keys) as client:
        port = client.base_url.port
        assert port is not None
        for line in ("authorization: Bearer router_wrong\r\n", ""):
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{line}Content-Length: 1000000\r\n\r\n"
            async with await connect(port) as stream:
                await stream.send_all(head.encode())
                data = await until_end(stream)
            assert data.startswith(b"HTTP/1.1 401")
            assert b'"invalid_api_key"' in data


async def test_a_provider_that_needs_a_key() -> None:
    """Is not asked without one; the sentence names the header of this protocol's clients."""
    async with calling() as client:
        answer = await send(client, headers={})
    assert (answer.status_code, error(answer)["code"]) == (401, "invalid_api_key")
    assert "Bearer" in error(answer)["message"]


async def test_a_provider_that_is_not_there() -> None:
    """Is nobody's fault here; a client may try again."""
    async with daemon_on(config()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await send(client)
    assert (answer.status_code, error(answer)["code"]) == (503, "provider_error")
