"""What Prometheus is told, by one process and by several."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from routeraudio.observability.metrics import CLOSE_CODES, ENDINGS, FOLDER, OTHER, Metrics, forget_gauges
from routeraudio.workers.shared_state import SharedState, State

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(page: bytes) -> Samples:
    """Name and labels → value."""
    return {
        (sample.name.removeprefix("routeraudio_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(SharedState.alone())


def sample(metrics: Metrics) -> None:
    metrics.sample(lag_p99_s=0.01, memory_share=0.5, resident_bytes=1000, connections=3)


def test_a_session_from_its_beginning_to_its_end(metrics: Metrics) -> None:
    """Open while it runs; its audio is counted once a second, and the rest of it at the end."""
    audio = (1500, 1000)
    observer = metrics.session("deepgram", "listen")
    observer.began(lambda: audio)
    sample(metrics)
    samples = read(metrics.page())
    assert samples[key("sessions_open", provider="deepgram", dialect="listen")] == 1
    assert samples[key("audio_received_seconds_total", provider="deepgram")] == 1.5
    audio = (4000, 3500)
    observer.ended(1000, "ok")
    sample(metrics)
    samples = read(metrics.page())
    assert samples[key("sessions_open", provider="deepgram", dialect="listen")] == 0
    assert samples[key("audio_received_seconds_total", provider="deepgram")] == 4.0
    assert samples[key("audio_sent_seconds_total", provider="deepgram")] == 3.5
    ended = key("sessions_total", provider="deepgram", dialect="listen", close_code="1000", ending="ok")
    assert samples[ended] == 1


def test_an_end_counts_once(metrics: Metrics) -> None:
    """A session that ends twice, or never began, does no harm."""
    observer = metrics.session("deepgram", "listen")
    observer.ended(1000, "ok")
    observer.began(lambda: (0, 0))
    observer.ended(1000, "ok")
    observer.ended(1011, "internal")
    samples = read(metrics.page())
    assert samples[key("sessions_open", provider="deepgram", dialect="listen")] == 0
    assert [value for (name, _), value in samples.items() if name == "sessions_total"] == [1]


def test_audio_never_counts_backwards(metrics: Metrics) -> None:
    """A counter that falls would be read as a restart."""
    audio = (2000, 2000)
    observer = metrics.session("soniox", "listen")
    observer.began(lambda: audio)
    sample(metrics)
    audio = (1000, 1000)
    observer.ended(1006, "client_gone")
    samples = read(metrics.page())
    assert samples[key("audio_sent_seconds_total", provider="soniox")] == 2.0


def test_delays_are_histograms(metrics: Metrics) -> None:
    """Of dialling, of getting ready, of the first text and of finals, by provider."""
    observer = metrics.session("deepgram", "listen")
    for tell in (observer.dialled, observer.ready, observer.first_text, observer.final):
        tell(0.3)
    samples = read(metrics.page())
    for name in ("upstream_dial", "upstream_ready", "first_text", "final"):
        assert samples[key(f"{name}_seconds_count", provider="deepgram")] == 1
        assert samples[key(f"{name}_seconds_sum", provider="deepgram")] == 0.3
        assert samples[key(f"{name}_seconds_bucket", provider="deepgram", le="0.3")] == 1
        assert samples[key(f"{name}_seconds_bucket", provider="deepgram", le="0.1")] == 0


def test_labels_are_closed_lists(metrics: Metrics) -> None:
    """Whatever a client, a vendor or a bug says, the number of series is bounded and nothing of it is shown."""
    for number in range(3000, 3200):
        observer = metrics.session(f"canary-{number}", f"canary-{number}")
        observer.began(lambda: (1, 1))
        observer.ended(number, f"canary-{number}")
        metrics.turned_away("canary", number, "canary")
    page = metrics.page()
    assert b"canary" not in page
    for (name, labels), _ in read(page).items():
        if name in ("sessions_total", "refusals_total"):
            told = dict(labels)
            assert told["close_code"] in CLOSE_CODES | {OTHER}
            assert told.get("ending", told.get("error")) in ENDINGS | {OTHER}


def test_the_process_and_its_store(metrics: Metrics) -> None:
    """How it is, by worker; who is there, from the board."""
    metrics.store(is_available=False, marks_waiting=7)
    sample(metrics)
    samples = read(metrics.page())
    assert samples[key("loop_lag_p99_seconds", worker="1")] == 0.01
    assert samples[key("memory_share", worker="1")] == 0.5
    assert samples[key("resident_memory_bytes", worker="1")] == 1000
    assert samples[key("connections_open", worker="1")] == 3
    assert samples[key("store_up", worker="1")] == 0
    assert samples[key("store_marks_waiting", worker="1")] == 7
    assert samples[key("cpu_seconds_total", worker="1")] > 0
    assert samples[key("worker_starts_total")] == 1


def test_the_board_is_told(metrics: Metrics) -> None:
    """How many workers are in which state, and how many sessions they may have together."""
    shared = SharedState.alone()
    shared.tell(State.READY, connections=0, sessions=0, places=12)
    samples = read(Metrics(shared).page())
    assert samples[key("workers", state="ready")] == 1
    assert samples[key("workers", state="absent")] == 0
    assert samples[key("sessions_max")] == 12


def test_the_documentation_names_them_all(metrics: Metrics) -> None:
    """The table in docs/operations.md has every metric there is, and no other."""
    table = OPERATIONS.read_text().split("| metric (`routeraudio_…`)")[1].split("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    told = {
        family.name.removeprefix("routeraudio_") + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(metrics.page().decode())
    }
    assert named == told


WORKER = """
import sys
from routeraudio.workers.shared_state import SharedState
from routeraudio.observability.metrics import Metrics
metrics = Metrics(SharedState.alone(), worker=int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    observer = metrics.session("deepgram", "listen")
    observer.began(lambda: (1000, 1000))
    observer.final(0.3)
    if sys.argv[3] == "end":
        observer.ended(1000, "ok")
metrics.sample(lag_p99_s=0, memory_share=0, resident_bytes=int(sys.argv[1]), connections=0)
sys.stdout.buffer.write(metrics.page())
"""


def test_one_tells_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of all workers add up; a restarted one goes on counting, without what its predecessor had open."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    is_open = key("sessions_open", provider="deepgram", dialect="listen")
    ended = key("sessions_total", provider="deepgram", dialect="listen", close_code="1000", ending="ok")

    def worker(number: int, sessions: int, how: str) -> Samples:
        command = [sys.executable, "-c", WORKER, str(number), str(sessions), how]
        return read(subprocess.run(command, check=True, capture_output=True).stdout)

    assert worker(1, 2, "end")[ended] == 2
    samples = worker(2, 3, "stay")
    assert (samples[is_open], samples[ended]) == (3, 2)
    assert samples[key("audio_sent_seconds_total", provider="deepgram")] == 5
    assert samples[key("final_seconds_count", provider="deepgram")] == 5
    assert samples[key("resident_memory_bytes", worker="1")] == 1
    assert samples[key("resident_memory_bytes", worker="2")] == 2
    samples = worker(2, 1, "stay")
    assert (samples[is_open], samples[key("final_seconds_count", provider="deepgram")]) == (1, 6)
    forget_gauges(str(tmp_path), 2)
    samples = worker(1, 1, "end")
    assert (samples[is_open], samples[ended]) == (0, 3)
    assert len(list(tmp_path.iterdir())) <= 8, "files must not grow with restarts"
