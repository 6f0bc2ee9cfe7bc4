"""Several processes on one port: the parent opens the sockets and supervises the workers; it serves nothing itself.

    parent ── sockets, memory, engine ─▶ worker 1, 2, … N      started anew when they die
       ▲ └─ SIGTERM, SIGHUP ───────────▶                       the parent ends when all have
       └─── READY=1, WATCHDOG=1 ───────┘                       as to systemd (`workers.sd_notify`)

A worker is the daemon itself, `routeraudio serve` in a fresh process, whose environment tells it its place
(`workers.context`). The sockets are opened once and stay open here: while a worker is being restarted the others accept
what comes, and were all of them dead, connections would wait and not be refused. Workers die with their parent.
"""

import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.config.loading import load
from routeraudio.config.schema import Config, store_url
from routeraudio.config.state import is_in_memory
from routeraudio.edge.listeners import names, open_listeners
from routeraudio.engine.spawned import spawned
from routeraudio.model.errors import ConfigFault
from routeraudio.observability import metrics
from routeraudio.policy.backoff import Backoff
from routeraudio.workers import sd_notify
from routeraudio.workers.context import Place
from routeraudio.workers.shared_health import SharedHealth, new_health_descriptor
from routeraudio.workers.shared_state import SharedState, new_descriptor

log = structlog.get_logger(__name__)

START_S: Final = 60.0
"""A worker is ready within a second; on a machine that starts everything at once, within ten."""

STOP_S: Final = 35.0
"""After `lame_duck_s` and `drain_s`: last words and closing handshakes (20 s), and room. Then workers are killed."""

MESSAGE_BYTES_MAX: Final = 256
CREDENTIALS: Final = struct.Struct("3i")
"""unix(7), `struct ucred`: pid, uid, gid."""


class WorkerFault(Exception):
    """A worker does not start: its exit code is the daemon's. What is wrong it has said itself."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


def count(config: Config) -> int:
    """How many processes the configuration wants."""
    return config.server.workers or len(os.sched_getaffinity(0))


def run(config: Config, config_path: Path | None) -> int:
    """Supervise until SIGTERM or SIGINT. Returns the exit code.

    Raises:
        ConfigFault: an address cannot be had, or the store is in memory, which workers cannot share.
    """
    if is_in_memory(store_url(config.store)):
        raise ConfigFault("store.url: a database in memory cannot be shared by server.workers processes")
    exit_code = 0
    folder = tempfile.mkdtemp(prefix="routeraudio-", dir=os.environ.get("RUNTIME_DIRECTORY"))
    try:
        trio.run(_supervise, config, config_path, folder)
    except* WorkerFault as group:
        fault: BaseException = group
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        assert isinstance(fault, WorkerFault)
        exit_code = fault.exit_code
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return exit_code


async def _supervise(config: Config, config_path: Path | None, folder: str) -> None:
    """Owns the sockets, the shared memory, the engine and the workers, from the start to the end of the daemon."""
    listeners = await open_listeners(config.server.bind, os.environ)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            local = config.providers.get("local")
            place = Place(
                workers=count(config),
                parent=os.getpid(),
                listening=tuple(listener.socket.fileno() for listener in listeners),
                shared=new_descriptor(count(config)),
                health=new_health_descriptor(count(config)),
                folder=folder,
                engine_url=await spawned(nursery, local) if local is not None and local.spawn else None,
            )
            supervisor = WorkerSupervisor(place, config_path, folder)
            nursery.start_soon(supervisor.listen)
            async with trio.open_nursery() as waiting:
                # They may wait for their store; nobody has been promised anything yet.
                waiting.start_soon(when_told, signals, nursery.cancel_scope.cancel)
                async with trio.open_nursery() as starting:
                    for number in range(1, place.workers + 1):
                        starting.start_soon(nursery.start, supervisor.keep, number)
                waiting.cancel_scope.cancel()
            log.info("listening", addresses=names(listeners), workers=place.workers)
            sd_notify.notify(sd_notify.READY)
            nursery.start_soon(_sign_of_life)
            await _obey(signals, supervisor, config, config_path)
            nursery.cancel_scope.cancel()


async def when_told(signals: AsyncIterator[int], stop: Callable[[], None]) -> None:
    """Call ``stop`` at the next signal that asks for an end."""
    while await anext(signals) == signal.SIGHUP:
        pass
    stop()


async def _obey(
    signals: AsyncIterator[int], supervisor: "WorkerSupervisor", config: Config, config_path: Path | None
) -> None:
    """Pass signals on to the workers. Returns when all have exited."""
    while await anext(signals) == signal.SIGHUP:
        _reload(supervisor, config_path)
    sd_notify.notify(sd_notify.STOPPING)
    supervisor.stop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_repeat, signals, supervisor)
        with trio.move_on_after(config.server.lame_duck_s + config.server.drain_s + STOP_S):
            await supervisor.ended()
        nursery.cancel_scope.cancel()
    log.info("stopped")


async def _repeat(signals: AsyncIterator[int], supervisor: "WorkerSupervisor") -> None:
    """A second signal ends the workers at once."""
    async for number in signals:
        if number != signal.SIGHUP:
            supervisor.signal(signal.SIGTERM)


def _reload(supervisor: "WorkerSupervisor", config_path: Path | None) -> None:
    """Read the configuration here first: one that cannot be used changes nothing in any worker."""
    sd_notify.notify(sd_notify.reloading())
    try:
        load(config_path, os.environ)
    except ConfigFault as fault:
        log.error("reload_refused", why=str(fault))
        sd_notify.notify(sd_notify.reloaded(str(fault)))
        return
    supervisor.signal(signal.SIGHUP)
    sd_notify.notify(sd_notify.reloaded(None))


async def _sign_of_life() -> None:
    """The parent's own, for its manager."""
    watchdog_s = sd_notify.watchdog_s(os.environ)
    while watchdog_s is not None:
        sd_notify.notify(sd_notify.ALIVE)
        await trio.sleep(watchdog_s / 2)


class Worker:
    """A running worker."""

    def __init__(self, number: int, process: subprocess.Popen[bytes]) -> None:
        self.number = number
        self.process = process
        self.ready = trio.Event()
        self.alive_at_s = trio.current_time()
        """When it last said so."""
        self._descriptor = os.pidfd_open(process.pid)

    async def exited(self) -> int:
        """Wait for its end; the exit code."""
        await trio.lowlevel.wait_readable(self._descriptor)
        return self.process.wait()

    def close(self) -> None:
        """Kill it and release its descriptor."""
        self.process.kill()
        self.process.wait()
        os.close(self._descriptor)


class WorkerSupervisor:
    """The workers of a daemon.

    Args:
        place: what all their places have in common.
        folder: where they keep their metrics.
    """

    def __init__(self, place: Place, config_path: Path | None, folder: str) -> None:
        assert place.shared is not None
        assert place.health is not None
        self._place = place
        self._folder = folder
        self._shared = SharedState.at(place.shared)
        self._health = SharedHealth.at(place.health)
        self._command = [sys.executable, "-P", "-m", "routeraudio", "serve"]
        if config_path is not None:
            self._command += ["--config", str(config_path)]
        self._watchdog_s = sd_notify.watchdog_s(os.environ)
        self._manager = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        # In the abstract namespace: no file that somebody must remove.
        self._manager_name = f"routeraudio-{secrets.token_hex(8)}"
        self._manager.bind("\0" + self._manager_name)
        self._workers: dict[int, Worker] = {}
        """By process id."""
        self._stopping = trio.Event()
        self._left = place.workers
        self._ended = trio.Event()

    async def keep(
        self, number: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep a worker running until `stop`; started when it is ready for the first time.

        Raises:
            WorkerFault: it does not start the first time; later it is tried again for ever, with growing pauses.
        """
        is_first = True
        backoff = Backoff()
        while not self._stopping.is_set():
            began_s = trio.current_time()
            worker = self._start(number)
            try:
                if await self._got_ready(worker):
                    log.info("worker_ready", worker=number, pid=worker.process.pid)
                    if is_first:
                        task_status.started()
                    is_first = False
                    exit_code = await self._watched(worker)
                else:
                    exit_code = worker.process.returncode
            finally:
                self._bury(worker)
            if self._stopping.is_set():
                break
            if is_first:
                raise WorkerFault(exit_code if exit_code and exit_code > 0 else 1)
            pause_s = backoff.pause_s(trio.current_time() - began_s)
            log.error("worker_died", worker=number, exit_code=exit_code, restart_in_s=round(pause_s, 2))
            with trio.move_on_after(pause_s):
                await self._stopping.wait()
        self._left -= 1
        if not self._left:
            self._ended.set()

    async def listen(self) -> None:
        """Hear what the workers tell their manager, until cancelled."""
        manager = trio.socket.from_stdlib_socket(self._manager)
        while True:
            said, ancillary, _flags, _address = await manager.recvmsg(
                MESSAGE_BYTES_MAX, socket.CMSG_SPACE(CREDENTIALS.size)
            )
            worker = self._workers.get(_sender(ancillary))
            if worker is None:
                continue
            worker.alive_at_s = trio.current_time()
            if said.decode(errors="replace") == sd_notify.READY:
                worker.ready.set()

    def stop(self) -> None:
        """Let every worker drain; none is started any more."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    async def ended(self) -> None:
        """Wait until all workers have ended, after `stop`."""
        await self._ended.wait()

    def signal(self, number: int) -> None:
        """Pass a signal on to all workers."""
        for worker in self._workers.values():
            worker.process.send_signal(number)

    def _start(self, number: int) -> Worker:
        """Start a fresh process.

        Here and not in a thread, as Trio would: the kernel ties a child's life to the thread that started it.
        """
        place = msgspec.structs.replace(self._place, number=number)
        environ = {name: value for name, value in os.environ.items() if name not in sd_notify.ENVIRONMENT}
        environ |= {
            **place.environ(),
            metrics.FOLDER: self._folder,
            "NOTIFY_SOCKET": "@" + self._manager_name,
        }
        if self._watchdog_s is not None:
            environ["WATCHDOG_USEC"] = str(int(self._watchdog_s * 1_000_000))
        self._shared.started(number)
        process = subprocess.Popen(  # noqa: S603  (our own program)
            self._command,
            env=environ,
            stdin=subprocess.DEVNULL,
            pass_fds=(*place.listening, *(one for one in (place.shared, place.health) if one is not None)),
            # Ctrl-C at a terminal reaches the whole group; the parent decides what it means.
            process_group=0,
        )
        worker = Worker(number, process)
        self._workers[process.pid] = worker
        return worker

    async def _got_ready(self, worker: Worker) -> bool:
        """Whether it got ready, in time and before it ended."""
        with trio.move_on_after(START_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_then_cancel, worker.ready.wait, nursery.cancel_scope)
                nursery.start_soon(_then_cancel, worker.exited, nursery.cancel_scope)
        return worker.ready.is_set()

    async def _watched(self, worker: Worker) -> int:
        """Wait for its exit; kill it when it stops sending signs of life. Returns the exit code."""
        exit_code = 0
        async with trio.open_nursery() as nursery:
            if self._watchdog_s is not None:
                nursery.start_soon(_kill_when_silent, worker, self._watchdog_s)
            exit_code = await worker.exited()
            nursery.cancel_scope.cancel()
        return exit_code

    def _bury(self, worker: Worker) -> None:
        worker.close()
        del self._workers[worker.process.pid]
        self._shared.died(worker.number)
        self._health.died(worker.number)
        metrics.forget_gauges(self._folder, worker.number)


async def _then_cancel(wait: Callable[[], Awaitable[object]], scope: trio.CancelScope) -> None:
    await wait()
    scope.cancel()


async def _kill_when_silent(worker: Worker, watchdog_s: float) -> None:
    while True:
        silent_s = trio.current_time() - worker.alive_at_s
        if silent_s > watchdog_s:
            log.error("worker_hung", worker=worker.number, silent_s=round(silent_s, 1))
            worker.process.kill()
            return
        await trio.sleep(watchdog_s - silent_s + 0.01)


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The sender's process id, from the kernel; 0: unknown."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) == CREDENTIALS.size:
            pid: int = CREDENTIALS.unpack(data)[0]
            return pid
    return 0
