"""A contestant on its stage: its own upstream, a fresh proxy, open sessions; measured slice by slice.

Before the sessions open, one session goes through, so that everything is loaded that the first session loads, and the
idle memory is noted. Several stages can stand side by side and have their slices in turn: on a machine whose
speed drifts within seconds, neighbouring slices are what can be compared.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from typing import Final

import msgspec

from bench.contestants import DAEMON_COMMAND, LISTEN, Certificates, Contestant, Place, free_port
from bench.processes import (
    Child,
    ChildFailed,
    Cores,
    anonymous_kib,
    cores_total,
    cpu_ns,
    machine_busy_s,
    python_module,
    tree,
)
from bench.records import Listening, LoadReport, LoadSpec, SinkReport, SinkSpec, Warm

_START_S: Final = 20.0
"""From the command line to the first accepted connection."""
_OPEN_S: Final = 90.0
"""For all sessions to open and for the warm-up, which a slow proxy may leave 30 s late."""
_DRAIN_S: Final = 60.0
"""What a slice may take beyond its own seconds."""
_ANSWER_S: Final = 10.0
_CLOSE_S: Final = 8.0
"""For all sessions to close; the generator itself gives up after five."""
_SAMPLE_S: Final = 0.25
"""Between two looks at the memory."""
_WARM_S: Final = 0.5
_SETTLE_S: Final = 0.3
"""For the first session to be cleared away before the idle memory is read."""


@dataclass(frozen=True)
class Bench:
    """What all cells of a run share."""

    cores: Cores
    certificates: Certificates
    daemon_command: str = DAEMON_COMMAND
    helpers: tuple[int, ...] = ()
    """Processes of the harness that run all the time and are nobody's neighbours."""


@contextmanager
def upstream(bench: Bench, folder: Path, spec: SinkSpec) -> Iterator[tuple[Child, int]]:
    """A running sink and its port."""
    order = msgspec.json.encode(spec).decode()
    with Child(python_module("bench.sink", order), bench.cores.load, folder / "sink.log", talks=True) as sink:
        yield sink, sink.hear(Listening, _START_S).port


@contextmanager
def proxy(
    bench: Bench,
    contestant: Contestant,
    folder: Path,
    upstream_port: int,
    wrap: Callable[[list[str]], list[str]] = list,
) -> Iterator[tuple[Child, int]]:
    """A running, ready contestant and its port; ``wrap`` may change its command line."""
    place = Place(
        port=free_port(),
        upstream_port=upstream_port,
        folder=folder,
        ca_file=bench.certificates.authority,
        daemon_command=bench.daemon_command,
    )
    command = wrap(contestant.command(place))
    with Child(command, bench.cores.proxy, folder / "proxy.log") as child:
        deadline_s = time.monotonic() + _START_S
        while not contestant.is_ready(place.port):
            if not child.is_running:
                raise child.failed("ended while starting")
            if time.monotonic() > deadline_s:
                raise child.failed(f"was not ready after {_START_S:.0f} s")
            time.sleep(0.05)
        yield child, place.port


@contextmanager
def load(bench: Bench, folder: Path, spec: LoadSpec) -> Iterator[Child]:
    """A running generator, its sessions open and warm.

    Raises:
        ChildFailed: with the reason why a session did not open, or was not answered.
    """
    order = msgspec.json.encode(spec).decode()
    command = python_module("bench.load", order)
    with Child(command, bench.cores.load, folder / "load.log", talks=True) as child:
        if failure := child.hear(Warm, _OPEN_S).failure:
            raise ChildFailed(failure)
        yield child
        child.hang_up(_CLOSE_S)


class Memory(msgspec.Struct, frozen=True):
    """Anonymous memory of the proxy over one slice."""

    idle_kib: int
    samples: tuple[tuple[float, int], ...]
    """Seconds since the slice began, KiB."""

    @property
    def loaded_kib(self) -> float:
        """While the sessions run."""
        return median(kib for _, kib in self.samples)

    @property
    def slope_kib_per_min(self) -> float:
        """Growth, by least squares, without the first tenth, when buffers find their size."""
        kept = self.samples[len(self.samples) // 10 :]
        return linear_regression([at / 60 for at, _ in kept], [kib for _, kib in kept]).slope


@dataclass(frozen=True)
class Outcome:
    """Everything a slice brought home."""

    report: LoadReport
    arrived: SinkReport
    memory: Memory | None
    """None: there is no proxy."""
    neighbours: float | None
    """Processor time that others used, as a share of the machine."""


class Stage:
    """One contestant with its upstream and its clients, ready to be measured; see `stage`."""

    def __init__(
        self, sink: Child, generator: Child, child: Child | None, idle_kib: int, ours: tuple[int, ...]
    ) -> None:
        self.child = child
        """The proxy; None: there is none."""
        self._sink = sink
        self._generator = generator
        self._idle_kib = idle_kib
        self._pids = tree(child.pid) if child else ()
        self._ours = (*self._pids, *ours, sink.pid, generator.pid)

    def slice(self, seconds: float, tick: Callable[[float], None] = lambda _: None) -> Outcome:
        """So many seconds of audio in every session.

        Args:
            tick: called a few times a second with the seconds measured so far.

        Raises:
            ChildFailed: the proxy lost a session, or a process ended. The stage is of no further use then.
        """
        observer = _Watch(self._pids, self._idle_kib, self._ours)
        self._generator.say(str(seconds))
        observer.until(self._generator, seconds + _DRAIN_S, tick)
        report = self._generator.hear(LoadReport, _ANSWER_S)
        if report.failure:
            raise self.child.failed(report.failure) if self.child else ChildFailed(report.failure)
        self._sink.say("report")
        return Outcome(report, self._sink.hear(SinkReport, _ANSWER_S), observer.memory, observer.neighbours)


@contextmanager
def stage(
    bench: Bench,
    contestant: Contestant | None,
    *,
    sessions: int,
    sink_spec: SinkSpec | None = None,
    wrap: Callable[[list[str]], list[str]] = list,
) -> Iterator[Stage]:
    """A fresh upstream, a fresh proxy and its open sessions; ends them all.

    Args:
        contestant: None for no proxy: straight to the upstream.
        wrap: may change the proxy's command line.

    Raises:
        ChildFailed: a process did not start, a session did not open.
    """
    spec = sink_spec or SinkSpec()
    target = contestant.target if contestant else LISTEN
    if contestant and contestant.has_tls_upstream:
        spec = msgspec.structs.replace(spec, certificate=str(bench.certificates.upstream))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sink, port = stack.enter_context(upstream(bench, folder, spec))
        child: Child | None = None
        pids: tuple[int, ...] = ()
        idle_kib = 0
        if contestant:
            child, port = stack.enter_context(proxy(bench, contestant, folder, port, wrap))
            idle_kib = _idle_kib(bench, folder, child, port, target)
            pids = tree(child.pid)
        order = LoadSpec(port=port, sessions=sessions, target=target, warm_s=_WARM_S, pids=pids)
        generator = stack.enter_context(load(bench, folder, order))
        yield Stage(sink, generator, child, idle_kib, bench.helpers)


def _idle_kib(bench: Bench, folder: Path, child: Child, port: int, target: str) -> int:
    """After one short session, so that what is loaded and allocated once is charged to no session measured."""
    with load(bench, folder, LoadSpec(port=port, sessions=1, target=target, warm_s=0.4, pids=())):
        pass
    time.sleep(_SETTLE_S)
    return anonymous_kib(tree(child.pid))


class _Watch:
    """Looks at the proxy's memory and at the neighbours while the load runs."""

    def __init__(self, pids: tuple[int, ...], idle_kib: int, ours: tuple[int, ...]) -> None:
        self.neighbours: float | None = None
        self._pids = pids
        self._idle_kib = idle_kib
        self._ours = ours
        self._samples: list[tuple[float, int]] = []
        self._start_s = time.monotonic()
        self._foreign_start_s = self._foreign_s()

    @property
    def memory(self) -> Memory | None:
        """What was seen; None: there is no proxy."""
        return Memory(self._idle_kib, tuple(self._samples)) if self._samples else None

    def until(self, generator: Child, within_s: float, tick: Callable[[float], None]) -> None:
        """Watches until the generator answers; its sessions stay open. Looks at least at begin and end."""
        self._look()
        while not generator.has_said(_SAMPLE_S) and time.monotonic() < self._start_s + within_s:
            tick(self._look())
        at_s = self._look()
        self.neighbours = max(0.0, self._foreign_s() - self._foreign_start_s) / (at_s * cores_total())

    def _look(self) -> float:
        at_s = time.monotonic() - self._start_s
        if self._pids:
            self._samples.append((at_s, anonymous_kib(self._pids)))
        return at_s

    def _foreign_s(self) -> float:
        return machine_busy_s() - time.process_time() - cpu_ns(self._ours) / 1e9
