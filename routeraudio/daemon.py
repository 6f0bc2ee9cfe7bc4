"""Floor 9, the composition root: configuration → poller, engine, listeners; signals, readiness, drain."""

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import structlog
import trio
from quart_trio import QuartTrio

from routeraudio.api import health
from routeraudio.api.app import create_app
from routeraudio.api.hypercorn import HypercornServer
from routeraudio.api.pull import PullApi
from routeraudio.api.transcriptions import TranscriptionApi
from routeraudio.config import running
from routeraudio.config.loading import load
from routeraudio.config.schema import Config, Pull, Server, Store, Wyoming
from routeraudio.edge.admission import Admission
from routeraudio.edge.comebacks import Home
from routeraudio.edge.connection import ConnectionHandler
from routeraudio.edge.listeners import bound, inherited, names, open_listeners
from routeraudio.edge.sessions import Sessions
from routeraudio.edge.siblings import Siblings
from routeraudio.edge.stream_handler import StreamHandler
from routeraudio.engine.spawned import publish, served, spawned, status
from routeraudio.gateway.handler import GatewayHandler
from routeraudio.model.errors import ConfigFault
from routeraudio.observability import logs
from routeraudio.observability.metrics import Metrics
from routeraudio.persistence import Persistence
from routeraudio.policy.limits import Limits
from routeraudio.pull import factory
from routeraudio.pull.isolation import can_isolate
from routeraudio.routes.health_board import HealthBoard
from routeraudio.session.lasting import lasting
from routeraudio.transport import host
from routeraudio.transport.bytestream import ByteStream
from routeraudio.transport.certificates import EXPIRES_SOON_S, LOOK_S, Certificates, Files
from routeraudio.transport.poller import Poller
from routeraudio.transport.resolver import Resolver
from routeraudio.workers import sd_notify, supervisor
from routeraudio.workers.context import ALONE, Place, die_with, place_of
from routeraudio.workers.fair_listener import FairListener
from routeraudio.workers.heartbeat import Heartbeat
from routeraudio.workers.load import Load, Memory
from routeraudio.workers.shared_health import SharedHealth
from routeraudio.workers.shared_state import SharedState
from routeraudio.wyoming.server import WyomingServer

log = structlog.get_logger(__name__)

DESCRIPTORS_KEPT: Final = 192
"""Not for connections: refused peers that are being told why, files, listeners, the store, threads' pipes."""

EXIT_OK: Final = 0
EXIT_CONFIG: Final = 2

FINISH_S: Final = 4.0
"""After `drain_s`, for last words and closing handshakes: a drain ends at `drain_s` + 5 s, whatever a peer does. Who is
slower is cut off with 1012."""

POST_S: Final = 0.5
"""Then for callbacks of stream pull that are still to be posted; the rest is posted at the next start."""


class Daemon:
    """One process's worth of routeraudio.

    Args:
        place: which of several processes this is.
        is_isolating: whether decoders have no network (`pull.isolation`).
    """

    def __init__(
        self, config: Config, poller: Poller, place: Place = ALONE, *, is_isolating: bool = True
    ) -> None:
        config = msgspec.structs.replace(config, limits=fitting(config.limits))
        self._config = config
        self._tls: Certificates | None = None
        self._poller = poller
        self._place = place
        self._admission = Admission(config.limits, place.share(config.server.max_sessions))
        self._shared_state = (
            SharedState.alone() if place.shared is None else SharedState.at(place.shared, place.number)
        )
        self._metrics = Metrics(self._shared_state, worker=place.number)
        self._load = Load(Memory(workers=place.workers))
        self._persistence = Persistence(config, place.number)
        self._heartbeat = Heartbeat(
            self._admission, self._shared_state, self._metrics, self._load, self._persistence.ledger
        )
        self._siblings = None if place.folder is None else Siblings(place.folder, place.number)
        self._streaming = StreamHandler(
            config,
            self._poller,
            self._admission,
            self._persistence.access,
            self._persistence.ledger,
            self._metrics,
            HealthBoard(None if place.health is None else SharedHealth.at(place.health, place.number)),
            home=Home(config.server.node or "", place.number),
            siblings=self._siblings,
        )
        self._gateway = GatewayHandler(
            self._streaming,
            self._poller,
            self._admission,
            self._persistence.access,
            self._persistence.ledger,
            self._metrics,
        )
        self._metrics.standings = self._streaming.standings
        guard = factory.guard(config.pull, is_isolating=is_isolating)
        # Looked up for each task: a reload may change the server's secret.
        self._tasks = factory.registry(
            config, guard, lambda account: self._persistence.access.secrets.webhook_secret(account), place
        )
        self._pulls = PullApi(
            self._tasks,
            self._persistence.access,
            self._persistence.ledger,
            self._admission,
            config=lambda: self._streaming.config,
            routes=lambda: self._streaming.routes,
            poller=poller,
            guard=guard,
            watched=self._metrics.session,
            trusted_proxies=[ip_network(text) for text in config.server.trusted_proxies],
        )

        self._sessions = Sessions(
            self._persistence.access,
            self._persistence.ledger,
            self._admission,
            config=lambda: self._streaming.config,
            routes=lambda: self._streaming.routes,
            poller=poller,
            watched=self._metrics.session,
        )
        self._transcriptions = TranscriptionApi(
            self._sessions, [ip_network(text) for text in config.server.trusted_proxies]
        )
        # Of several processes the first: these listeners are for a house, not for a crowd.
        listeners = config.wyoming if place.number == 1 else ()
        self._wyoming = [WyomingServer(listener, self._sessions) for listener in listeners]

    async def run(self, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and serve until cancelled. Started with the bound addresses, once everything is ready.

        Raises:
            ConfigFault: an address cannot be had, a certificate cannot be used.
        """
        server = self._config.server
        trio.socket.set_custom_hostname_resolver(Resolver(self._config.limits.dial_dns_s))
        self._streaming.prepare()
        files = _certificates(self._config)
        self._tls = Certificates(files) if files else None
        shared = inherited(self._place.listening)
        listeners = shared or await open_listeners(server.bind, os.environ)
        connections = ConnectionHandler(
            self._streaming,
            HypercornServer(
                create_app(
                    [
                        self._mount_vitals,
                        *self._persistence.mounts,
                        self._pulls.mount,
                        self._transcriptions.mount,
                    ],
                    file_bytes=lambda: self._streaming.config.limits.file_bytes,
                )
            ).serve,
            self._admission,
            gateway=self._gateway,
            tls=self._tls,
            trusted_proxies=[ip_network(text) for text in server.trusted_proxies],
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._poller.run)
            await nursery.start(self._persistence.run)
            await self._take_up_tasks(nursery)
            await self._reach_engine(nursery)
            nursery.start_soon(lasting, self._heartbeat.run)
            if self._tls is not None:
                nursery.start_soon(lasting, partial(self._keep_certificates, self._tls))
            accepting: list[trio.abc.Listener[trio.SocketStream]] = (
                [FairListener(one, self._shared_state, self._heartbeat.tell) for one in shared]
                if shared
                else [*listeners]
            )
            nursery.start_soon(partial(trio.serve_listeners, connections.handle, accepting))
            if self._siblings is not None:
                sibling = ConnectionHandler(
                    self._streaming, _nothing_else, self._admission, is_from_sibling=True
                )
                carried = [self._siblings.listen()]
                nursery.start_soon(partial(trio.serve_listeners, sibling.handle, carried))
            speaking: list[trio.SocketListener] = []
            for server_ in self._wyoming:
                its = await bound([server_.bind], "wyoming.bind")
                nursery.start_soon(partial(trio.serve_listeners, server_.handle, its))
                speaking += its
            task_status.started([*names(listeners), *names(speaking)])

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
        self._gateway.finish_all()
        self._tasks.finish_all()
        self._sessions.finish_all()
        with trio.move_on_after(FINISH_S):
            await self._admission.emptied()
        with trio.move_on_after(POST_S):
            await self._tasks.posted()
        await self._persistence.ledger.flush()

    def reload(self, config: Config) -> None:
        """New sessions get ``config``, running ones keep theirs. Listeners and the engine stay as they are.

        Raises:
            ConfigFault: a certificate cannot be used; nothing has changed.
        """
        if self._tls is not None and (files := _certificates(config)):
            self._tls.reload(files)
        for table in ("server", "store", "pull", "wyoming"):
            if _fixed(getattr(config, table)) != _fixed(getattr(self._config, table)):
                log.warning("restart_needed", why=f"changes in [{table}] take effect with the next start")
        config = msgspec.structs.replace(config, limits=fitting(config.limits))
        self._streaming.configure(config)
        self._persistence.configure(config)
        self._admission.limits = config.limits
        logs.configure(config.log)

    async def _keep_certificates(self, certificates: Certificates) -> NoReturn:
        """Put renewed certificates in place, and say in time that one is not renewed. Runs until cancelled."""
        while True:
            left_s = certificates.expires_at - time.time()
            self._metrics.certificate_left(left_s)
            if left_s < EXPIRES_SOON_S:
                log.warning("certificate_expires", days=round(left_s / 86_400, 1))
            await trio.sleep(LOOK_S)
            if certificates.is_changed():
                try:
                    certificates.reload()
                    log.info("certificate_renewed")
                except ConfigFault as fault:
                    # Half written, perhaps: looked at again, and served on with the old one.
                    log.error("certificate_refused", why=str(fault))

    async def _take_up_tasks(self, nursery: trio.Nursery) -> None:
        try:
            await nursery.start(self._tasks.run)
        except OSError as error:
            raise ConfigFault(f"pull.state_dir: cannot be used: {error.strerror}") from error

    async def _reach_engine(self, nursery: trio.Nursery) -> None:
        """Tell its route where the engine is: started by our parent, or here."""
        local = self._config.providers.get("local")
        if local is not None and local.spawn:
            publish(served(local))
        if self._place.engine_url is not None:
            self._streaming.engine_at(self._place.engine_url)
        elif local is not None and local.spawn:
            self._streaming.engine_at(await spawned(nursery, local))

    async def _engine_status(self) -> dict[str, object] | None:
        """What `/readyz` tells of the local engine; None: it is not configured here."""
        if "local" not in self._config.providers:
            return None
        said = await status(self._streaming.routes["local"].url)
        if said is None:
            return {"status": "unreachable"}
        return {"status": "ready" if said.is_loaded else "loading", "models": said.models}

    def _mount_vitals(self, app: QuartTrio) -> None:
        page = self._metrics.page if self._config.server.metrics else None
        health.mount(app, self._heartbeat.standing, page, self._engine_status, self._streaming.standings)


async def _nothing_else(_stream: ByteStream, _path: str) -> None:
    """Of what siblings carry only streams are served."""


async def serve(
    config: Config, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve ``config`` until cancelled, without signals: for tests and `routeraudio demo`."""
    await Daemon(config, Poller()).run(task_status=task_status)


def main(config_path: Path | None) -> int:
    """`routeraudio serve`: until SIGTERM or SIGINT. Returns the exit code."""
    try:
        config = load(config_path, os.environ)
        with logs.in_background():
            logs.configure(config.log)
            return _run(config, config_path)
    except* ConfigFault as group:
        fault: BaseException = group
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        print(f"routeraudio: {fault}", file=sys.stderr)
        return_code = EXIT_CONFIG
    return return_code


def _run(config: Config, config_path: Path | None) -> int:
    """One process, or the parent of several, or one of those. Returns the exit code."""
    _raise_descriptor_limit()
    place = place_of(os.environ)
    if place is not None:
        die_with(place.parent)
        host.run(partial(_main, config, config_path, place))
        return EXIT_OK
    with running.recorded(config_path, os.environ):
        if supervisor.count(config) > 1:
            return supervisor.run(config, config_path)
        host.run(partial(_main, config, config_path, ALONE))
    return EXIT_OK


async def _main(config: Config, config_path: Path | None, place: Place, poller: Poller) -> None:
    daemon = Daemon(config, poller, place, is_isolating=can_isolate())
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            addresses = await _started(nursery, daemon, signals)
            # What lives from here to the end need not be looked at by every collection.
            gc.collect()
            gc.freeze()
            if place is ALONE:
                log.info("listening", addresses=addresses)
            sd_notify.notify(sd_notify.READY)
            await _obey(signals, daemon, config_path)
            nursery.cancel_scope.cancel()


async def _started(nursery: trio.Nursery, daemon: Daemon, signals: AsyncIterator[int]) -> list[str]:
    """Where the daemon listens. Who is told to stop before stops at once: it may wait for its store for hours."""
    async with trio.open_nursery() as starting:
        starting.start_soon(supervisor.when_told, signals, nursery.cancel_scope.cancel)
        addresses: list[str] = await nursery.start(daemon.run)
        starting.cancel_scope.cancel()
    return addresses


async def _obey(signals: AsyncIterator[int], daemon: Daemon, config_path: Path | None) -> None:
    """SIGHUP reloads; the first SIGTERM or SIGINT drains, the second one ends at once. Returns when all is done."""
    while await anext(signals) == signal.SIGHUP:
        _reload(daemon, config_path)
    sd_notify.notify(sd_notify.STOPPING)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_second_signal, signals, nursery.cancel_scope.cancel)
        await daemon.drain()
        nursery.cancel_scope.cancel()
    log.info("stopped")


async def _second_signal(signals: AsyncIterator[int], stop: Callable[[], None]) -> None:
    await supervisor.when_told(signals, lambda: log.warning("second_signal"))
    stop()


def _reload(daemon: Daemon, config_path: Path | None) -> None:
    """A configuration that cannot be used changes nothing."""
    sd_notify.notify(sd_notify.reloading())
    refused: str | None = None
    try:
        daemon.reload(load(config_path, os.environ))
        log.info("reloaded")
    except ConfigFault as fault:
        refused = str(fault)
        log.error("reload_refused", why=refused)
    sd_notify.notify(sd_notify.reloaded(refused))


def _fixed(table: Server | Store | Pull | tuple[Wyoming, ...]) -> object:
    """What of a table only a restart changes: certificates are read anew by a reload."""
    if not isinstance(table, Server):
        return table
    return msgspec.structs.replace(table, tls_certificate=None, tls_key=None, certificates=())


def _certificates(config: Config) -> list[Files]:
    """The files of the listeners' certificates; none where TLS ends elsewhere."""
    server = config.server
    if server.tls_certificate is None or server.tls_key is None:
        return []
    further = [(one.certificate, one.key) for one in server.certificates]
    return [Files(Path(one), Path(key)) for one, key in [(server.tls_certificate, server.tls_key), *further]]


def fitting(limits: Limits) -> Limits:
    """No more connections than there are descriptors for: two each, and some for files, listeners and the store."""
    most = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_KEPT) // 2
    if limits.connections_max <= most:
        return limits
    log.warning(
        "few_descriptors", connections_max=most, next="raise LimitNOFILE, or lower limits.connections_max"
    )
    return msgspec.structs.replace(limits, connections_max=max(1, most))


def _raise_descriptor_limit() -> None:
    """A session needs two descriptors; the soft limit is often 1024 for historical reasons."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
