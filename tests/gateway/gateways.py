"""The gateway behind a real door on loopback, with keys and a ledger that do what the test says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    serve_websocket,
    wrap_client_stream,
)

from routeraudio.auth.authenticator import PresentedKeys
from routeraudio.config.schema import Config, Provider
from routeraudio.config.secret import Secret
from routeraudio.edge.admission import Admission
from routeraudio.edge.connection import ConnectionHandler
from routeraudio.gateway.handler import GatewayHandler
from routeraudio.model.errors import Fault
from routeraudio.observability.metrics import Metrics
from routeraudio.policy.access import AccessRequest, Holder, Principal, admit
from routeraudio.policy.keys import Key, Restriction, Terms
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Credential, Entry
from routeraudio.routes.routes import Route, routes
from routeraudio.transport.poller import Poller
from routeraudio.workers.shared_state import SharedState
from tests.session.fakes import FakeTab

ROUTER_KEY = "router_canary_k5"
STORED_KEY = "stored-canary-k7"
OWN_KEY = "own-canary-k9"
PATIENCE_S = 30.0
"""Ends a test that hangs. Virtual time: longer than every deadline under test."""

STREAMS = Terms(streams=True)
LISTEN = "/gateway/deepgram/v1/listen?encoding=linear16&sample_rate=16000"


class FakeAccess:
    """Knows one router key, which may also be a token; who else shows something brings a provider's own key.

    The deciding is the real one.
    """

    def __init__(
        self, terms: Terms = STREAMS, *, restriction: Restriction | None = None, fault: Fault | None = None
    ) -> None:
        self.terms = terms
        self.restriction = restriction
        self.fault = fault
        self.shown: list[PresentedKeys] = []
        self.asked: list[dict[str, Any]] = []

    async def principal(
        self,
        shown: PresentedKeys,
        *,
        entry: Entry,
        stored: Credential | None,
        model: str | None = None,
        origin: str | None = None,
        streams: bool = False,
        address: str = "",
    ) -> Principal:
        self.shown.append(shown)
        self.asked.append({"provider": entry.name, "model": model, "origin": origin, "address": address})
        await trio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        wanted = AccessRequest(entry=entry, stored=stored, model=model, origin=origin, streams=streams)
        key = Key(id="k1", account="acme", name="k1", terms=self.terms, created_at_s=0)
        is_ours = ROUTER_KEY in (shown.key, shown.token) or shown.token is not None
        own_key = shown.provider_key if is_ours else shown.key or shown.provider_key
        return admit(Holder(key, self.restriction) if is_ours else None, own_key, wanted, 0.0)


class FakeLedger:
    """Opens credits that grant so many cycles, or refuses."""

    def __init__(self, granted: float = 1_000_000, *, fault: Fault | None = None) -> None:
        self.granted = granted
        self.fault = fault
        self.opened: list[dict[str, Any]] = []
        self.credits: list[FakeTab] = []

    async def open(self, **opening: Any) -> FakeTab:
        await trio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.opened.append(opening)
        self.credits.append(FakeTab(self.granted))
        return self.credits[-1]


class Settings(msgspec.Struct):
    """What `Streaming` is to the gateway."""

    config: Config
    routes: Mapping[str, Route]


class House(msgspec.Struct, frozen=True):
    """A running gateway."""

    port: int
    gateway: GatewayHandler
    admission: Admission
    access: FakeAccess
    ledger: FakeLedger
    routes: dict[str, Route]


@asynccontextmanager
async def house(
    urls: Mapping[str, str],
    *,
    access: FakeAccess | None = None,
    ledger: FakeLedger | None = None,
    limits: Mapping[str, Any] | None = None,
    sessions_max: int = 1000,
    stored: str | None = STORED_KEY,
) -> AsyncIterator[House]:
    """A gateway in front of providers at these base URLs. On leaving, every session must have ended by itself."""
    key = Secret(stored) if stored else None
    config = Config(
        providers={name: Provider(url=url, api_key=key) for name, url in urls.items()},
        # Clients in tests seldom wait for the end of the closing handshake.
        limits=msgspec.structs.replace(Limits(close_client_s=0.5), **(limits or {})),
    )
    poller = Poller()
    admission = Admission(config.limits, sessions_max)
    access, ledger = access or FakeAccess(), ledger or FakeLedger()
    known = routes(config)
    gateway = GatewayHandler(
        Settings(config, known), poller, admission, access, ledger, Metrics(SharedState.alone())
    )
    # Neither sessions nor REST are under test.
    door = ConnectionHandler(cast(Any, None), cast(Any, None), admission, gateway=gateway)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, door.handle, listeners)
        port = listeners[0].socket.getsockname()[1]
        yield House(port, gateway, admission, access, ledger, known)
        nursery.cancel_scope.cancel()


class Upstream:
    """A provider that talks as the test says.

    Args:
        talk: the conversation; a number refuses with that status.
        before: awaited before the upgrade is answered.
    """

    def __init__(
        self,
        talk: Callable[[WebSocketConnection], Awaitable[None]] | int,
        *,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.talk = talk
        self.before = before
        self.requests: list[WebSocketRequest] = []
        self.closed: list[tuple[int, str | None]] = []
        self.over = trio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on loopback; yields the base URL."""
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve_websocket, self._serve, "127.0.0.1", 0, None)
            yield f"ws://127.0.0.1:{server.port}"
            nursery.cancel_scope.cancel()

    async def _serve(self, request: WebSocketRequest) -> None:
        self.requests.append(request)
        if self.before is not None:
            await self.before()
        if isinstance(self.talk, int):
            await request.reject(self.talk, body=b'{"err_msg":"in words"}')
            return
        offered = request.proposed_subprotocols
        connection = await request.accept(subprotocol=offered[0] if offered else None)
        try:
            await self.talk(connection)
        except ConnectionClosed:
            pass
        finally:
            if connection.closed is not None:
                self.closed.append((int(connection.closed.code), connection.closed.reason))
            self.over.set()

    def headers(self) -> dict[str, str]:
        """Of the last request."""
        return {name.decode(): value.decode() for name, value in self.requests[-1].headers}

    @property
    def target(self) -> str:
        """Path and query of the last request."""
        return self.requests[-1].path


async def echo(connection: WebSocketConnection) -> None:
    """Says what it hears."""
    while True:
        await connection.send_message(await connection.get_message())


@asynccontextmanager
async def caller(
    port: int,
    path: str = LISTEN,
    headers: Mapping[str, str] | None = None,
    *,
    subprotocols: tuple[str, ...] = (),
) -> AsyncIterator[WebSocketConnection]:
    """A client whose upgrade was accepted."""
    sent = {"authorization": f"Token {ROUTER_KEY}"} if headers is None else headers
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    try:
        async with trio.open_nursery() as nursery:
            yield await wrap_client_stream(
                nursery,
                stream,
                "router.test",
                path,
                subprotocols=subprotocols,
                extra_headers=[(name.encode(), value.encode()) for name, value in sent.items()],
            )
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


async def rest(client: WebSocketConnection) -> tuple[list[str | bytes], int, str | None]:
    """Everything up to the close; its code and reason."""
    messages: list[str | bytes] = []
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                messages.append(await client.get_message())
            except ConnectionClosed:
                assert client.closed is not None
                return messages, int(client.closed.code), client.closed.reason
