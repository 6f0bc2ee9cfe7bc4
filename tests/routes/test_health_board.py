"""One process's records of providers."""

import math

import pytest

from routeraudio.model.errors import ClientFault, CloseCode, Fault, Overloaded, UpstreamFault
from routeraudio.policy.health import CEILING_RISE_MS, FAILURES_MAX, OPEN_MS
from routeraudio.routes.health_board import HealthBoard, Record

NAME = b"deepgram, key 1!"
DOWN = UpstreamFault("down", is_retryable=True)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> int:
        return round(self.now_s * 1000)


def board() -> tuple[Clock, HealthBoard, Record]:
    clock = Clock()
    health = HealthBoard(clock_ms=clock)
    return clock, health, found(health)


def found(health: HealthBoard, name: bytes = NAME) -> Record:
    record = health.record("Deepgram", name)
    assert record is not None
    return record


def fail(clock: Clock, record: Record, fault: Fault = DOWN) -> None:
    record.dials()
    record.failed(fault)
    record.ended()
    clock.now_s += 2


def test_a_breaker_opens_and_closes() -> None:
    """After failures in a row; a probe that works closes it."""
    clock, _, record = board()
    for _ in range(FAILURES_MAX):
        assert record.wait_s() == 0.0
        fail(clock, record)
    assert record.state == "open"
    assert 0 < record.wait_s() <= OPEN_MS / 1000
    assert "failed several times" in record.why()
    clock.now_s += OPEN_MS / 1000
    assert (record.state, record.wait_s()) == ("half-open", 0.0)
    record.dials()
    assert record.wait_s() > 0, "one session probes"
    record.worked()
    assert (record.state, record.why()) == ("closed", "")


@pytest.mark.parametrize(
    "fault",
    [
        ClientFault("x", code="audio_error", close_code=CloseCode.UNSUPPORTED_DATA),
        UpstreamFault("your request", status=400),
    ],
)
def test_what_says_nothing_about_a_provider(fault: Fault) -> None:
    """A client's fault, and a request that it was right to refuse."""
    clock, _, record = board()
    for _ in range(2 * FAILURES_MAX):
        fail(clock, record, fault)
    assert record.state == "closed"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_out_until_a_reload(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """And it is said, but not for every session."""
    clock, health, record = board()
    for _ in range(3):
        fail(clock, record, UpstreamFault("no", status=status))
    assert record.wait_s() == math.inf
    assert "refused the credential" in record.why()
    health.reloaded()
    assert found(health).wait_s() == 0.0


def test_another_credential_is_another_record() -> None:
    """A renewed key is not held to what the old one did."""
    clock, health, record = board()
    fail(clock, record, UpstreamFault("no", status=401))
    assert found(health, b"deepgram, key 2!").wait_s() == 0.0


@pytest.mark.parametrize("fault", [Overloaded("full"), UpstreamFault("many", is_retryable=True, status=429)])
def test_a_ceiling_is_learned(fault: Fault) -> None:
    """Three quarters of what runs, and one more after a while."""
    clock, _, record = board()
    for _ in range(9):
        record.dials()
    record.failed(fault)
    record.ended()
    clock.now_s += 2
    assert record.standing().sessions_max == 6
    assert "limit of streams" in record.why()
    clock.now_s += CEILING_RISE_MS / 1000
    assert record.wait_s() == 0.0


def test_readiness_is_remembered() -> None:
    """For routes that prefer the quickest."""
    _, _, record = board()
    assert record.ready_s is None
    record.ready(0.2)
    assert record.ready_s == pytest.approx(0.2)
