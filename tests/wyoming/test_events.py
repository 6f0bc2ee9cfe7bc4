"""Wyoming's framing: any split, and its bounds."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.wyoming.events import (
    DATA_BYTES_MAX,
    LINE_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    Event,
    Malformed,
    Reader,
    written,
)

HEARD = (
    b'{"type":"describe"}\n'
    b'{"type":"transcribe","version":"1.10.2","data_length":17}\n{"language":"en"}'
    b'{"type":"audio-chunk","data":{"rate":1,"width":2},"data_length":14,"payload_length":4}\n{"rate":16000}\n\x00{"'
    b'{"type":"audio-stop","data_length":null,"unknown":1}\n'
)
EVENTS = [
    Event("describe", {}),
    Event("transcribe", {"language": "en"}),
    Event("audio-chunk", {"rate": 16_000, "width": 2}, b'\n\x00{"'),
    Event("audio-stop", {}),
]


def read(*pieces: bytes) -> list[Event]:
    reader = Reader()
    return [event for piece in pieces for event in reader.push(piece)]


def test_every_split() -> None:
    """Nothing depends on where the network cuts."""
    for at in range(len(HEARD)):
        assert read(HEARD[:at], HEARD[at:]) == EVENTS
    assert read(*(HEARD[at : at + 1] for at in range(len(HEARD)))) == EVENTS


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers(-1000, 1000)))
def test_what_is_written_is_read(kind: str, data: dict[str, str | int]) -> None:
    """One line, and the data behind it: clients bound the line."""
    assert read(written(kind, data)) == [Event(kind, data)]
    assert written(kind, data).index(b"\n") < 1000 + 6 * len(kind)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\n",
        b"[]\n",
        b'{"kind":1}\n',
        b'{"type":5}\n',
        b'{"type":"x","data":5}\n',
        b"\xff\n",
        b"[" * 5000 + b"\n",
        b"x" * (LINE_BYTES_MAX + 1),
        b'{"type":"x","data_length":-1}\n',
        b'{"type":"x","payload_length":-1}\n',
        b'{"type":"x","data_length":2}\n[]',
        b'{"type":"x","data_length":3}\n{"}',
        json.dumps({"type": "x", "data_length": DATA_BYTES_MAX + 1}).encode() + b"\n",
        json.dumps({"type": "x", "payload_length": PAYLOAD_BYTES_MAX + 1}).encode() + b"\n",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_what_is_none(data: bytes) -> None:
    """The lengths are the client's numbers, and bounded."""
    with pytest.raises(Malformed):
        read(data)


@given(st.lists(st.binary()))
def test_anything(pieces: list[bytes]) -> None:
    """Is read or refused, and nothing else."""
    try:
        read(*pieces)
    except Malformed:
        pass
