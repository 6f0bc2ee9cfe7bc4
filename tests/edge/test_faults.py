"""A bug anywhere between the 101 and the session's end, at every door: an id, 1011, one line that says where."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog
import trio
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from routeraudio.auth.authenticator import Authenticator
from routeraudio.config.schema import Provider
from routeraudio.dialects.catalog import BY_PATH
from routeraudio.dialects.listen import Listen
from routeraudio.dialects.vachana.protocol import Vachana as VachanaDialect
from routeraudio.edge import connection
from routeraudio.edge.admission import Admission
from routeraudio.gateway.audio_gate import AudioGate
from routeraudio.gateway.proxy import Proxy
from routeraudio.observability.metrics import Metrics
from routeraudio.providers.native import AudioCounter
from routeraudio.routes import routes
from routeraudio.session.audio_meter import AudioMeter
from routeraudio.session.credit import LateCredit
from routeraudio.session.deliver import Deliver
from routeraudio.session.ingest import Ingest
from routeraudio.session.link import Link
from routeraudio.session.pipeline import Session
from routeraudio.session.relay import Relay
from routeraudio.session.succession import Succession
from routeraudio.session.transcode import Transcode
from routeraudio.session.watchdog import Watchdog
from routeraudio.store.ledger.service import Ledger
from tests.edge.fakes import (
    KEY,
    LISTEN,
    PATIENCE_S,
    FakeDeepgram,
    ask,
    client,
    config,
    connect,
    daemon_on,
    until_end,
    upgrade,
)

SECRET = "canary bug text"

STT = "/stt/v3/stream"
GATEWAY = "/gateway/deepgram/v1/listen?encoding=linear16&sample_rate=16000"
LATE = "/gateway/soniox/transcribe-websocket"
START = '{"api_key":"%s","model":"stt-rt-v5","audio_format":"pcm_s16le","sample_rate":16000,"num_channels":1}'

DOORS: dict[str, tuple[str, dict[str, str], list[str | bytes]]] = {
    "listen": (LISTEN, {"x-api-key": KEY}, [bytes(1024), '{"type":"end_of_stream"}']),
    "stt": (STT, {"x-api-key-id": KEY}, [bytes(1024)] * 40),
    "gateway": (GATEWAY, {"authorization": f"Token {KEY}"}, [bytes(1024), '{"type":"CloseStream"}']),
    "late": (LATE, {}, [START % KEY, bytes(1024)]),
}
DIALECTS = ("listen", "stt")
ALL = ("listen", "stt", "gateway", "late")
GATEWAYS = ("gateway", "late")
LATE_KEY = ("listen", "stt", "late")
"""Where credit and place are taken behind the 101."""


class InjectedError(Exception):
    """No fault of anybody's but ours."""


def injected(*_: Any, **__: Any) -> Any:
    """Stands in for what is broken."""
    raise InjectedError(SECRET)


async def injected_task(*_: Any, **__: Any) -> Any:
    """The same, awaited."""
    raise InjectedError(SECRET)


PLACES: list[tuple[str, object, str, Callable[..., Any], tuple[str, ...]]] = [
    ("the key", Authenticator, "principal", injected_task, ("listen", "late")),
    ("admission", Admission, "session", injected, LATE_KEY),
    ("the ledger", Ledger, "stream", injected, LATE_KEY),
    ("metrics", Metrics, "session", injected, LATE_KEY),
    ("the dialect of listen", Listen, "__init__", injected, ("listen",)),
    ("the dialect of stt", VachanaDialect, "__init__", injected, ("stt",)),
    ("the dialler", routes.Route, "dialler", injected, ALL),
    ("making the session", Session, "__init__", injected, DIALECTS),
    ("making the meter", AudioMeter, "__init__", injected, DIALECTS),
    ("making the proxy", Proxy, "__init__", injected, GATEWAYS),
    ("making the gate", AudioGate, "__init__", injected, GATEWAYS),
    ("the watchdog", Watchdog, "run", injected_task, ALL),
    ("a link", Link, "run", injected_task, ALL),
    ("dialling", routes, "open_upstream", injected_task, ALL),
    ("ingest", Ingest, "run", injected_task, DIALECTS),
    ("a message of the client's", Ingest, "message", injected, DIALECTS),
    ("a message through the proxy", AudioCounter, "read", injected, ("gateway",)),
    ("the gate", AudioGate, "lets_pass", injected, GATEWAYS),
    ("transcoding", Transcode, "step", injected, DIALECTS),
    ("succession", Succession, "run", injected_task, DIALECTS),
    ("delivering", Deliver, "run", injected_task, DIALECTS),
    ("a message of the provider's", Proxy, "_send_down", injected, ("gateway",)),
    ("charging", LateCredit, "begun", injected, ("listen", "stt", "gateway")),
    ("settling", Relay, "settle", injected, ("listen",)),
]
CASES = [
    pytest.param(owner, name, bug, door, id=f"{place} - {door}")
    for place, owner, name, bug, doors in PLACES
    for door in doors
]


class Seen(msgspec.Struct):
    """What a client got, and what the log says."""

    texts: list[str]
    code: int
    reason: str
    log: list[Any]

    @property
    def bugs(self) -> list[Any]:
        return [line for line in self.log if line["event"].endswith("_bug")]


async def play(door: str, *, providers: dict[str, Provider] | None = None) -> Seen:
    """One client at a door of a daemon of its own, with an own key for the provider."""
    path, headers, messages = DOORS[door]
    deepgram = FakeDeepgram()
    texts: list[str] = []
    with structlog.testing.capture_logs() as log:
        async with deepgram.serving() as url:
            known = providers or {"deepgram": Provider(url=url), "soniox": Provider(url=url)}
            given = msgspec.structs.replace(config(deepgram=url), providers=known)
            async with daemon_on(given) as port, client(port, path, headers) as caller:
                with trio.fail_after(PATIENCE_S):
                    try:
                        for message in messages:
                            await caller.send(message)
                    except ConnectionClosed:
                        pass  # what was told before is still to be read
                    try:
                        while True:
                            texts.append(str(await caller.socket.get_message()))
                    except ConnectionClosed:
                        pass
                    while caller.socket.closed is None:  # noqa: ASYNC110 - nobody tells
                        await trio.sleep(0.01)
    closed = caller.socket.closed
    return Seen(texts, int(closed.code), closed.reason or "", list(log))


@pytest.fixture(autouse=True)
def stt_is_served_by_deepgram(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake behind every door is the same."""
    monkeypatch.setitem(BY_PATH, STT, msgspec.structs.replace(BY_PATH[STT], default_provider="deepgram"))


def check(door: str, seen: Seen, file: str, kind: str) -> None:
    """The documented ending."""
    assert seen.code == 1011
    [line] = seen.bugs
    assert line["error"] == kind
    assert line["module"]
    assert re.fullmatch(rf".*{file}:\d+ \w+", line["where"][-1])
    told = seen.texts[-1] if seen.texts and door in DIALECTS else seen.reason
    assert line["request_id"] in told or line["request_id"] in seen.reason
    assert re.fullmatch(r"[0-9a-f]{32}", line["request_id"])
    assert SECRET not in repr(seen)


@pytest.mark.parametrize(("owner", "name", "bug", "door"), CASES)
async def test_a_bug(
    owner: object,
    name: str,
    bug: Callable[..., Any],
    door: str,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    """Costs one session, and says so."""
    monkeypatch.setattr(owner, name, bug)
    seen = await play(door)
    check(door, seen, r"tests/edge/test_faults\.py", "InjectedError")
    if door in DIALECTS and "the dialect" not in name and name != "__init__":
        assert any("routeraudio has failed" in text for text in seen.texts)


@pytest.mark.parametrize(
    "error", [ConnectionResetError(SECRET), trio.BrokenResourceError(SECRET), OSError(SECRET)]
)
@pytest.mark.parametrize("door", DIALECTS)
async def test_not_every_system_error_is_the_peers(
    error: Exception, door: str, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """What looks like a lost connection, from a file or a thread, is told like any bug."""

    def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(Admission, "session", fails)
    check(door, await play(door), r"tests/edge/test_faults\.py", type(error).__name__)


@pytest.mark.parametrize("door", ALL)
async def test_a_certificate_file_that_cannot_be_read(door: str, autojump_clock: MockClock) -> None:
    """It is the operator's to mend: the log says where, the client gets an id to quote."""
    broken = Provider(url="wss://127.0.0.1:9", ca_file="/nowhere")
    seen = await play(door, providers={"deepgram": broken, "soniox": broken})
    check(door, seen, r"transport/tls\.py", "ConfigFault")


@pytest.mark.parametrize(("door", "dialect"), [("listen", Listen), ("stt", VachanaDialect)])
async def test_a_dialect_that_cannot_say_it(
    door: str, dialect: type, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """The close frame says it, before the session and in it."""
    monkeypatch.setattr(dialect, "error", injected)
    for owner, name in ((Admission, "session"), (Ingest, "run")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, injected if name == "session" else injected_task)
            seen = await play(door)
        check(door, seen, r"tests/edge/test_faults\.py", "InjectedError")
        assert "routeraudio has failed" in seen.reason


@pytest.mark.parametrize("door", ["stt", "gateway"])
async def test_a_bug_before_the_101(
    door: str, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Is an HTTP 500 with an id, and one line."""
    monkeypatch.setattr(Authenticator, "principal", injected_task)
    path, headers, _ = DOORS[door]
    with structlog.testing.capture_logs() as log:
        async with daemon_on(config()) as port:
            lines = [f"{name}: {value}" for name, value in headers.items()]
            answer = await ask(port, upgrade(path, *lines))
    [line] = [line for line in log if line["event"].endswith("_bug")]
    assert answer.status == 500
    assert line["request_id"] in answer.body.decode()
    assert re.fullmatch(r".*tests/edge/test_faults\.py:\d+ injected_task", line["where"][-1])
    assert SECRET not in repr(log) + answer.body.decode()


@pytest.mark.parametrize(
    ("error", "is_told"), [(OSError(SECRET), True), (trio.BrokenResourceError(SECRET), False)]
)
async def test_a_connection_that_fails(
    error: Exception, is_told: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """A peer that leaves is no bug; a system error of our own is one, with its place."""

    async def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(connection, "read_head", fails)
    with structlog.testing.capture_logs() as log:
        async with daemon_on(config()) as port, await connect(port) as stream:
            assert await until_end(stream) == b""
    bugs = [line for line in log if line["event"] == "connection_bug"]
    assert [line["error"] for line in bugs] == (["OSError"] if is_told else [])
    assert all("tests/edge/test_faults.py:" in line["where"][-1] for line in bugs)
    assert SECRET not in repr(log)
