"""Events: small frozen values that say what an upstream said."""

from typing import get_args

import pytest

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import (
    Event,
    Failed,
    Final,
    Finished,
    Lost,
    Notice,
    Partial,
    Raw,
    Ready,
    Summary,
    TurnEnd,
    Usage,
    Word,
    moved,
)

EVENTS: list[Event] = [
    Ready("id"),
    Partial("a", 0, 1),
    Final("a", 0, 1, (Word("a", 0, 1),)),
    TurnEnd(1),
    Lost(0, 1),
    Usage(1),
    Notice("said"),
    Raw("{}"),
    Failed(UpstreamFault("gone")),
    Finished(),
    Summary(1, 1, 1, 1),
]


def test_every_kind_is_tried_here() -> None:
    """The list above is the union."""
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_values(event: Event) -> None:
    """Nobody who is handed an event can change it for the next one."""
    for name in type(event).__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(event, name, None)


def test_texts_are_told_apart() -> None:
    """A partial is no final, even with the same text and times."""
    assert Partial("a", 0, 1) == Partial("a", 0, 1)
    assert not isinstance(Partial("a", 0, 1), Final)
    assert not isinstance(Final("a", 0, 1), Partial)


def test_no_words_is_not_an_empty_list_of_words() -> None:
    """What a vendor does not say is None by default: word detail and speakers."""
    assert Partial("a", 0, 1).words is None
    assert Final("a", 0, 1).words is None
    assert Word("a", 0, 1).speaker is None
    assert Ready().upstream_id is None


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_moving_by_nothing_changes_nothing(event: Event) -> None:
    """The usual case, a session on its first connection, costs no copy."""
    assert moved(event, 0) is event


def test_moving_moves_every_position() -> None:
    """Texts and words stay, all their times go along; events without times are as they were."""
    words = (Word("a", 100, 200, "S1"),)
    assert moved(Final("a", 100, 200, words), 1000) == Final("a", 1100, 1200, (Word("a", 1100, 1200, "S1"),))
    assert moved(Partial("a", 100, 200), 1000) == Partial("a", 1100, 1200)
    assert moved(TurnEnd(200, channel=1), 1000) == TurnEnd(1200, channel=1)
    assert moved(Final("a", 100, 200, channel=1), 1000) == Final("a", 1100, 1200, channel=1)
    assert moved(Usage(200), 1000) == Usage(200)


def test_speakers_of_later_connections_are_other_speakers() -> None:
    """Each connection counts anew: from the second on a label says whose it is, at whatever position."""
    words = (Word("a", 100, 200, "0"), Word("b", 200, 300))
    for by_ms in (0, 1000):
        final = moved(Final("a b", 100, 300, words), by_ms, generation=2)
        assert isinstance(final, Final)
        assert [word.speaker for word in final.words or ()] == ["2.0", None]
    first = moved(Final("a b", 100, 300, words), 1000, generation=0)
    assert isinstance(first, Final)
    assert [word.speaker for word in first.words or ()] == ["0", None]
