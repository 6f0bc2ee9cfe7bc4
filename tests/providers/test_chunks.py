"""Pieces of the size a vendor wants."""

from hypothesis import given
from hypothesis import strategies as st

from routeraudio.providers.chunks import Chunker, Samples


@given(pieces=st.lists(st.binary(max_size=300)), least=st.integers(0, 40), factor=st.integers(2, 5))
def test_every_byte_in_order_within_bounds(pieces: list[bytes], least: int, factor: int) -> None:
    """Nothing is lost or reordered; all but the rest keep to the bounds."""
    most = max(1, least * factor)
    chunker = Chunker(least, most)
    chunks = [chunk for piece in pieces for chunk in chunker.push(piece)]
    rest = chunker.rest()
    assert b"".join([*chunks, rest]) == b"".join(pieces)
    assert all(max(least, 1) <= len(chunk) <= most for chunk in chunks)
    assert len(rest) < max(least, 1)
    assert chunker.rest() == b""


def test_nothing_waits_that_could_go() -> None:
    """A piece of the right size goes at once; a short one waits for the next."""
    chunker = Chunker(4, 8)
    assert chunker.push(b"abcde") == [b"abcde"]
    assert chunker.push(b"fgh") == []
    assert chunker.push(b"i") == [b"fghi"]
    assert chunker.push(b"0123456789") == [b"012345", b"6789"]


@given(pieces=st.lists(st.binary(max_size=30)), step=st.integers(1, 16))
def test_samples_stay_whole(pieces: list[bytes], step: int) -> None:
    """However audio is cut, what is given out ends where a sample does; only part of the last one is missing."""
    samples = Samples(step)
    given_out = [samples.push(piece) for piece in pieces]
    assert all(len(each) % step == 0 for each in given_out)
    audio = b"".join(pieces)
    assert b"".join(given_out) == audio[: len(audio) - len(audio) % step]
