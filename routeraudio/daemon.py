"""Floor 6, the composition root: configuration → poller, engine, door → listeners; signals, readiness, drain."""

import gc
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
import trio

from routeraudio.config.loading import load
from routeraudio.config.schema import Config, Provider
from routeraudio.engine.supervise import supervise
from routeraudio.model.errors import ConfigFault
from routeraudio.server import logs
from routeraudio.server.admission import Admission
from routeraudio.server.app import create_app
from routeraudio.server.door import Door
from routeraudio.server.http import Http
from routeraudio.server.listening import names, open_listeners
from routeraudio.server.streaming import Streaming
from routeraudio.transport import host
from routeraudio.transport.poller import Poller
from routeraudio.transport.resolver import Resolver
from routeraudio.transport.tls import server_context

log = structlog.get_logger(__name__)

EXIT_OK: Final = 0
EXIT_CONFIG: Final = 2

FINISH_S: Final = 20.0
"""After `drain_s`: last words (10 s), the closing handshake (5 s) and some room."""


class Daemon:
    """One process's worth of routeraudio."""

    def __init__(self, config: Config, poller: Poller) -> None:
        self._config = config
        self._poller = poller
        self._admission = Admission(config.limits, config.server.max_sessions)
        self._streaming = Streaming(config, self._poller, self._admission)

    async def run(self, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and serve until cancelled. Started with the bound addresses, once everything is ready.

        Raises:
            ConfigFault: an address cannot be had, a certificate cannot be used.
        """
        server = self._config.server
        trio.socket.set_custom_hostname_resolver(Resolver(self._config.limits.dial_dns_s))
        tls = _tls(self._config)
        listeners = await open_listeners(server.bind, os.environ)
        door = Door(
            self._streaming,
            Http(create_app(self._admission)).serve,
            self._admission,
            tls=tls,
            trusted_proxies=[ip_network(text) for text in server.trusted_proxies],
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._poller.run)
            local = self._config.providers.get("local")
            if local is not None and local.spawn:
                await self._spawn_engine(nursery, local)
            nursery.start_soon(trio.serve_listeners, door.handle, listeners)
            task_status.started(names(listeners))

    async def drain(self) -> None:
        """Stop taking sessions, let running ones end by themselves, then ask the rest for their last words."""
        server = self._config.server
        self._admission.is_leaving = True
        await trio.sleep(server.lame_duck_s)
        self._admission.is_draining = True
        log.info("draining", sessions=self._admission.sessions, drain_s=server.drain_s)
        with trio.move_on_after(server.drain_s):
            await self._admission.emptied()
        self._streaming.finish_all()
        with trio.move_on_after(FINISH_S):
            await self._admission.emptied()

    def reload(self, config: Config) -> None:
        """New sessions get ``config``, running ones keep theirs. Listeners and the engine stay as they are."""
        if config.server != self._config.server:
            log.warning("restart_needed", why="changes in [server] take effect with the next start")
        self._streaming.configure(config)
        self._admission.limits = config.limits
        logs.configure(config.log)

    async def _spawn_engine(self, nursery: trio.Nursery, local: Provider) -> None:
        """Start the engine on the configured port, or on any free one, and tell its route where it is."""
        parts = urlsplit(local.url or "ws://127.0.0.1:0")
        host = parts.hostname or "127.0.0.1"
        port = await nursery.start(_supervise, host, parts.port or 0, local.workers_max)
        self._streaming.engine_at(f"ws://{f'[{host}]' if ':' in host else host}:{port}")


async def _supervise(
    host: str, port: int, workers_max: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    await supervise(host=host, port=port, workers_max=workers_max, task_status=task_status)


async def serve(
    config: Config, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve ``config`` until cancelled, without signals: for tests and `routeraudio demo`."""
    await Daemon(config, Poller()).run(task_status=task_status)


def main(config_path: Path | None) -> int:
    """`routeraudio serve`: until SIGTERM or SIGINT. Returns the exit code."""
    try:
        config = load(config_path, os.environ)
        logs.configure(config.log)
        _raise_descriptor_limit()
        host.run(partial(_main, config, config_path))
    except* ConfigFault as group:
        fault: BaseException = group
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        print(f"routeraudio: {fault}", file=sys.stderr)
        return_code = EXIT_CONFIG
    else:
        return_code = EXIT_OK
    return return_code


async def _main(config: Config, config_path: Path | None, poller: Poller) -> None:
    daemon = Daemon(config, poller)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            addresses = await nursery.start(daemon.run)
            # What lives from here to the end need not be looked at by every collection.
            gc.collect()
            gc.freeze()
            log.info("listening", addresses=addresses)
            notify("READY=1")
            await _obey(signals, daemon, config_path)
            nursery.cancel_scope.cancel()


async def _obey(signals: AsyncIterator[int], daemon: Daemon, config_path: Path | None) -> None:
    """SIGHUP reloads; the first SIGTERM or SIGINT drains, the second one ends at once. Returns when all is done."""
    while await anext(signals) == signal.SIGHUP:
        _reload(daemon, config_path)
    notify("STOPPING=1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_second_signal, signals, nursery.cancel_scope.cancel)
        await daemon.drain()
        nursery.cancel_scope.cancel()
    log.info("stopped")


async def _second_signal(signals: AsyncIterator[int], stop: Callable[[], None]) -> None:
    while await anext(signals) == signal.SIGHUP:
        pass
    log.warning("second_signal")
    stop()


def _reload(daemon: Daemon, config_path: Path | None) -> None:
    """A configuration that cannot be used changes nothing."""
    try:
        config = load(config_path, os.environ)
    except ConfigFault as fault:
        log.error("reload_refused", why=str(fault))
        return
    daemon.reload(config)
    log.info("reloaded")


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); without systemd nothing happens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect("\0" + path[1:] if path.startswith("@") else path)
            sock.sendall(state.encode())
        except OSError as exc:
            log.warning("notify_failed", why=(exc.strerror or "unknown").lower())


def _tls(config: Config) -> ssl.SSLContext | None:
    server = config.server
    if server.tls_certificate is None or server.tls_key is None:
        return None
    return server_context(Path(server.tls_certificate), Path(server.tls_key))


def _raise_descriptor_limit() -> None:
    """A session needs two descriptors; the soft limit is often 1024 for historical reasons."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
