"""From an upgrade request to a running passage: who comes in, in which order refusals come, what the provider sees."""

import json
import re
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from routeraudio.config.schema import Provider
from routeraudio.config.secret import Secret
from routeraudio.model.errors import BudgetUsedUp, Overloaded, Unavailable
from routeraudio.policy.keys import Restriction, Terms
from routeraudio.policy.tokens import TYPE
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.routes.routes import Route
from tests.edge.fakes import Answer, ask, upgrade
from tests.gateway.gateways import (
    LISTEN,
    OWN_KEY,
    ROUTER_KEY,
    STORED_KEY,
    STREAMS,
    FakeAccess,
    FakeLedger,
    Upstream,
    caller,
    echo,
    house,
    rest,
)

GENERAL = "/v1/audio-stream?provider=deepgram&encoding=linear16&sample_rate=16000"
SONIOX = "/gateway/soniox/transcribe-websocket"
NOWHERE = {"deepgram": "ws://127.0.0.1:9"}
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6InJvdXRlcitqd3QifQ.e30.AAAA"
START = '{"api_key":"%s","model":"stt-rt-v5","audio_format":"pcm_s16le","sample_rate":16000,"num_channels":1}'


async def refused(target: str, *headers: str, **home: Any) -> Answer:
    """The HTTP answer, and proof that nothing was begun."""
    async with house(NOWHERE, **home) as opened:
        answer = await ask(opened.port, upgrade(target, *headers))
        assert opened.admission.sessions == 0
        assert opened.ledger.opened == []
    return answer


HEADER = f"Authorization: Token {ROUTER_KEY}"
MANY = Overloaded("too many streams", retry_after_s=2.4)

ORDER: list[tuple[str, str, tuple[str, ...], dict[str, Any], int]] = [
    ("no key", LISTEN, (), {}, 401),
    ("no key, general", GENERAL, (), {}, 401),
    ("another key, general", GENERAL, (f"Authorization: {OWN_KEY}",), {}, 401),
    ("no key beats no provider", "/v1/audio-stream", (), {}, 401),
    ("no key beats a bad path", "/gateway/deepgram/v1/speak", (), {}, 401),
    ("no key beats a nameless provider", "/gateway/nobody/x", (), {}, 401),
    ("no streams", LISTEN, (HEADER,), {"access": FakeAccess(Terms())}, 403),
    ("no streams beats no provider", "/v1/audio-stream", (HEADER,), {"access": FakeAccess(Terms())}, 403),
    (
        "provider not allowed",
        LISTEN,
        (HEADER,),
        {"access": FakeAccess(Terms(streams=True, providers=("openai",)))},
        403,
    ),
    (
        "model not allowed",
        f"{LISTEN}&model=a",
        (HEADER,),
        {"access": FakeAccess(Terms(streams=True, models=("b",)))},
        403,
    ),
    (
        "a model must be named",
        LISTEN,
        (HEADER,),
        {"access": FakeAccess(Terms(streams=True, models=("nova-3",)))},
        403,
    ),
    (
        "a model must be named, with an own key beside it too",
        LISTEN,
        (HEADER, f"x-provider-key: {OWN_KEY}"),
        {"access": FakeAccess(Terms(streams=True, models=("nova-3",)))},
        403,
    ),
    ("no provider", "/v1/audio-stream", (HEADER,), {}, 400),
    (
        "no provider, one allowed",
        "/v1/audio-stream",
        (HEADER,),
        {"access": FakeAccess(Terms(streams=True, providers=("vachana",)))},
        400,
    ),
    ("unknown provider", "/v1/audio-stream?provider=x", (HEADER,), {}, 400),
    ("unknown provider's path", "/gateway/nobody/x", (HEADER,), {}, 404),
    ("unknown path", "/gateway/deepgram/v1/speak", (HEADER,), {}, 404),
    ("two models", f"{LISTEN}&model=a&model=b", (HEADER,), {}, 400),
    ("used up", LISTEN, (HEADER,), {"ledger": FakeLedger(fault=BudgetUsedUp("nothing left"))}, 402),
    ("too many", LISTEN, (HEADER,), {"ledger": FakeLedger(fault=MANY)}, 429),
    ("full", LISTEN, (HEADER,), {"sessions_max": 0}, 429),
    ("no store", LISTEN, (HEADER,), {"ledger": FakeLedger(fault=Unavailable("away"))}, 503),
    ("no store for keys", LISTEN, (HEADER,), {"access": FakeAccess(fault=Unavailable("away"))}, 503),
    ("too many wrong keys", LISTEN, (HEADER,), {"access": FakeAccess(fault=MANY)}, 429),
    ("no credential stored", LISTEN, (HEADER,), {"stored": None}, 503),
]


@pytest.mark.parametrize(
    ("_what", "target", "headers", "home", "status"), ORDER, ids=[case[0] for case in ORDER]
)
async def test_refusals_before_the_upgrade(
    _what: str, target: str, headers: tuple[str, ...], home: dict[str, Any], status: int
) -> None:
    """Who asks is looked at before what for, and that before whether there is room."""
    answer = await refused(target, *headers, **home)
    assert answer.status == status
    if not target.startswith("/gateway/deepgram"):
        assert answer.json["code"] == status
        assert answer.json["data"] is None
    else:
        assert set(answer.json) == {"err_code", "err_msg"}


async def test_retry_after() -> None:
    """Where it is known when to come back, the answer says so."""
    answer = await refused(LISTEN, HEADER, ledger=FakeLedger(fault=MANY))
    assert answer.headers["retry-after"] == "2"


async def test_a_draining_daemon() -> None:
    """Takes no passage any more."""
    async with house(NOWHERE) as home:
        home.admission.is_draining = True
        assert (await ask(home.port, upgrade(LISTEN, HEADER))).status == 503


async def test_what_is_no_upgrade() -> None:
    """A plain request is told what stands here, a broken handshake that it is one."""
    async with house(NOWHERE) as home:
        plain = await ask(home.port, f"GET {LISTEN} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert plain.status == 426
        broken = upgrade(LISTEN, HEADER).replace(b"Sec-WebSocket-Key", b"Sec-WebSocket-Kee")
        assert (await ask(home.port, broken)).status == 400
        assert home.ledger.opened == []


@pytest.mark.parametrize("path", ["/v1/audio-stream", "/serve/ws/v2/audio-stream"])
async def test_the_general_door(path: str) -> None:
    """The query goes on without what is ours, and our credential stands in the vendor's place."""
    provider = Upstream(echo)
    target = f"{path}?provider=elevenlabs&keyterms=a&keyterms=b%20c&api_key={ROUTER_KEY}&model_id=scribe_v2_realtime"
    async with (
        provider.serving() as url,
        house({"elevenlabs": url}) as home,
        caller(home.port, target, {}) as client,
    ):
        await client.send_message("x")
        assert await client.get_message() == "x"
    assert (
        provider.target == "/v1/speech-to-text/realtime?keyterms=a&keyterms=b%20c&model_id=scribe_v2_realtime"
    )
    assert provider.headers()["xi-api-key"] == STORED_KEY
    [opening] = home.ledger.opened
    assert (opening["dialect"], opening["provider"], opening["model"]) == (
        "gateway",
        "elevenlabs",
        "scribe_v2_realtime",
    )
    assert str(opening["price_per_hour_usd"]) == "0.39"
    assert ROUTER_KEY not in str(provider.requests[0].headers)


async def test_a_clients_own_key() -> None:
    """Goes to its own provider as it came, and costs nothing here."""
    provider = Upstream(echo)
    headers = {"authorization": f"Bearer {OWN_KEY}"}
    async with (
        provider.serving() as url,
        house({"deepgram": url}) as home,
        caller(home.port, LISTEN, headers) as client,
    ):
        await client.send_message("x")
        await client.get_message()
    assert provider.headers()["authorization"] == f"Bearer {OWN_KEY}"
    assert home.ledger.opened[0]["principal"].key_id == "own"
    assert home.ledger.opened[0]["price_per_hour_usd"] == 0


async def test_tokens() -> None:
    """A token of ours is one wherever a vendor's key would stand; a vendor's own JWT is not."""
    for target, headers, is_token in (
        (LISTEN, {"authorization": f"Bearer {TOKEN}"}, True),
        (f"{LISTEN}&jwt_token=anything", {}, True),
        (LISTEN, {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA"}, False),
        (LISTEN, {"authorization": "Bearer a.b.c"}, False),
    ):
        async with house(NOWHERE) as home, caller(home.port, target, headers):
            shown = home.access.shown[-1]
        assert (shown.token is not None, shown.key is not None) == (is_token, not is_token)
    assert TYPE.encode() == b"router+jwt"


async def test_what_access_is_told() -> None:
    """The model of the query, the page's origin, and where wrong keys come from."""
    async with (
        house(NOWHERE) as home,
        caller(
            home.port,
            f"{LISTEN}&model=nova-2",
            {"authorization": f"Token {ROUTER_KEY}", "origin": "https://a.test"},
        ),
    ):
        pass
    assert home.access.asked == [
        {"provider": "deepgram", "model": "nova-2", "origin": "https://a.test", "address": "127.0.0.1"}
    ]


@pytest.mark.parametrize(
    ("path", "offered", "answered", "passed_on"),
    [
        (
            "/gateway/openai/v1/realtime?intent=transcription",
            ("realtime", f"openai-insecure-api-key.{ROUTER_KEY}"),
            "realtime",
            ["realtime"],
        ),
        (LISTEN, ("token", ROUTER_KEY), "token", []),
        (SONIOX, ("soniox-api-key", ROUTER_KEY), "soniox-api-key", []),
    ],
)
async def test_browsers(path: str, offered: tuple[str, ...], answered: str, passed_on: list[str]) -> None:
    """A key in a subprotocol opens the door, one offer comes back, and the key does not go on."""
    provider = Upstream(echo)
    name = path.split("/")[2]
    async with (
        provider.serving() as url,
        house({name: url}) as home,
        caller(home.port, path, {}, subprotocols=offered) as client,
    ):
        assert client.subprotocol == answered
        await client.send_message("x")
        await client.get_message()
    assert list(provider.requests[-1].proposed_subprotocols) == passed_on


async def test_openai_conversations() -> None:
    """The stored credential is for transcription; a client's own key is its own business."""
    target = "/gateway/openai/v1/realtime?model=gpt-realtime"
    async with house({"openai": "ws://127.0.0.1:9"}) as home:
        answer = await ask(home.port, upgrade(target, f"Authorization: Bearer {ROUTER_KEY}"))
        assert answer.status == 403
        assert "intent=transcription" in answer.json["error"]["message"]
        async with caller(home.port, target, {"authorization": f"Bearer {OWN_KEY}"}) as client:
            _, code, _ = await rest(client)
            assert code == 1011


# A key in the first message.


async def test_a_key_in_the_first_message() -> None:
    """Old Soniox clients: let in, looked at, and the key alone is taken out of what goes on."""
    provider = Upstream(echo)
    async with (
        provider.serving() as url,
        house({"soniox": url}) as home,
        caller(home.port, SONIOX, {}) as client,
    ):
        await client.send_message(START % ROUTER_KEY)
        await client.send_message(bytes(32_000))
        assert await client.get_message() == START.replace('"api_key":"%s",', "")
        assert await client.get_message() == bytes(32_000)
        await client.aclose(1000)
        with trio.fail_after(10):
            await home.admission.emptied()
    assert provider.headers()["authorization"] == f"Bearer {STORED_KEY}"
    assert home.ledger.credits[0].closings[0]["audio_ms"] == 1000


async def test_an_own_key_in_the_first_message() -> None:
    """Stays there, and is no business of ours."""
    provider = Upstream(echo)
    async with (
        provider.serving() as url,
        house({"soniox": url}) as home,
        caller(home.port, SONIOX, {}) as client,
    ):
        await client.send_message(START % OWN_KEY)
        assert await client.get_message() == START % OWN_KEY
    assert "authorization" not in provider.headers()


async def test_a_key_in_both_places() -> None:
    """The vendor refuses two, so the second goes too."""
    provider = Upstream(echo)
    headers = {"authorization": f"Bearer {ROUTER_KEY}"}
    async with (
        provider.serving() as url,
        house({"soniox": url}) as home,
        caller(home.port, SONIOX, headers) as client,
    ):
        await client.send_message(START % "whatever")
        assert await client.get_message() == START.replace('"api_key":"%s",', "")


@pytest.mark.parametrize(
    ("first", "home", "code"),
    [
        (START % ROUTER_KEY, {"access": FakeAccess(Terms())}, 3003),
        ('{"model":"stt-rt-v5"}', {}, 3000),
        (b"audio first", {}, 3000),
        (START % ROUTER_KEY, {"ledger": FakeLedger(fault=BudgetUsedUp("nothing left"))}, 4402),
        (START % ROUTER_KEY, {"sessions_max": 0}, 1013),
        (START % ROUTER_KEY, {"stored": None}, 1011),
    ],
)
async def test_late_refusals(first: str | bytes, home: dict[str, Any], code: int) -> None:
    """What would have been a status is a close code."""
    async with (
        house({"soniox": "ws://127.0.0.1:9"}, **home) as opened,
        caller(opened.port, SONIOX, {}) as client,
    ):
        await client.send_message(first)
        messages, found, reason = await rest(client)
    assert (messages, found) == ([], code)
    assert reason


async def test_a_key_that_never_comes(autojump_clock: MockClock) -> None:
    """Is not waited for: such a connection has no business here."""
    async with house({"soniox": "ws://127.0.0.1:9"}) as home, caller(home.port, SONIOX, {}) as client:
        assert home.admission.waiting == 1
        assert (await rest(client))[1] == 3000


async def test_clients_that_leave_without_a_key() -> None:
    """Leave nothing behind."""
    async with house({"soniox": "ws://127.0.0.1:9"}) as home:
        async with caller(home.port, SONIOX, {}) as client:
            await client.aclose(1000)
        with trio.fail_after(10):
            while home.admission.connections:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)
    assert home.ledger.opened == []


# Behind the upgrade.


@pytest.mark.parametrize(("status", "code"), [(400, 1011), (401, 1011), (429, 1013), (503, 1013)])
async def test_a_provider_that_refuses(status: int, code: int) -> None:
    """Shows as a close with its status and words; of our credential only that it was refused."""
    async with (
        Upstream(status).serving() as url,
        house({"deepgram": url}) as home,
        caller(home.port) as client,
    ):
        messages, found, reason = await rest(client)
    assert (messages, found) == ([], code)
    assert f"HTTP {status}" in (reason or "")
    assert ("in words" in (reason or "")) is (status != 401)
    assert home.ledger.credits[0].closings[0]["audio_ms"] == 0


async def test_a_provider_that_cannot_be_reached() -> None:
    """Is 1011, and nothing is charged."""
    async with house(NOWHERE) as home, caller(home.port) as client:
        await client.send_message(bytes(32_000))
        _, code, reason = await rest(client)
    assert code == 1011
    assert "unreachable" in (reason or "")
    assert home.ledger.credits[0].marks == []


async def test_a_token_of_limited_length(autojump_clock: MockClock) -> None:
    """Ends when the token says."""
    restriction = Restriction(jti="j" * 16, expires_at_s=0, max_connection_s=20)

    async def talkative(connection: WebSocketConnection) -> None:
        while True:
            await trio.sleep(5)
            await connection.send_message("x")

    access = FakeAccess(STREAMS, restriction=restriction)
    async with (
        Upstream(talkative).serving() as url,
        house({"deepgram": url}, access=access, limits={"last_words_s": 1.0}) as home,
        caller(home.port) as client,
    ):
        messages, code, _ = await rest(client)
    assert code == 3008
    assert 3 <= len(messages) <= 6


async def test_a_passage_that_cannot_be_made() -> None:
    """A certificate file that has gone: the client is closed with 1011 and an id, and its credit is closed."""
    async with house(NOWHERE) as home:
        settings = Provider(url="wss://127.0.0.1:9", ca_file="/nowhere", api_key=Secret("x"))
        home.routes["deepgram"] = Route(PROVIDERS["deepgram"], settings)
        async with caller(home.port) as client:
            messages, code, reason = await rest(client)
        assert (messages, code) == ([], 1011)
        assert re.search(r"request [0-9a-f]{32} ", reason or "")
        with trio.fail_after(10):
            await home.admission.emptied()
        [credit] = home.ledger.credits
        assert [closing["ending"] for closing in credit.closings] == ["internal"]
        assert home.admission.sessions == 0


@pytest.mark.parametrize("is_own", [False, True])
async def test_a_provider_that_quotes_the_key(is_own: bool) -> None:
    """In a message, in a close: ours does not reach the client; its own it may read."""
    key = OWN_KEY if is_own else STORED_KEY

    async def quotes(connection: WebSocketConnection) -> None:
        await connection.get_message()
        await connection.send_message(json.dumps({"error": f"bad key {key}!"}))
        await connection.aclose(1008, f"bad key {key}")

    provider = Upstream(quotes)
    shown = OWN_KEY if is_own else ROUTER_KEY
    async with (
        provider.serving() as url,
        house({"deepgram": url}) as home,
        caller(home.port, LISTEN, {"authorization": f"Token {shown}"}) as client,
    ):
        await client.send_message("x")
        messages, code, reason = await rest(client)
    assert code == 1008
    seen = key if is_own else "…"
    assert (json.loads(messages[0])["error"], reason) == (f"bad key {seen}!", f"bad key {seen}")


async def test_nothing_of_a_key_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever shows it, wherever, with whatever success."""
    provider = Upstream(401)
    async with provider.serving() as url, house({"deepgram": url, "soniox": url}) as home:
        for path, headers, first in (
            (LISTEN, {"authorization": f"Token {ROUTER_KEY}"}, "canary words"),
            (f"{GENERAL}&api_key={ROUTER_KEY}", {}, "canary words"),
            (LISTEN, {"authorization": f"Token {OWN_KEY}"}, "canary words"),
            (SONIOX, {}, START % ROUTER_KEY),
        ):
            async with caller(home.port, path, headers) as client:
                await client.send_message(first)
                await rest(client)
        await ask(home.port, upgrade(f"{GENERAL}&api_key={OWN_KEY}"))
    log = capsys.readouterr().out
    assert "session_ended" in log
    assert "turned_away" in log
    for secret in (ROUTER_KEY, STORED_KEY, OWN_KEY, "canary words"):
        assert secret not in log
