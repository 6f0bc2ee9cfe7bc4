"""Events that strangers cause are so many lines a second, and a number."""

import pytest
import structlog

from routeraudio.observability.summary import LINES_PER_S, Summary


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def logged(summary: Summary, event: str, times: int) -> list[dict[str, object]]:
    lines = []
    for _ in range(times):
        try:
            lines.append(dict(summary(None, "info", {"event": event})))
        except structlog.DropEvent:
            pass
    return lines


def test_the_rest_of_a_second_is_a_number() -> None:
    """The next second's first line tells it, once."""
    clock = Clock()
    summary = Summary(clock)
    assert len(logged(summary, "turned_away", 500)) == LINES_PER_S
    clock.now_s = 1.0
    lines = logged(summary, "turned_away", 3)
    assert [line.get("left_out") for line in lines] == [500 - LINES_PER_S, None, None]
    clock.now_s = 2.0
    assert logged(summary, "turned_away", 1) == [{"event": "turned_away"}]


@pytest.mark.parametrize("event", ["session_ended", "listening"])
def test_what_sessions_say_is_never_left_out(event: str) -> None:
    """A support call needs each of them."""
    assert len(logged(Summary(Clock()), event, 500)) == 500
