"""The harness's own parsing and counting: every figure of the table rests on them."""

import json

import pytest

from bench.sink import Tally, Track
from bench.wire import (
    BINARY,
    BLOCK_BYTES,
    CLOSE,
    FRAME_HEAD_BYTES,
    MEASURED,
    STAMP,
    TEXT,
    Reply,
    block_frame,
    frame,
    reply_sent_ns,
    take_frames,
    unmask,
)

KEY = b"\x01\x82\x43\xf4"
SENT_NS = 1_000
NOW_NS = 5_000


def block(number: int, session: int = MEASURED) -> bytes:
    return STAMP.pack(session, number, SENT_NS) + b"\x55" * (BLOCK_BYTES - STAMP.size)


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.mark.parametrize("payload", [b"", b"x" * 125, b"x" * 126, b"x" * 65_535, b"x" * 65_536])
@pytest.mark.parametrize("masked", [False, True])
def test_frame_is_read_back(payload: bytes, masked: bool) -> None:
    """What `frame` builds `take_frames` understands, with every form of the length."""
    frames, rest = take_frames(frame(BINARY, payload, masked=masked) + b"\x81")
    assert [(one.opcode, one.unmasked()) for one in frames] == [(BINARY, payload)]
    assert rest == b"\x81"


def test_frames_split_anywhere() -> None:
    """Frames are found wherever the bytes were cut."""
    data = frame(TEXT, b"hello", masked=True) + frame(BINARY, b"x" * 200) + frame(CLOSE, b"\x03\xe8")
    for cut in range(len(data) + 1):
        first, rest = take_frames(data[:cut])
        second, rest = take_frames(rest + data[cut:])
        assert [one.unmasked() for one in first + second] == [b"hello", b"x" * 200, b"\x03\xe8"]
        assert rest == b""


def test_block_is_stamped_in_place() -> None:
    """The stamp's offset in the finished frame is the beginning of its payload."""
    data = block_frame()
    STAMP.pack_into(data, FRAME_HEAD_BYTES, 7, 8, 9)
    (one,), rest = take_frames(bytes(data))
    assert rest == b""
    assert len(one.payload) == BLOCK_BYTES
    assert STAMP.unpack(one.unmasked()[: STAMP.size]) == (7, 8, 9)


@pytest.mark.parametrize("is_final", [False, True])
def test_reply_is_deepgrams_and_keeps_its_stamp(is_final: bool) -> None:
    """A reply is valid JSON of a realistic size, and its stamp survives in the transcript's text."""
    (one,), _ = take_frames(Reply(is_final=is_final).stamped(123_456_789))
    results = json.loads(one.payload)
    transcript = results["channel"]["alternatives"][0]["transcript"]
    assert 600 <= len(one.payload) <= 900
    assert results["is_final"] is is_final
    normalised = json.dumps({"type": "transcript", "transcript": transcript, "words": None}).encode()
    assert reply_sent_ns(normalised) == 123_456_789
    assert reply_sent_ns(b'{"type":"turn_end"}') is None


def test_blocks_one_by_one(tally: Tally) -> None:
    """Each block is counted and timed once; every fifth is worth a reply."""
    track = Track(tally)
    replies = [track.take(unmask(block(number), KEY), KEY, NOW_NS) for number in range(10)]
    assert replies == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert (tally.blocks, tally.messages, tally.disordered) == (10, 10, 0)
    assert list(tally.delays_ns) == [NOW_NS - SENT_NS] * 10


def test_gathered_blocks(tally: Tally) -> None:
    """Blocks that a proxy sends as one message are still blocks."""
    audio = b"".join(block(number) for number in range(7))
    assert Track(tally).take(unmask(audio, KEY), KEY, NOW_NS) == 1
    assert (tally.blocks, tally.messages, tally.disordered) == (7, 1, 0)


@pytest.mark.parametrize("cut", [16, 17, 333, 639, 640, 657, 700])
def test_cut_blocks(tally: Tally, cut: int) -> None:
    """Blocks are found by position, whatever the messages' lengths and however the mask lies over them."""
    track = Track(tally)
    audio = b"".join(block(number) for number in range(5))
    replies = [track.take(unmask(audio[at : at + cut], KEY), KEY, NOW_NS) for at in range(0, len(audio), cut)]
    assert sum(replies) == 1
    assert tally.blocks + tally.disordered == 5


def test_lost_and_repeated_blocks_are_noticed(tally: Tally) -> None:
    """Each block that is not the next one of its session counts as out of order."""
    track = Track(tally)
    for number in (0, 1, 3, 4, 4, 5):
        track.take(block(number), None, NOW_NS)
    assert tally.disordered == 2


def test_warm_up_is_not_counted(tally: Tally) -> None:
    """Unmeasured blocks keep the order and earn replies but are no part of the figures."""
    track = Track(tally)
    assert sum(track.take(block(number, session=3), None, NOW_NS) for number in range(5)) == 1
    track.take(block(5), None, NOW_NS)
    assert (tally.blocks, tally.messages, tally.disordered) == (1, 1, 0)


@pytest.mark.parametrize("key", [None, KEY])
def test_inserted_silence_is_passed_over(tally: Tally, key: bytes | None) -> None:
    """Silence that a proxy puts in while its client pauses neither counts nor shifts what follows."""
    track = Track(tally)
    track.take(block(0), None, NOW_NS)
    silence = bytes(2_500)
    assert track.take(unmask(silence, key) if key else silence, key, NOW_NS) == 0
    track.take(block(1), None, NOW_NS)
    assert (tally.blocks, tally.disordered) == (2, 0)
