"""Where utterances begin and end, with a detector that reads the answer from the frame itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.engine.endpointing import (
    FRAME_BYTES,
    FRAME_MS,
    LEAD_FRAMES,
    ONSET_SPEECH_FRAMES,
    SEGMENT_MS_LONG,
    SEGMENT_MS_MAX,
    TAIL_FRAMES,
    Endpointer,
    Mark,
    Segment,
)

SPEECH = b"\x01" * FRAME_BYTES
QUIET = b"\x00" * FRAME_BYTES


def is_speech(frame: bytes) -> bool:
    return frame[0] == 1


def segments(frames: list[bytes], endpointing_ms: int = 300) -> list[Segment]:
    """All closed utterances."""
    endpointer = Endpointer(is_speech, endpointing_ms)
    return [endpointer.take() for frame in frames if endpointer.feed(frame) is Mark.CLOSED]


def test_silence_opens_nothing() -> None:
    """Frames without speech leave the endpointer idle and nothing to take."""
    endpointer = Endpointer(is_speech, 300)
    assert {endpointer.feed(QUIET) for _ in range(1000)} == {Mark.IDLE}
    assert not endpointer.is_open


def test_a_click_opens_nothing() -> None:
    """One frame of speech fewer than the onset needs is no utterance."""
    assert segments([SPEECH] * (ONSET_SPEECH_FRAMES - 1) + [QUIET] * 100) == []


def test_an_utterance_has_a_lead_and_a_tail() -> None:
    """An utterance begins before its first frame of speech and keeps some silence behind its last."""
    before, speech = 50, 40
    frames = [QUIET] * before + [SPEECH] * speech + [QUIET] * 100
    (segment,) = segments(frames, endpointing_ms=2000)
    lead = LEAD_FRAMES - ONSET_SPEECH_FRAMES
    assert segment.start_ms == (before - lead) * FRAME_MS
    assert len(segment.pcm) == (lead + speech + TAIL_FRAMES) * FRAME_BYTES


@pytest.mark.parametrize(
    ("endpointing_ms", "frames"), [(0, 7), (210, 7), (224, 7), (225, 8), (500, 16), (7000, 219)]
)
def test_patience(endpointing_ms: int, frames: int) -> None:
    """The silence that closes is the one asked for, in whole frames, and at least 210 ms."""
    endpointer = Endpointer(is_speech, endpointing_ms)
    for _ in range(20):
        endpointer.feed(SPEECH)
    marks = [endpointer.feed(QUIET) for _ in range(frames)]
    assert marks == [Mark.OPEN] * (frames - 1) + [Mark.CLOSED]


def test_a_short_pause_does_not_close() -> None:
    """Silence shorter than asked for stays inside the utterance."""
    frames = [SPEECH] * 20 + [QUIET] * 9 + [SPEECH] * 20 + [QUIET] * 10
    assert len(segments(frames, endpointing_ms=300)) == 1


def loud(level: int) -> bytes:
    """A frame of speech as loud as this."""
    return b"\x01" + bytes([level]) * (FRAME_BYTES - 1)


def test_endless_speech_is_cut_where_it_is_quietest() -> None:
    """No utterance is longer than 15 s; it is cut in its quietest 100 ms after 8 s, and every sample is kept once."""
    spoken = [loud(9)] * (SEGMENT_MS_LONG // FRAME_MS + 40) + [loud(1)] * 3
    frames = spoken + [loud(9)] * (SEGMENT_MS_MAX // FRAME_MS)
    endpointer = Endpointer(is_speech, 300)
    cut = [endpointer.take() for frame in frames if endpointer.feed(frame) is Mark.CLOSED]
    cut.append(endpointer.take())
    assert b"".join(segment.pcm for segment in cut) == b"".join(frames)
    assert len(cut[0].pcm) == len(spoken) * FRAME_BYTES - 3 * FRAME_BYTES // 2
    assert cut[1].start_ms == len(cut[0].pcm) // 32
    assert all(len(segment.pcm) <= SEGMENT_MS_MAX * 32 + FRAME_BYTES for segment in cut)


def test_a_long_utterance_closes_at_a_short_pause() -> None:
    """After 8 s the shortest silence closes, so that the cut at 15 s seldom falls inside a word."""
    frames = [SPEECH] * (SEGMENT_MS_LONG // FRAME_MS) + [QUIET] * 7
    assert len(segments(frames, endpointing_ms=10_000)) == 1


def test_patience_never_grows() -> None:
    """A long utterance does not wait longer than a short one."""
    frames = [SPEECH] * (SEGMENT_MS_LONG // FRAME_MS) + [QUIET] * 7
    assert len(segments(frames, endpointing_ms=0)) == 1


def test_take_in_the_middle_continues_behind_it() -> None:
    """After an early take the next utterance begins where the last one ended, rest of a frame included."""
    endpointer = Endpointer(is_speech, 300)
    for _ in range(20):
        endpointer.feed(SPEECH)
    first = endpointer.take(b"\x01" * 320)
    for _ in range(20):
        endpointer.feed(SPEECH)
    second = endpointer.take()
    assert len(first.pcm) == 20 * FRAME_BYTES + 320
    assert second.start_ms == 20 * FRAME_MS + 10
    assert len(second.pcm) == 20 * FRAME_BYTES


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=30), st.integers(0, 10_000))
def test_segments_do_not_overlap(runs: list[tuple[bool, int]], endpointing_ms: int) -> None:
    """Whatever is said, utterances come in order, apart from each other, and hold the audio of their place."""
    frames = [SPEECH if speech else QUIET for speech, count in runs for _ in range(count)]
    stream = b"".join(frames)
    end_bytes = 0
    for segment in segments(frames, endpointing_ms):
        start_bytes = segment.start_ms * 32
        assert start_bytes >= end_bytes
        assert stream[start_bytes : start_bytes + len(segment.pcm)] == segment.pcm
        end_bytes = start_bytes + len(segment.pcm)
