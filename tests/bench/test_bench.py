"""The harness in miniature: real processes, counts only, no figure that depends on the machine's speed."""

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from bench.cells import Cell, Turn, cell, failed, rows
from bench.checks import growth, stall
from bench.contestants import CONTESTANTS, DIRECT, HYPERCORN_COPY, UVLOOP_COPY, Contestant, Place, issue
from bench.hotspots import hotspots
from bench.processes import ChildFailed, Cores, python_module
from bench.records import LoadReport, SinkReport
from bench.report import Results, console, machine, show, write_json
from bench.run import Bench, Outcome, stage

ROOT = Path(__file__).parents[2]
SESSIONS = 2
BLOCKS_PER_SLICE = SESSIONS * 50


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Cores(pinned=False), issue(tmp_path_factory.mktemp("certificates")))


@pytest.mark.parametrize("name", [DIRECT, UVLOOP_COPY])
def test_slices_count_what_was_sent(bench: Bench, name: str) -> None:
    """Every block arrives once and in order and every reply comes back, slice after slice."""
    contestant = CONTESTANTS.get(name)
    with stage(bench, contestant, sessions=SESSIONS) as one:
        outcomes = [one.slice(1.0), one.slice(1.0)]
    for outcome in outcomes:
        assert outcome.report.sent == BLOCKS_PER_SLICE
        assert outcome.report.replies == BLOCKS_PER_SLICE // 5
        assert outcome.arrived.blocks == outcome.arrived.messages == BLOCKS_PER_SLICE
        assert outcome.arrived.disordered == 0
        assert (outcome.report.cpu_ns > 0) is (contestant is not None)
        assert (outcome.memory is not None) is (contestant is not None)


def test_tls_upstream(bench: Bench) -> None:
    """The upstream counts the same behind TLS, with a certificate of the harness's own authority."""

    def command(place: Place) -> list[str]:
        url = place.upstream_url.replace("ws://", "wss://")
        copy = python_module("bench.proxies.blind_websockets", str(place.port), url)
        return ["env", f"SSL_CERT_FILE={place.ca_file}", *copy]

    copy = replace(CONTESTANTS[UVLOOP_COPY], command=command, has_tls_upstream=True)
    with stage(bench, copy, sessions=SESSIONS) as one:
        outcome = one.slice(1.0)
    assert outcome.arrived.blocks == BLOCKS_PER_SLICE
    assert outcome.report.replies == BLOCKS_PER_SLICE // 5


def test_contestant_that_does_not_start(bench: Bench) -> None:
    """A proxy that ends while starting is reported with its last words."""

    def command(_place: Place) -> list[str]:
        return ["sh", "-c", "echo no such thing >&2; exit 3"]

    broken = Contestant("broken", "broken", command, lambda _port: False)
    with pytest.raises(ChildFailed, match="no such thing"), stage(bench, broken, sessions=1):
        pass


def test_stall_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stall check ends when the proxy takes no more, long before everything is taken."""
    monkeypatch.setattr("bench.checks._QUIET_S", 1.0)
    found = stall(bench, CONTESTANTS[UVLOOP_COPY], lambda _mb: None)
    assert found.end == "held back, session open"
    assert 0 < found.taken_mb < found.offered_mb


def test_growth_has_a_slope(bench: Bench) -> None:
    """The growth check looks at the memory more than once."""
    found = growth(bench, CONTESTANTS[UVLOOP_COPY], 2.0, lambda _s: None)
    assert found.idle_kib > 0
    assert found.last_kib > 0


def test_profile_lists_functions(bench: Bench) -> None:
    """A contestant written in Python can be profiled from outside."""
    table = hotspots(bench, CONTESTANTS[UVLOOP_COPY], sessions=SESSIONS, seconds=0.5, top=5)
    assert table.row_count == 5


def test_command_line(tmp_path: Path) -> None:
    """The whole harness in a pipe: a table on standard output, every slice in the JSON."""
    options = (
        "--awake --only direct --sessions 1 --rounds 1 --seconds 1 --growth 0 --no-stall --json out.json"
    )
    done = subprocess.run(
        python_module("bench", *options.split()),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    results = msgspec.json.decode((tmp_path / "out.json").read_bytes(), type=Results)
    assert [(one.sent, one.forwarded, one.replies) for one in results.cells] == [(50, 50, 10)]
    assert "direct" in done.stdout
    assert "50 of 50 messages" in done.stderr


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends every process the harness started."""
    command = python_module("bench", "--only", UVLOOP_COPY, "--sessions", "1", "--seconds", "60")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as harness:
        children = _children(harness.pid, 3)
        harness.send_signal(signal.SIGINT)
        assert harness.wait(30) == 130
    _gone, alive = psutil.wait_procs(children, timeout=0)
    assert len(children) == 3
    assert alive == []


def _children(pid: int, count: int) -> list[psutil.Process]:
    """Upstream, proxy and generator, as soon as they are there."""
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        children = psutil.Process(pid).children()
        if len(children) == count:
            return list(children)
        time.sleep(0.05)
    raise AssertionError(f"the harness did not start {count} processes")


def made_up(contestant: str, number: int, us_per_message: float) -> Cell:
    return Cell(
        contestant=contestant, sessions=40, round=1, slice=number, us_per_message=us_per_message, sent=1
    )


def test_ratios_pair_neighbouring_slices() -> None:
    """A contestant is compared with the copy's slice beside it, so that a machine's drift cancels out."""
    drift = (1.0, 2.0, 4.0)
    cells = [
        made_up(name, number, cost * speed)
        for number, speed in enumerate(drift)
        for name, cost in (("daemon", 30.0), (UVLOOP_COPY, 60.0), (HYPERCORN_COPY, 300.0))
    ]
    daemon = next(row for row in rows(cells) if row.contestant == "daemon")
    assert daemon.slices == 3
    assert daemon.to_uvloop_copy is not None
    assert daemon.to_hypercorn_copy is not None
    assert (daemon.to_uvloop_copy.low, daemon.to_uvloop_copy.high) == (0.5, 0.5)
    assert daemon.to_hypercorn_copy.median == pytest.approx(0.1)


def test_notes_name_what_was_lost() -> None:
    """A slice whose counts do not agree, or whose proxy or generator fell behind, says so."""
    outcome = Outcome(
        LoadReport(sent=100, replies=18, cpu_ns=98_000, drained_s=30.0, late=50, late_max_ms=12.0),
        SinkReport(blocks=98, messages=98, disordered=2, replies=19, delays=None),
        memory=None,
        neighbours=None,
    )
    found = cell(Turn("daemon", 2, 1, 1), outcome)
    assert found.us_per_message == 1.0
    assert found.notes == (
        "2 of 100 messages lost",
        "2 of 20 replies lost",
        "2 messages out of order",
        "proxy 30.0 s behind",
        "generator late by up to 12 ms: unreliable",
    )


def test_failed_turns_have_a_row() -> None:
    """A contestant that failed keeps its row, with the reason and without figures."""
    (row,) = rows([failed(Turn("daemon", 2, 1, 1), ChildFailed("did not start"))])
    assert row.us_per_message is None
    assert row.notes == ("round 1, slice 1: failed: did not start",)


def test_report_names_missing_contestants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contestant that is not installed has a row saying so, and the JSON has every cell."""
    cells = [made_up(UVLOOP_COPY, 1, 50.0), made_up("daemon", 1, 50.0)]
    results = Results(
        machine=machine(),
        rounds=1,
        seconds=1.0,
        is_pinned=False,
        is_awake=False,
        missing={"haproxy": "not installed"},
        rows=rows(cells),
        failures=["growth: did not start"],
        cells=cells,
    )
    show(results, console())
    write_json(results, tmp_path / "bench.json")
    printed = capsys.readouterr().out
    assert "HAProxy" in printed
    assert "not installed" in printed
    assert "1.00 ±0% ✓" in printed
    assert "failed: growth: did not start" in printed
    assert '"us_per_message": 50.0' in (tmp_path / "bench.json").read_text()
