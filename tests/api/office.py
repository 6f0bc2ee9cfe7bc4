"""The REST side of a daemon in this process: the real application, Hypercorn and SQLite, and a client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import trio

from routeraudio.api.app import create_app
from routeraudio.api.client_secrets import ClientSecretApi
from routeraudio.api.helpers import Network
from routeraudio.api.hypercorn import HypercornServer
from routeraudio.api.keys import KeyApi
from routeraudio.api.tokens import TokenApi
from routeraudio.api.usage import UsageApi
from routeraudio.auth.authenticator import Authenticator
from routeraudio.auth.server_secret import open_secrets
from routeraudio.config import schema
from routeraudio.config.secret import Secret
from routeraudio.store.connect import open_store
from routeraudio.store.contract import Store
from routeraudio.transport.bytestream import ByteStream, detach

ADMIN = "admin-canary-0123456789"
STATIC = "router_static-canary"
SERVER_SECRET = "server-secret-canary-" + "s" * 40


class Office:
    """What the tests talk to."""

    def __init__(self, client: httpx.AsyncClient, access: Authenticator, store: Store) -> None:
        self.client = client
        self.access = access
        self.store = store

    async def call(
        self, method: str, path: str, *, key: str | None = ADMIN, json: Any = None, **given: Any
    ) -> tuple[int, Any]:
        """Status and body. Every answer is JSON that nobody may keep."""
        headers = {**({} if key is None else {"x-api-key": key}), **given.pop("headers", {})}
        answer = await self.client.request(method, path, headers=headers, json=json, **given)
        assert answer.headers["content-type"] == "application/json"
        if path != "/nowhere":
            assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json()

    async def create(self, **fields: Any) -> dict[str, Any]:
        """A new key."""
        status, made = await self.call("POST", "/v1/keys", json={"name": "k", **fields})
        assert status == 201
        found: dict[str, Any] = made
        return found


def config_of(folder: Path, **access: Any) -> schema.Config:
    """With a key of the configuration, and an administrator."""
    settings = {"admin_key": Secret(ADMIN), "token_secret": Secret(SERVER_SECRET), **access}
    return schema.Config(
        access=schema.Access(**settings),
        store=schema.Store(url=Secret(f"sqlite://{folder}/r.db")),
        keys=(schema.Key(id="team", hash="sha256:" + sha256(STATIC.encode()).hexdigest()),),
    )


@asynccontextmanager
async def open_office(
    config: schema.Config, store: Store | None = None, trusted_proxies: tuple[Network, ...] = ()
) -> AsyncIterator[Office]:
    """Serve on loopback. ``store``: in the place of the configuration's."""
    if store is None:
        store = open_store(schema.store_url(config.store))
        store.migrate()
    access = Authenticator(store, open_secrets(config), config)
    admin = KeyApi(access, store, trusted_proxies)
    usage = UsageApi(access, store, admin.is_admin, trusted_proxies)
    tokens = TokenApi(access, trusted_proxies)
    http = HypercornServer(
        create_app([admin.mount, tokens.mount, ClientSecretApi(tokens).mount, usage.mount])
    )

    async def handle(accepted: trio.SocketStream) -> None:
        stream = ByteStream(detach(accepted))
        try:
            await http.serve(stream)
        finally:
            stream.close_now()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, handle, 0)
        port = listeners[0].socket.getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Office(client, access, store)
        nursery.cancel_scope.cancel()
    store.close()
