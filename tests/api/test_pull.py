"""The calls of stream pull: who may, with what, and what the answers say."""

from typing import Any

import pytest
import trio

from routeraudio.config.schema import Access as AccessSettings
from routeraudio.config.schema import Config, Pull
from routeraudio.config.secret import Secret
from routeraudio.daemon import Daemon
from routeraudio.model.errors import BudgetUsedUp, Overloaded, Unavailable
from routeraudio.policy.secrets import Secrets, parse
from routeraudio.transport.poller import Poller
from tests.pull.sources import PRIVATE, Web, live, serving
from tests.pull.world import KEY, LOOPBACK, NoLedger, World, open_world

START = "/audio-stream/start"


def wish(world: World, **more: object) -> dict[str, Any]:
    return {
        "audio_url": "http://127.0.0.1:9/a",
        "provider": "deepgram",
        "callback_url": world.hook.url,
        **more,
    }


@pytest.mark.parametrize("base", ["", "/serve/api/v2"])
async def test_a_task_from_start_to_stop(base: str) -> None:
    """Started, shown, listed, stopped once; the product's answers, below both paths."""
    web = Web({"/a": live()})
    async with serving(web), open_world() as world:
        url = web.url("/a").replace("//", "//user:pass@") + "?token=secret"
        body = wish(world, audio_url=url, summarization=True)
        status, answer = await world.call("POST", f"{base}{START}", body)
        assert status == 200
        task_id = answer["data"].pop("task_id")
        assert answer == {
            "code": 200,
            "message": "success",
            "msg": "success",
            "data": {"message": "Audio stream transcription started", "ignored": ["summarization"]},
        }
        web.pages["/a?token=secret"] = web.pages["/a"]
        running = await world.until(task_id, lambda shown: shown["state"] == "running")
        assert running["audio_url"] == web.url("/a")
        assert (running["status"], running["provider"], running["ended_at"]) == (0, "deepgram", None)
        _status, listed = await world.call("GET", f"{base}/audio-stream/tasks")
        assert [task["task_id"] for task in listed["data"]["tasks"]] == [task_id]
        status, answer = await world.call("POST", f"{base}/audio-stream/stop", {"task_id": task_id})
        assert (status, answer["data"]) == (
            200,
            {"task_id": task_id, "message": "Audio stream stopped successfully"},
        )
        status, answer = await world.call("POST", f"{base}/audio-stream/stop", {"task_id": task_id})
        assert (status, answer["code"], answer["data"]) == (400, 400, None)
        stopped = await world.until(task_id, lambda shown: shown["callbacks_sent"] and shown["ended_at"])
        assert (stopped["state"], stopped["status"]) == ("stopped", 14)
        await world.hook.until(lambda hook: hook.finals)
    assert world.ledger.opened[0]["dialect"] == "pull"
    assert str(world.ledger.opened[0]["price_per_hour_usd"])


async def test_no_key() -> None:
    """Every call wants a router key, before it looks at anything else."""
    calls = [("POST", START), ("POST", "/audio-stream/stop"), ("GET", "/audio-stream/status/x")]
    async with open_world() as world:
        for method, path in (*calls, ("GET", "/audio-stream/tasks")):
            for key in (None, "router_" + "2" * 24, "dg-own-key"):
                status, answer = await world.call(method, path, {} if method == "POST" else None, key=key)
                assert (status, answer["code"], answer["data"]) == (401, 401, None)
                assert answer["msg"] == answer["message"]


async def test_every_way_to_show_a_key() -> None:
    """With and without Bearer, as x-api-key, in the query; a header wins."""
    async with open_world() as world:
        tasks = "/audio-stream/tasks"
        assert (await world.call("GET", tasks, key=f"Bearer {KEY}"))[0] == 200
        assert (await world.call("GET", tasks, key=None, **{"x-api-key": KEY}))[0] == 200
        assert (await world.call("GET", f"{tasks}?api_key={KEY}", key=None))[0] == 200
        assert (await world.call("GET", f"{tasks}?api_key={KEY}", key="router_bad"))[0] == 401


WRONG: list[tuple[dict[str, object], str]] = [
    ({"audio_url": None}, "audio_url"),
    ({"audio_url": 7}, "audio_url"),
    ({"audio_url": "ftp://media.example/a"}, "audio_url"),
    ({"audio_url": "rtsp://media.example/a"}, "audio_url"),
    ({"audio_url": "file:///etc/passwd"}, "audio_url"),
    ({"audio_url": "http://"}, "audio_url"),
    ({"audio_url": "http://a b/"}, "audio_url"),
    ({"audio_url": f"http://{PRIVATE}/"}, "private"),
    ({"audio_url": "http://10.0.0.1/"}, "private"),
    ({"audio_url": "http://[::1]/"}, "private"),
    ({"audio_url": "http://[fe80::1]/"}, "private"),
    ({"audio_url": "http://169.254.169.254/latest/meta-data"}, "private"),
    ({"callback_url": "http://10.0.0.1/"}, "callback_url"),
    ({"callback_url": "rtmp://127.0.0.1/"}, "callback_url"),
    ({"callback_url": None}, "An async request requires at least one webhook."),
    ({"provider": "nobody"}, "assemblyai"),
    ({"provider": None}, "provider"),
    ({"language_code": "no language"}, "language_code"),
    ({"model_id": "../../x?y"}, "model_id"),
    ({"raw": "yes"}, "raw"),
]


async def test_wrong_parameters() -> None:
    """What is missing, malformed or not allowed is answered with 400 and named."""
    async with open_world(pull=Pull(allow_networks=("127.0.0.1/32",))) as world:
        for change, word in WRONG:
            body = {name: value for name, value in wish(world, **change).items() if value is not None}
            status, answer = await world.call("POST", START, body)
            assert (status, word in answer["message"]) == (400, True), (change, answer)
        assert not world.ledger.opened


@pytest.mark.parametrize("data", [b"[]", b"{", b"\xff", b'{"task_id": 7}', b'{"task_id": "../x"}', b""])
async def test_stop_what_is_no_task(data: bytes) -> None:
    """Unknown tasks, and bodies that are none."""
    async with open_world() as world:
        client = world._app.test_client()
        answer = await client.post("/audio-stream/stop", data=data, headers={"authorization": KEY})
    assert answer.status_code == 400


async def test_somebody_elses_task() -> None:
    """A task of another account is as unknown as one that never was."""
    web = Web({"/a": live()})
    async with serving(web), open_world() as world:
        task_id = await world.start(web.url("/a"))
        assert not await world.registry.stop("another", task_id)
        assert await world.registry.find("another", task_id) is None
        assert await world.registry.all("another") == []
        status, _answer = await world.call("GET", "/audio-stream/status/unknown")
        assert status == 400


@pytest.mark.parametrize(
    ("refusal", "status", "number"),
    [
        (BudgetUsedUp("nothing left"), 402, 17),
        (Overloaded("too many streams", retry_after_s=7.0), 429, 16),
        (Unavailable("the store does not answer"), 503, None),
    ],
)
async def test_refused_by_the_ledger(refusal: Exception, status: int, number: int | None) -> None:
    """Balance, concurrency and a ledger out of reach are told apart, and no place is kept."""
    async with open_world(ledger=NoLedger(refusal), sessions_max=1) as world:
        for _ in range(2):
            found, answer = await world.call("POST", START, wish(world))
            assert (found, answer["code"], answer.get("status")) == (status, status, number)
        _status, listed = await world.call("GET", "/audio-stream/tasks")
    assert listed["data"]["tasks"] == []


async def test_a_provider_that_is_not_configured() -> None:
    """Told at once and not in a callback; nothing was opened for it."""
    async with open_world() as world:
        status, answer = await world.call("POST", START, wish(world, provider="local"))
        assert (status, "not configured here" in answer["message"]) == (502, True)
        assert not world.ledger.opened


async def test_a_new_server_secret() -> None:
    """Signs the callbacks of tasks that begin after a reload."""
    old, new = (Config(access=AccessSettings(token_secret=Secret(letter * 40))) for letter in "on")
    served = Daemon(old, Poller())
    served._persistence.access.configure(new)
    assert served._tasks._secret("acme") == Secrets(parse("n" * 40)).webhook_secret("acme")


async def test_capacity() -> None:
    """A full daemon says 429 and 16; the place of an ended task is free when its last callback has come."""
    web = Web({"/a": live()})
    async with serving(web), open_world(sessions_max=1) as world:
        task_id = await world.start(web.url("/a"))
        status, answer = await world.call("POST", START, wish(world))
        assert (status, answer["status"], answer["message"]) == (429, 16, "Capacity reached")
        await world.call("POST", "/audio-stream/stop", {"task_id": task_id})
        await world.hook.until(lambda hook: hook.finals)
        await world.start(web.url("/a"))


async def test_rtsp_where_it_is_allowed() -> None:
    """The operator may switch it on."""
    pull = Pull(schemes=("rtsp",), allow_networks=(LOOPBACK,))
    async with open_world(pull=pull) as world:
        status, _answer = await world.call("POST", START, wish(world, audio_url="rtsp://127.0.0.1:9/a"))
        assert status == 200
        status, _answer = await world.call("POST", START, wish(world))
        assert status == 400


@pytest.mark.parametrize("bounds", [{"tasks_per_account_max": 2}, {"tasks_max": 2}])
async def test_no_more_decoders_than_there_may_be(bounds: dict[str, int]) -> None:
    """Of one account, and of all, also when they come at once; a place is free when its task has ended."""
    web = Web({"/a": live()})
    pull = Pull(allow_networks=(LOOPBACK,), **bounds)  # type: ignore[arg-type] # two keys of many
    async with serving(web), open_world(pull=pull) as world:
        body = wish(world, audio_url=web.url("/a"))
        answers: list[tuple[int, dict[str, Any]]] = []

        async def start() -> None:
            answers.append(await world.call("POST", START, body))

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(start)
        assert sorted(status for status, _ in answers) == [200, 200, 429, 429, 429, 429]
        assert {answer["status"] for status, answer in answers if status == 429} == {16}
        first = next(answer["data"]["task_id"] for status, answer in answers if status == 200)
        assert (await world.call("POST", "/audio-stream/stop", {"task_id": first}))[0] == 200
        await world.hook.until(lambda hook: hook.finals)
        await world.start(web.url("/a"))
