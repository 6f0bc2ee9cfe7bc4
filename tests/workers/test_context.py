"""A worker's place, by way of its environment."""

from routeraudio.workers.context import ALONE, NUMBER, Place, place_of


def test_parts_add_up() -> None:
    """What is for the whole daemon is divided without a rest, and nobody is left without."""
    for total in (7, 64, 2000):
        assert sum(Place(number=n, workers=7).share(total) for n in range(1, 8)) == total
    assert Place(number=3, workers=3).share(2) == 1
    assert ALONE.share(2000) == 2000


def test_through_the_environment() -> None:
    """A worker learns what its parent has written; the number stands by itself for others to read."""
    place = Place(number=3, workers=4, parent=12, listening=(5, 6), shared=7, engine_url="ws://127.0.0.1:9")
    assert place_of(place.environ()) == place
    assert place.environ()[NUMBER] == "3"


def test_nobodys_worker() -> None:
    """Without a parent there is no place."""
    assert place_of({"PATH": "/bin"}) is None
