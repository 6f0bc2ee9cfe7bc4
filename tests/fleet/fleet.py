"""A whole fleet on loopback: PostgreSQL, three daemons, HAProxy. Used by tests and by `make fleet`."""

import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio

from tests.fleet.processes import Balancer, Daemon, free_ports
from tests.store.postgres import Postgres

NAMES: Final = ("one", "two", "three")


class Fleet:
    """Running. Nodes are killed and started again by name, the database and the balancer by theirs."""

    def __init__(
        self, postgres: Postgres, nodes: dict[str, Daemon], balancer: Balancer, store_url: str
    ) -> None:
        self.postgres = postgres
        """`stop` and `start` block for a moment: call `restart_postgres` where others are served meanwhile."""
        self.nodes = nodes
        self.balancer = balancer
        self.store_url = store_url

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self.balancer.address

    @property
    def config(self) -> Path:
        """A configuration that command-line tools can use beside the daemons."""
        return self.nodes["one"].config

    async def new_key(self, *wishes: str) -> str:
        """A router key, made as an operator does it. Every node knows it within five seconds.

        Args:
            wishes: more arguments of `routeraudio keys create`.
        """
        command = [sys.executable, "-m", "routeraudio", "keys", "create", "--config", str(self.config)]
        done = await trio.run_process([*command, "--name", "fleet", "--json", *wishes], capture_stdout=True)
        key: str = msgspec.json.decode(done.stdout)["key"]
        return key

    async def restart_postgres(self) -> None:
        """End the database as a crash would, and start it again."""
        await trio.to_thread.run_sync(self.postgres.stop)
        await trio.to_thread.run_sync(self.postgres.start)


@asynccontextmanager
async def open_fleet(
    folder: Path, toml: str = "", *, server: str = "", names: tuple[str, ...] = NAMES
) -> AsyncIterator[Fleet]:
    """Start everything, yield when the balancer serves; end everything on leaving.

    Args:
        folder: for configurations, logs and sockets.
        toml: what the daemons' configurations have in common beside `[server]`, `[log]`, `[store]` and `[access]`.
        server: more lines of `[server]`.
        names: which nodes run; the balancer finds the others dead.
    """
    async with AsyncExitStack() as stack:
        postgres = await trio.to_thread.run_sync(Postgres)
        stack.push_async_callback(_in_thread, postgres.close)
        await trio.to_thread.run_sync(postgres.start)
        store_url = await trio.to_thread.run_sync(postgres.create, "routeraudio")
        secret = folder / "secret"
        secret.write_text(secrets.token_urlsafe(48))
        toml = f'[store]\nurl = "{store_url}"\n[access]\ntoken_secret_file = "{secret}"\n{toml}'
        port, *ports = free_ports(1 + len(NAMES))
        every = {
            name: Daemon(folder, name, node, toml, server=server)
            for name, node in zip(NAMES, ports, strict=True)
        }
        nodes = {name: every[name] for name in names}
        for node in nodes.values():
            stack.push_async_callback(node.program.aclose)
        async with trio.open_nursery() as nursery:
            for node in nodes.values():
                nursery.start_soon(node.start)
        balancer = Balancer(folder, port, [node.address for node in every.values()])
        stack.push_async_callback(balancer.program.aclose)
        await balancer.start()
        yield Fleet(postgres, nodes, balancer, store_url)


async def _in_thread(close: Callable[[], None]) -> None:
    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(close)
