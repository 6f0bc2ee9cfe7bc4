"""Which provider is next: tables."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.policy.routing import Next, Ranked, Standing, Strategy, next_candidate, ranking

DEEPGRAM = Ranked(name="deepgram", price_per_hour_usd=Decimal("0.46"), ready_s=0.3, weight=3)
SONIOX = Ranked(name="soniox", price_per_hour_usd=Decimal("0.12"), ready_s=0.2, weight=1)
LOCAL = Ranked(name="local", price_per_hour_usd=Decimal(0), ready_s=None, weight=0)
ILL = Ranked(name="ill", price_per_hour_usd=Decimal("0.01"), ready_s=0.1, weight=9, is_healthy=False)


@pytest.mark.parametrize(
    ("strategy", "draw", "expected"),
    [
        ("order", 0.0, "deepgram soniox local ill"),
        ("price", 0.0, "local soniox deepgram ill"),
        ("latency", 0.0, "soniox deepgram local ill"),
        # 13 parts: 3 of deepgram, 1 of soniox, none of local, 9 of the ill one, which goes last whatever is drawn.
        ("weighted", 0.0, "deepgram soniox local ill"),
        ("weighted", 3.5 / 13, "soniox deepgram local ill"),
        ("weighted", 0.99, "soniox deepgram local ill"),
    ],
)
def test_a_strategy_ranks(strategy: Strategy, draw: float, expected: str) -> None:
    """Each strategy by what it is named after; who is ill goes behind all who are not, in the same order."""
    candidates = [DEEPGRAM, SONIOX, LOCAL, ILL]
    ranked = [candidates[at].name for at in ranking(candidates, strategy, draw=draw)]
    assert " ".join(ranked) == expected


@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
def test_a_draw_ranks_everybody_once(weights: list[float], draw: float) -> None:
    """Whatever the weights, zeros included."""
    candidates = [Ranked(name=str(at), weight=weight) for at, weight in enumerate(weights)]
    assert sorted(ranking(candidates, "weighted", draw=draw)) == list(range(len(weights)))


def test_draws_are_in_proportion() -> None:
    """Of a thousand draws spread evenly three quarters go to the one with three quarters of the weight."""
    candidates = [DEEPGRAM, SONIOX]
    firsts = [ranking(candidates, "weighted", draw=at / 1000)[0] for at in range(1000)]
    assert firsts.count(0) == 750


def tried(*tries: int) -> list[Standing]:
    return [Standing(tries=count) for count in tries]


@pytest.mark.parametrize(
    ("standings", "attempts_left", "left_s", "expected"),
    [
        # One candidate: at once, again at once, then ever later, until the attempts or the time are over.
        (tried(0), 4, 20.0, Next(0, 0.0)),
        (tried(1), 3, 20.0, Next(0, 0.0)),
        (tried(2), 2, 20.0, Next(0, 0.5)),
        (tried(3), 1, 20.0, Next(0, 1.0)),
        (tried(4), 0, 20.0, None),
        (tried(3), 1, 0.9, None),
        (tried(0), 1, 0.0, None),
        # Several: who was tried least, in the order of the ranking.
        (tried(0, 0, 0), 4, 20.0, Next(0, 0.0)),
        (tried(1, 0, 0), 3, 20.0, Next(1, 0.0)),
        (tried(1, 1, 0), 2, 20.0, Next(2, 0.0)),
        (tried(1, 1, 1), 1, 20.0, Next(0, 0.0)),
        # A breaker that is open, a ceiling, a Retry-After: passed over while another can be dialled.
        ([Standing(wait_s=5), Standing()], 4, 20.0, Next(1, 0.0)),
        ([Standing(wait_s=5), Standing(tries=3)], 4, 20.0, Next(1, 1.0)),
        ([Standing(wait_s=5)], 4, 20.0, Next(0, 5.0)),
        ([Standing(wait_s=5), Standing(wait_s=3)], 4, 20.0, Next(1, 3.0)),
        ([Standing(wait_s=25)], 4, 20.0, None),
        # A refused credential is out.
        ([Standing(is_out=True)], 4, 20.0, None),
        ([Standing(is_out=True), Standing(tries=2)], 2, 20.0, Next(1, 0.5)),
    ],
)
def test_the_next_dial(
    standings: list[Standing], attempts_left: int, left_s: float, expected: Next | None
) -> None:
    """How an incident goes on."""
    assert next_candidate(standings, attempts_left=attempts_left, left_s=left_s) == expected
