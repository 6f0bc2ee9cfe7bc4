"""What Prometheus is told: sessions, audio, delays, the process; for all workers, whichever of them is asked.

Labels come from closed lists (providers, dialects, codes), so that their number is bounded; keys, accounts, addresses
and ids are none. Nothing here is on the way of a message: a session counts in plain attributes of its own, and what
has come since the last time is added once a second and at its end.

Workers write their numbers into files in memory that all of them read (`prometheus_client`'s multiprocess mode). The
files are named by worker, not by process: a restarted worker goes on counting where the one before it died.
"""

import glob
import os
import platform
import resource
from collections.abc import Callable, Iterable, Mapping
from typing import Final, get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from routeraudio import __version__
from routeraudio.dialects.catalog import DIALECTS
from routeraudio.model.errors import CloseCode, ErrorCode
from routeraudio.policy import health
from routeraudio.policy.health import Standing
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.session.observer import Progress
from routeraudio.workers.shared_state import SharedState, State

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable, `prometheus_client`'s: where workers write; set by their parent."""

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # twice the lines, and wrong with several workers

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4

OTHER: Final = "other"
"""Stands for every label value that is not on its list."""

PROVIDER_NAMES: Final = frozenset(PROVIDERS)
DIALECT_NAMES: Final = frozenset({*(entry.name for entry in DIALECTS), "gateway", "pull"})
CLOSE_CODES: Final = frozenset({str(int(code)) for code in CloseCode} | {"1001", "1005", "1006", "none"})
"""Those we send, and those that stand for a client that has gone."""
ENDINGS: Final = frozenset({*get_args(ErrorCode), "ok", "client_gone", "restart"})

DIAL_S: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)
"""A provider nearby answers within 50 ms, one overseas within 500; `limits.dial_s` is 10."""

TEXT_S: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
"""Voice agents are tuned between 0.2 and 1 s; a final after 20 s is what users report as lost."""


class SessionObserver:
    """One session's watch (`session.observer.Observer`). Made by `Metrics.session`."""

    def __init__(
        self, metrics: "Metrics", provider: str, dialect: str, on_accepted: Callable[[], None] | None
    ) -> None:
        self._metrics = metrics
        self._on_accepted = on_accepted
        self._provider = provider
        self._dialect = dialect
        self._progress: Progress | None = None
        self._received_ms = 0
        self._sent_ms = 0

    def began(self, progress: Progress) -> None:
        """See `Observer`."""
        self._progress = progress
        self._metrics.running.add(self)
        self._metrics.sessions_open.labels(self._provider, self._dialect).inc()

    def dialled(self, took_s: float) -> None:
        """See `Observer`."""
        self._metrics.dial_seconds.labels(self._provider).observe(took_s)

    def ready(self, took_s: float) -> None:
        """See `Observer`."""
        self._metrics.ready_seconds.labels(self._provider).observe(took_s)
        if self._on_accepted is not None:
            self._on_accepted()

    def refused(self, provider: str, status: int) -> None:
        """See `Observer`."""
        self._metrics.upstream_refusals.labels(provider, str(status)).inc()

    def first_text(self, after_s: float) -> None:
        """See `Observer`."""
        self._metrics.first_text_seconds.labels(self._provider).observe(after_s)

    def final(self, after_s: float) -> None:
        """See `Observer`."""
        self._metrics.final_seconds.labels(self._provider).observe(after_s)

    def ended(self, close_code: int | None, ending: str) -> None:
        """See `Observer`."""
        if self._progress is None:
            return
        self.count()
        self._progress = None
        self._metrics.running.discard(self)
        self._metrics.sessions_open.labels(self._provider, self._dialect).dec()
        code = "none" if close_code is None else str(close_code)
        self._metrics.sessions.labels(
            self._provider, self._dialect, listed(code, CLOSE_CODES), listed(ending, ENDINGS)
        ).inc()

    def count(self) -> None:
        """Add the audio that has come and gone since the last time."""
        if self._progress is None:
            return
        received_ms, sent_ms = self._progress()
        # Never backwards: a counter that falls is read as a restart.
        if received_ms > self._received_ms:
            self._metrics.audio_received.labels(self._provider).inc((received_ms - self._received_ms) / 1000)
            self._received_ms = received_ms
        if sent_ms > self._sent_ms:
            self._metrics.audio_sent.labels(self._provider).inc((sent_ms - self._sent_ms) / 1000)
            self._sent_ms = sent_ms


class Metrics:
    """The numbers of one process; `page` tells those of all.

    Args:
        worker: which of the workers this is, from 1.
        board: knows the other workers.
    """

    def __init__(self, shared: SharedState, *, worker: int = 1) -> None:
        self._shared = shared
        self._folder = os.environ.get(FOLDER)
        self._worker = str(worker)
        self._registry = CollectorRegistry()
        if self._folder is not None:
            forget_gauges(self._folder, worker)
            values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]
        self.running: set[SessionObserver] = set()
        self.standings: Callable[[], Mapping[str, Standing]] = dict
        """How each configured provider stands."""
        self._make_session_metrics()
        self._make_process_metrics()
        self._cpu_s = 0.0

    def session(
        self, provider: str, dialect: str, on_accepted: Callable[[], None] | None = None
    ) -> SessionObserver:
        """A session that has been let in.

        Args:
            on_accepted: called when its provider takes audio.
        """
        names = listed(provider, PROVIDER_NAMES), listed(dialect, DIALECT_NAMES)
        return SessionObserver(self, *names, on_accepted)

    def turned_away(self, dialect: str, close_code: int, error: str) -> None:
        """A client was told why it gets no session."""
        self.refusals.labels(
            listed(dialect, DIALECT_NAMES), listed(str(int(close_code)), CLOSE_CODES), listed(error, ENDINGS)
        ).inc()

    def store(self, *, is_available: bool, marks_waiting: int) -> None:
        """How the ledger's database is, and how much waits to be written to it."""
        self.store_up.labels(self._worker).set(is_available)
        self.store_waiting.labels(self._worker).set(marks_waiting)

    def certificate_left(self, left_s: float) -> None:
        """How long the listeners' certificates are still good; negative: one has expired."""
        self.certificate.labels(self._worker).set(left_s)

    def sample(self, *, lag_p99_s: float, memory_share: float, resident_bytes: int, connections: int) -> None:
        """Once a second: how the process is, and the audio of running sessions."""
        self.lag_p99.labels(self._worker).set(lag_p99_s)
        self.memory_share.labels(self._worker).set(memory_share)
        self.resident.labels(self._worker).set(resident_bytes)
        self.connections.labels(self._worker).set(connections)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        self.cpu.labels(self._worker).inc(cpu_s - self._cpu_s)
        self._cpu_s = cpu_s
        for observer in self.running:
            observer.count()

    def page(self) -> bytes:
        """The text that Prometheus reads. Takes milliseconds with many workers: call it in a thread."""
        registry = self._registry
        if self._folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call] # prometheus_client
        return generate_latest(registry) + generate_latest(
            _registry_of(Facts(self._shared, self.standings()))
        )

    def _make_session_metrics(self) -> None:
        made = self._registry
        self.sessions_open = Gauge(
            "routeraudio_sessions_open", "Sessions that run now.",
            ("provider", "dialect"), registry=made, multiprocess_mode="livesum",
        )  # fmt: skip
        self.sessions = Counter(
            "routeraudio_sessions", "Sessions that have ended.",
            ("provider", "dialect", "close_code", "ending"), registry=made,
        )  # fmt: skip
        self.refusals = Counter(
            "routeraudio_refusals", "Clients that were told why they get no session.",
            ("dialect", "close_code", "error"), registry=made,
        )  # fmt: skip
        self.audio_received = Counter(
            "routeraudio_audio_received_seconds",
            "Audio from clients, by samples.",
            ("provider",),
            registry=made,
        )
        self.audio_sent = Counter(
            "routeraudio_audio_sent_seconds",
            "Audio sent to providers, by samples.",
            ("provider",),
            registry=made,
        )
        self.dial_seconds = Histogram(
            "routeraudio_upstream_dial_seconds", "DNS, TCP, TLS and upgrade of connections to providers.",
            ("provider",), registry=made, buckets=DIAL_S,
        )  # fmt: skip
        self.ready_seconds = Histogram(
            "routeraudio_upstream_ready_seconds", "From the start of a dial until the provider takes audio.",
            ("provider",), registry=made, buckets=DIAL_S,
        )  # fmt: skip
        self.upstream_refusals = Counter(
            "routeraudio_upstream_refusals", "Upgrades that providers answered with another HTTP status than 101.",
            ("provider", "status"), registry=made,
        )  # fmt: skip
        self.first_text_seconds = Histogram(
            "routeraudio_first_text_seconds", "From a session's first audio to its first text.",
            ("provider",), registry=made, buckets=TEXT_S,
        )  # fmt: skip
        self.final_seconds = Histogram(
            "routeraudio_final_seconds", "From the arrival of a final's last sample to the final.",
            ("provider",), registry=made, buckets=TEXT_S,
        )  # fmt: skip

    def _make_process_metrics(self) -> None:
        self.connections = self._of_worker("connections_open", "Connections that are open now.")
        self.lag_p99 = self._of_worker("loop_lag_p99_seconds", "How late the loop wakes up; 20 s, 99 of 100.")
        self.memory_share = self._of_worker("memory_share", "Used memory as a share of what may be used.")
        self.resident = self._of_worker("resident_memory_bytes", "Resident memory of the process.")
        self.certificate = self._of_worker(
            "tls_certificate_expiry_seconds", "Time until the first certificate of the listeners expires."
        )
        self.store_up = self._of_worker("store_up", "Whether the database of keys and usage answers.")
        self.store_waiting = self._of_worker("store_marks_waiting", "Ledger marks that wait to be written.")
        self.cpu = Counter(
            "routeraudio_cpu_seconds", "Processor time of the process.", ("worker",), registry=self._registry
        )

    def _of_worker(self, name: str, what: str) -> Gauge:
        return Gauge(
            f"routeraudio_{name}", what, ("worker",), registry=self._registry, multiprocess_mode="livesum"
        )


class Facts(Collector):
    """What is known without being counted: the build, who is there, how providers stand."""

    def __init__(self, shared: SharedState, standings: Mapping[str, Standing]) -> None:
        self._shared = shared
        self._standings = standings

    def collect(self) -> Iterable[Metric]:
        """See `prometheus_client`."""
        build = GaugeMetricFamily("routeraudio_build_info", "Always 1.", labels=("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1)
        state = GaugeMetricFamily(
            "routeraudio_workers", "Processes by what they say of themselves.", labels=("state",)
        )
        starts = CounterMetricFamily(
            "routeraudio_worker_starts", "Processes started; more than one each were lost."
        )
        rows = self._shared.rows()
        for one in State:
            state.add_metric((one.name.lower(),), sum(row.state == one for row in rows))
        starts.add_metric((), sum(row.starts for row in rows))
        places = GaugeMetricFamily("routeraudio_sessions_max", "Sessions that may run at the same time.")
        places.add_metric((), sum(row.places for row in rows))
        return (build, state, starts, places, *self._providers())

    def _providers(self) -> Iterable[Metric]:
        states = GaugeMetricFamily(
            "routeraudio_provider_state", "1 for how the provider stands.", labels=("provider", "state")
        )
        sessions = GaugeMetricFamily(
            "routeraudio_provider_connections",
            "Connections with the stored credential.",
            labels=("provider",),
        )
        most = GaugeMetricFamily(
            "routeraudio_provider_connections_max",
            "As many as the provider was seen to take.",
            labels=("provider",),
        )
        for name, one in self._standings.items():
            for state in get_args(health.State):
                states.add_metric((name, state), one.state == state)
            sessions.add_metric((name,), one.sessions)
            if one.sessions_max is not None:
                most.add_metric((name,), one.sessions_max)
        return (states, sessions, most)


def forget_gauges(folder: str, worker: int) -> None:
    """A worker has died: what it had open is gone. What it counted stays."""
    for file in glob.glob(os.path.join(glob.escape(folder), f"gauge_live*_{worker}.db")):
        os.remove(file)


def listed(value: str, allowed: frozenset[str]) -> str:
    """A label value from a closed list."""
    return value if value in allowed else OTHER


def _registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
