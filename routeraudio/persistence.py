"""Opens the store named in the configuration: keys, tokens and the usage ledger, with the REST calls that show them."""

import os
import socket
import tempfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Final, NoReturn
from uuid import uuid4

import structlog
import trio

from routeraudio.api.app import Mount
from routeraudio.api.client_secrets import ClientSecretApi
from routeraudio.api.keys import KeyApi
from routeraudio.api.tokens import TokenApi
from routeraudio.api.usage import UsageApi
from routeraudio.auth.authenticator import Authenticator
from routeraudio.auth.server_secret import check_secret, open_secrets
from routeraudio.config.schema import Config, Server
from routeraudio.model.errors import ConfigFault
from routeraudio.store.calls import ask
from routeraudio.store.contract import NewerSchema, Node, StoreUnavailable, StoreUnusable
from routeraudio.store.ledger.service import Ledger
from routeraudio.store.selection import open_configured_store

log = structlog.get_logger(__name__)

RETRY_S: Final = 2.0
"""Between two attempts to reach the store at the start; a database server is restarted in seconds."""


class Persistence:
    """Persistent state of one process.

    Args:
        worker: which of several processes this is, from 1.

    Raises:
        ConfigFault: the store's URL or the server's secret cannot be used.
    """

    def __init__(self, config: Config, worker: int) -> None:
        settings = config.store
        self._reloaded = trio.Event()
        self._store = open_configured_store(config)
        self.ledger = Ledger(
            self._store,
            node=Node(node_id(config.server, worker), uuid4().hex),
            spool=_spool(settings.spool_dir),
            grace_s=settings.outage_grace_s,
            statement_s=settings.statement_s,
        )
        self._secrets = open_secrets(config)
        self.access = Authenticator(self._store, self._secrets, config, on_away=self.ledger.look_at_store)
        proxies = [ip_network(text) for text in config.server.trusted_proxies]
        administration = KeyApi(self.access, self._store, proxies)
        usage = UsageApi(self.access, self._store, administration.is_admin, proxies)
        tokens = TokenApi(self.access, proxies)
        self.mounts: tuple[Mount, ...] = (
            administration.mount,
            usage.mount,
            tokens.mount,
            ClientSecretApi(tokens).mount,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. Started once the store has its schema and the ledger has begun.

        Raises:
            ConfigFault: the database was made by a newer version, or cannot be used as it is.
        """
        try:
            await self._migrate()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_secret_known)
                await self.ledger.run(task_status=task_status)
        finally:
            self._store.close()

    def configure(self, config: Config) -> None:
        """New clients are looked up in ``config``."""
        self.access.configure(config)
        self._reloaded.set()

    async def _keep_secret_known(self) -> NoReturn:
        """A secret that a reload has changed is remembered in the database, else the next start would not know it."""
        while True:
            await self._reloaded.wait()
            self._reloaded = trio.Event()
            try:
                await self._ask(partial(check_secret, self._store, self.access.secrets))
            except (ConfigFault, StoreUnavailable) as fault:
                log.warning("secret_not_recorded", why=str(fault))

    async def _migrate(self) -> None:
        """Waits for a store that is away: it may be starting, as this daemon is."""
        while True:
            try:
                await self._ask(self._prepare)
            except (NewerSchema, StoreUnusable) as error:
                raise ConfigFault(f"store.url: {error}") from error
            except StoreUnavailable as error:
                log.warning("store_unavailable", why=str(error))
            else:
                return
            await trio.sleep(RETRY_S)

    async def _ask(self, call: Callable[[], None]) -> None:
        await ask(self._store, call, trio.to_thread.current_default_thread_limiter())

    def _prepare(self) -> None:
        self._store.migrate()
        check_secret(self._store, self._secrets)


def node_id(server: Server, worker: int) -> str:
    """This process among all that share the store; the same after a restart, so that it knows what it left open."""
    if server.node is not None:
        return f"{server.node}-{worker}"
    bind = server.bind
    if any(address.endswith(":0") for address in bind):
        return f"{socket.gethostname()}-{uuid4().hex[:8]}"  # on any free port: one of many
    where = sha256("\n".join(bind).encode()).hexdigest()[:8]
    return f"{socket.gethostname()}-{where}-{worker}"


def _spool(configured: str | None) -> Path:
    if configured is not None:
        return Path(configured)
    # A store in memory never is out of reach: nothing will be written there.
    return Path(tempfile.gettempdir()) / f"routeraudio-{os.getpid()}"
