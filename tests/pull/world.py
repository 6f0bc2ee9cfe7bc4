"""Stream pull with everything around it on loopback: the calls, a provider's emulator and a webhook."""

import hmac
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import h11
import msgspec
import trio
from quart_trio import QuartTrio

from routeraudio.api.app import create_app
from routeraudio.api.pull import Opens, PullApi
from routeraudio.auth.authenticator import Authenticator
from routeraudio.config.schema import Config, Key, Provider, Pull
from routeraudio.config.secret import Secret
from routeraudio.edge.admission import Admission
from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.script import Script
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.kit.vendor import Vendor
from routeraudio.policy.limits import Limits
from routeraudio.policy.secrets import Secrets, ServerSecret
from routeraudio.pull import factory
from routeraudio.pull.registry import Registry
from routeraudio.routes.routes import routes
from routeraudio.session.credit import Credit, UnlimitedCredit, closing
from routeraudio.store.connect import open_store
from routeraudio.transport.poller import Poller

KEY = "router_" + "1" * 24
"""Of the account `config`, as all keys in a configuration."""
SECRETS = Secrets([ServerSecret("a", b"server secret of the tests, 32 bytes and more")])
LOOPBACK = "127.0.0.0/8"
PATIENCE_S = 60.0
"""Ends a test that hangs. No test measures time."""

CLIP = Path(__file__).parent.parent / "assets" / "audio" / "goforward.wav"
"""2.8 s of speech."""


class NoLedger:
    """Grants everything, or refuses with what it is told to."""

    def __init__(
        self, refusal: Exception | None = None, credit: Callable[[], Credit] = UnlimitedCredit
    ) -> None:
        self.refusal = refusal
        self.opened: list[dict[str, Any]] = []
        self._credit = credit

    @asynccontextmanager
    async def stream(self, **opening: Any) -> AsyncIterator[Credit]:
        async with closing(await self.open(**opening)) as credit:
            yield credit

    async def open(self, **what: Any) -> Credit:
        self.opened.append(what)
        if self.refusal is not None:
            raise self.refusal
        return self._credit()


class Callback(msgspec.Struct):
    """One POST that a webhook got."""

    headers: dict[str, str]
    body: bytes

    @property
    def envelope(self) -> Any:
        return json.loads(self.body)

    @property
    def is_final(self) -> bool:
        return self.headers["x-routeraudio-event"] == "final"

    @property
    def number(self) -> int:
        return int(self.headers["x-routeraudio-number"])

    def is_signed_for(self, account: str) -> bool:
        """As the documentation says how to verify."""
        signed = self.headers["x-routeraudio-timestamp"].encode() + b"." + self.body
        expected = hmac.new(SECRETS.webhook_secret(account), signed, sha256).hexdigest()
        return hmac.compare_digest(expected, self.headers["x-routeraudio-signature"])


class Hook:
    """A webhook. Answers with the next of ``statuses``, then 200; None hangs up instead."""

    def __init__(self, statuses: Sequence[int | None] = ()) -> None:
        self.callbacks: list[Callback] = []
        self.statuses = list(statuses)
        self.port = 0
        self.news = trio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?secret=1"

    @property
    def finals(self) -> list[Callback]:
        return [callback for callback in self.callbacks if callback.is_final]

    @property
    def transcripts(self) -> list[Any]:
        """The provider's messages in the envelopes."""
        return [one.envelope["data"]["transcript"] for one in self.callbacks if not one.is_final]

    async def serve(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started(self.port)
        await trio.serve_listeners(self._answer, listeners)

    async def until(self, is_done: Callable[["Hook"], object]) -> None:
        """Wait until so much has been called back."""
        with trio.fail_after(PATIENCE_S):
            while not is_done(self):
                self.news = trio.Event()
                await self.news.wait()

    async def _answer(self, stream: trio.SocketStream) -> None:
        async with stream:
            connection = h11.Connection(h11.SERVER)
            while (request := await _request(connection, stream)) is not None:
                head, body = request
                status = self.statuses.pop(0) if self.statuses else 200
                headers = {name.decode(): value.decode() for name, value in head.headers}
                if status == 200:
                    self.callbacks.append(Callback(headers, body))
                self.news.set()
                if status is None:
                    return
                answer = connection.send(h11.Response(status_code=status, headers=[("content-length", "2")]))
                assert answer is not None
                answer += connection.send(h11.Data(b"ok")) or b""
                await stream.send_all(answer + (connection.send(h11.EndOfMessage()) or b""))
                connection.start_next_cycle()


class World:
    """What `open_world` opens."""

    def __init__(
        self, app: QuartTrio, emulator: Emulator, hook: Hook, registry: Registry, ledger: NoLedger
    ) -> None:
        self.emulator = emulator
        self.hook = hook
        self.registry = registry
        self.ledger = ledger
        self.provider_scope = trio.CancelScope()
        self._app = app

    async def call(
        self, method: str, path: str, body: object = None, key: str | None = KEY, **headers: str
    ) -> tuple[int, Any]:
        """A call's status and body."""
        if key is not None:
            headers["authorization"] = key
        answer = await self._app.test_client().open(path, method=method, json=body, headers=headers)
        return answer.status_code, json.loads(await answer.get_data(as_text=False))

    async def start(self, url: str, **more: object) -> str:
        """Start a task; its id."""
        body = {"audio_url": url, "provider": "deepgram", "callback_url": self.hook.url, **more}
        status, answer = await self.call("POST", "/audio-stream/start", body)
        assert status == 200, answer
        task_id: str = answer["data"]["task_id"]
        return task_id

    async def status(self, task_id: str) -> Any:
        """What the status call says."""
        status, answer = await self.call("GET", f"/audio-stream/status/{task_id}")
        assert status == 200, answer
        return answer["data"]

    async def until(self, task_id: str, is_so: Callable[[Any], object]) -> Any:
        """Wait until the status call says so."""
        with trio.fail_after(PATIENCE_S):
            while not is_so(shown := await self.status(task_id)):  # noqa: ASYNC110 - as users ask, over HTTP
                await trio.sleep(0.02)
        return shown


@asynccontextmanager
async def open_world(
    *,
    script: Script | None = None,
    state: Path | None = None,
    pull: Pull | None = None,
    ledger: NoLedger | None = None,
    hook: Hook | None = None,
    vendor: Vendor | None = None,
    limits: Limits | None = None,
    sessions_max: int = 10,
    provider_key: str = "good",
    is_isolating: bool = True,
) -> AsyncIterator[World]:
    """Everything but the sound."""
    hook, ledger = hook or Hook(), ledger or NoLedger()
    emulator = Emulator(vendor or Deepgram(), script=script, keep_audio_bytes=1 << 20)
    opens: Opens = ledger
    async with trio.open_nursery() as nursery:
        world_scope = nursery.cancel_scope
        poller = Poller()
        nursery.start_soon(poller.run)
        provider = await nursery.start(_scoped, emulator.serve)
        await nursery.start(hook.serve)
        config = Config(
            providers={
                "deepgram": Provider(url=f"ws://127.0.0.1:{provider[0]}", api_key=Secret(provider_key))
            },
            keys=(Key(id="k", hash=f"sha256:{sha256(KEY.encode()).hexdigest()}"),),
            pull=pull or Pull(allow_networks=(LOOPBACK,), state_dir=None if state is None else str(state)),
            limits=limits or Limits(),
        )
        guard = factory.guard(config.pull, is_isolating=is_isolating)
        registry = factory.registry(config, guard, SECRETS.webhook_secret)
        store = open_store("sqlite://")
        store.migrate()
        known = routes(config)
        pulls = PullApi(
            registry,
            Authenticator(store, SECRETS, config),
            opens,
            Admission(config.limits, sessions_max),
            config=lambda: config,
            routes=lambda: known,
            poller=poller,
            guard=guard,
        )
        await nursery.start(registry.run)
        world = World(create_app([pulls.mount]), emulator, hook, registry, ledger)
        world.provider_scope = provider[1]
        yield world
        world_scope.cancel()
    store.close()


async def _scoped(
    serve: Callable[..., Any],
    *,
    task_status: trio.TaskStatus[tuple[int, trio.CancelScope]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """A service that can be ended by itself."""
    with trio.CancelScope() as scope:
        await serve(task_status=_Told(task_status, scope))


class _Told:
    def __init__(
        self, task_status: trio.TaskStatus[tuple[int, trio.CancelScope]], scope: trio.CancelScope
    ) -> None:
        self._task_status = task_status
        self._scope = scope

    def started(self, port: int) -> None:
        self._task_status.started((port, self._scope))


async def _request(connection: h11.Connection, stream: trio.SocketStream) -> tuple[h11.Request, bytes] | None:
    """The next request and its body; None: there is none."""
    head, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            try:
                connection.receive_data(await stream.receive_some(65_536))
            except trio.BrokenResourceError:
                return None
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return head, body
        else:
            return None


async def run(*command: str | Path) -> None:
    """Run a program to its end."""
    await trio.run_process([str(part) for part in command], stdin=b"")


def python(*arguments: str) -> list[str]:
    """A Python program's command line."""
    return [sys.executable, *arguments]
