"""A task's place, and who gives it back."""

from contextlib import ExitStack
from typing import Any, cast

import pytest

from routeraudio.pull.client import Feed
from routeraudio.pull.reservation import Reservation
from tests.session.fakes import FakeTab


async def test_a_session_that_cannot_be_made() -> None:
    """Nobody else closes the credit: leaving the seat does, once, and the place is free."""
    left: list[bool] = []
    credit, place = FakeTab(1), ExitStack()
    place.callback(left.append, True)

    def make(*_: object) -> Any:
        raise OSError

    seat = Reservation(credit, place, make)
    with pytest.raises(OSError):
        seat.session(Feed(), cast(Any, None))
    await seat.leave("internal")
    await seat.leave("internal")
    assert [closing["ending"] for closing in credit.closings] == ["internal"]
    assert left == [True]
