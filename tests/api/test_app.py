"""REST calls, over the door, from an ordinary HTTP client."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import structlog
import trio
from quart import Response
from quart_trio import QuartTrio

from routeraudio import daemon
from routeraudio.api.app import create_app
from routeraudio.config.schema import Config, Server
from routeraudio.dialects.listen import Listen
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import unauthorized
from routeraudio.model.events import Final, TurnEnd, Word
from routeraudio.model.options import Options
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.models import Support


@pytest.fixture
async def client(nursery: trio.Nursery) -> AsyncIterator[httpx.AsyncClient]:
    """Talks to a running daemon."""
    addresses = await nursery.start(daemon.serve, Config(server=Server(bind=("127.0.0.1:0",))))
    async with httpx.AsyncClient(base_url=f"http://{addresses[0]}", timeout=60) as opened:
        yield opened


async def body(client: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_providers(client: httpx.AsyncClient) -> None:
    """The whole catalogue, each entry with its sources and their date."""
    listed = (await body(client, "/v1/providers"))["providers"]
    assert [one["name"] for one in listed] == list(PROVIDERS)
    assert all(one["sources"] and one["as_of"] and one["default_model"] in one["models"] for one in listed)


@pytest.mark.parametrize("path", ["/v1/models?provider=deepgram", "/v1/providers/deepgram/models"])
async def test_models_of_one_provider(client: httpx.AsyncClient, path: str) -> None:
    """One of them is the default."""
    listed = (await body(client, path))["models"]
    assert {one["provider"] for one in listed} == {"deepgram"}
    assert [one["id"] for one in listed if one["default"]] == ["nova-3"]


@pytest.mark.parametrize("path", ["/v1/models", "/as/openai/v1/models"])
async def test_models_as_openais_clients_list_them(client: httpx.AsyncClient, path: str) -> None:
    """Every id is one that may be sent back as `model`."""
    found = await body(client, path)
    assert found["object"] == "list"
    assert all(one["object"] == "model" and one["created"] > 1_700_000_000 for one in found["data"])
    assert [one["id"] for one in found["data"]] == [
        f"{one['provider']}/{one['id']}" for one in found["models"]
    ]
    assert {one["owned_by"] for one in found["data"]} == set(PROVIDERS)


async def test_support(client: httpx.AsyncClient) -> None:
    """What becomes of a client's wishes has one shape, and a provider's is its default model's."""
    supports = {
        (one["provider"], one["id"]): one["support"] for one in (await body(client, "/v1/models"))["models"]
    }
    for support in supports.values():
        assert msgspec.convert(support, Support)
        assert support.keys() == set(Support.__struct_fields__)
    for one in (await body(client, "/v1/providers"))["providers"]:
        assert one["support"] == supports[one["name"], one["default_model"]]


async def test_models_of_all(client: httpx.AsyncClient) -> None:
    """Without a provider every model is listed; an unknown one is told who there is."""
    listed = (await body(client, "/v1/models"))["models"]
    assert {one["provider"] for one in listed} == set(PROVIDERS)
    assert "deepgram" in (await body(client, "/v1/models?provider=nobody", 404))["error"]


async def test_languages(client: httpx.AsyncClient) -> None:
    """A native name, percent-encoded, finds the language and who speaks it."""
    found = (await body(client, "/v1/languages?q=%E0%AE%A4%E0%AE%AE%E0%AE%BF%E0%AE%B4%E0%AF%8D"))["languages"]
    assert found[0]["code"] == "ta"
    assert found[0]["offers"][0].keys() == {"provider", "model", "code"}


async def test_schema_describes_what_is_sent(client: httpx.AsyncClient) -> None:
    """The published schema names every message of the dialect and their fields."""
    schema = await body(client, "/v1/schema.json")
    options = Options(provider="deepgram", audio=PCM_16K_MONO)
    dialect = Listen(options, "request-1")
    sent = [
        *dialect.event(Final("hello", 0, 500, (Word("hello", 0, 500),))),
        *dialect.event(TurnEnd(500)),
        *dialect.error(unauthorized("no key")),
    ]
    described = {
        one["properties"]["type"]["enum"][0]: one
        for one in schema["$defs"].values()
        if "type" in one["properties"]
    }
    for text in sent:
        message = msgspec.json.decode(text)
        assert message.keys() == set(described[message["type"]]["required"])


async def test_refusals_of_the_framework(client: httpx.AsyncClient) -> None:
    """What Quart refuses by itself, such as a method that a path does not take, is JSON like all other refusals."""
    answer = await client.delete("/v1/models")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/json")
    assert answer.json() == {"error": "The method is not allowed for the requested URL."}
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("is_grouped", [False, True])
async def test_a_bug_in_a_call(is_grouped: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A JSON 500 with an id and one line with the place; the framework writes no traceback, and no text is told."""
    secret = "canary bug text"

    def mount(app: QuartTrio) -> None:
        @app.get("/broken")
        async def broken() -> Response:
            error = RuntimeError(secret)
            if not is_grouped:
                raise error
            async with trio.open_nursery():
                raise error

    with structlog.testing.capture_logs() as log:
        answer = await create_app([mount]).test_client().get("/broken")
    data = await answer.get_data(as_text=True)
    [line] = log
    assert (answer.status_code, answer.content_type) == (500, "application/json")
    assert (line["event"], line["error"], line["module"]) == ("request_bug", "RuntimeError", "builtins")
    assert line["request_id"] in data
    assert "tests/api/test_app.py:" in line["where"][-1]
    assert line["where"][-1].endswith(" broken")
    assert secret not in data + repr(log)
    assert caplog.records == []
