"""The ear of `/stt/v3/stream`: speech and silence in audio time."""

import wave
from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.audio.transcode import transcoder
from routeraudio.dialects.vachana.request import SAMPLE_RATES
from routeraudio.dialects.vachana.vad import PADDING_MS, Began, Ear, Segment, Sound
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat

AUDIO = Path(__file__).parent.parent / "assets" / "audio"
SECOND = bytes(32_000)


def samples(*names: str) -> bytes:
    """The clips, a second of silence behind each."""
    pcm = b""
    for name in names:
        with wave.open(str(AUDIO / name)) as file:
            pcm += file.readframes(file.getnframes()) + SECOND
    return pcm


CLIP = samples("goforward.wav")
THREE = samples("goforward.wav", "austen-0930.wav", "goforward.wav")


def ear(rate: int = 16_000, *, silence_ms: int = 500, threshold: float = 0.5) -> Ear:
    return Ear(AudioFormat("pcm_s16le", rate), silence_ms=silence_ms, threshold=threshold)


def fed(listener: Ear, pcm: bytes, step_bytes: int) -> list[Sound]:
    return [
        sound
        for start in range(0, len(pcm), step_bytes)
        for sound in listener.push(pcm[start : start + step_bytes])
    ]


def merged(sounds: list[Sound]) -> list[Sound]:
    """Without `Began`, and with the audio between two segments in one piece."""
    pieces: list[Sound] = []
    for sound in sounds:
        if isinstance(sound, Segment):
            pieces.append(sound)
        elif isinstance(sound, bytes):
            if pieces and isinstance(pieces[-1], bytes):
                pieces[-1] += sound
            else:
                pieces.append(sound)
    return pieces


def segments(sounds: list[Sound]) -> list[Segment]:
    return [sound for sound in sounds if isinstance(sound, Segment)]


def test_three_utterances_are_three_segments() -> None:
    """Each is closed by the silence behind it, in its place among the audio, and none overlaps another."""
    sounds = merged(ear().push(THREE))
    assert [type(sound) for sound in sounds] == [bytes, Segment] * 3 + [bytes]
    position_ms = 0
    for audio, segment in zip(sounds[::2], sounds[1::2], strict=False):
        assert isinstance(audio, bytes)
        assert isinstance(segment, Segment)
        begin_ms, position_ms = position_ms, position_ms + len(audio) // 32
        assert segment.closed_ms == position_ms
        assert segment.end_ms == segment.closed_ms - 500
        assert begin_ms <= segment.start_ms < segment.end_ms - 1000


@pytest.mark.parametrize("step_bytes", [1, 2, 7, 640, 1024, 1025, 3200, 100_000])
def test_cutting_changes_nothing(step_bytes: int) -> None:
    """Frames of 1,024 bytes, of one byte, of odd sizes and of seconds: the same segments in the same places."""
    assert merged(fed(ear(), THREE, step_bytes)) == merged(ear().push(THREE))


@given(cuts=st.lists(st.integers(0, len(CLIP)), max_size=6))
def test_cutting_anywhere_changes_nothing(cuts: list[int]) -> None:
    """The same, at any points."""
    listener = ear()
    edges = [0, *sorted(cuts), len(CLIP)]
    sounds = [sound for start, end in pairwise(edges) for sound in listener.push(CLIP[start:end])]
    assert merged(sounds) == merged(ear().push(CLIP))


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_every_rate(rate: int) -> None:
    """At every rate the same utterances are found, however they come, and all audio is passed on."""
    converter = transcoder(PCM_16K_MONO, AudioFormat("pcm_s16le", rate))
    pcm = converter.push(THREE) + converter.finish()
    sounds = fed(ear(rate), pcm, 1024)
    assert b"".join(sound for sound in sounds if isinstance(sound, bytes)) == pcm
    expected = segments(ear().push(THREE))
    found = segments(sounds)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        # Breath at the edges may be speech at one rate and none at another.
        assert other.start_ms < (one.start_ms + one.end_ms) // 2 < other.end_ms
    assert segments(fed(ear(rate), pcm, 6000)) == found


@pytest.mark.parametrize(
    "pcm", [b"", bytes(320_000), b"\x02\x00\xfe\xff" * 80_000], ids=["none", "zeros", "hum"]
)
def test_silence_is_nothing(pcm: bytes) -> None:
    """Silence, digital or with a faint hum, has no segments."""
    listener = ear()
    assert merged(fed(listener, pcm, 1024)) == ([pcm] if pcm else [])
    assert listener.finish() is None


def test_speech_is_announced_once_per_segment() -> None:
    """`Began` comes before its segment, with the position the segment will have."""
    sounds = [sound for sound in fed(ear(), THREE, 1024) if not isinstance(sound, bytes)]
    assert [type(sound) for sound in sounds] == [Began, Segment] * 3
    for began, segment in zip(sounds[::2], sounds[1::2], strict=True):
        assert isinstance(began, Began)
        assert isinstance(segment, Segment)
        assert began.start_ms == segment.start_ms
    assert [type(sound) for sound in ear().push(THREE) if not isinstance(sound, bytes)] == [
        Began,
        Segment,
    ] * 3


def test_the_end_closes_what_is_open() -> None:
    """Speech that nothing follows is a segment at the end, once."""
    listener = ear()
    speech = CLIP[: 2 * 32_000]
    assert segments(listener.push(speech)) == []
    last = listener.finish()
    assert last is not None
    assert (last.end_ms, last.closed_ms) == (2000, 2000)
    assert listener.finish() is None


def test_silence_that_ends_a_segment_can_be_chosen() -> None:
    """More patience joins utterances, less finds their ends sooner."""
    assert len(segments(ear(silence_ms=3000).push(THREE))) < 3
    quick, usual = segments(ear(silence_ms=200).push(THREE)), segments(ear().push(THREE))
    assert len(quick) >= len(usual)
    assert quick[0].closed_ms < usual[0].closed_ms


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_speech_is_heard_at_every_threshold(threshold: float) -> None:
    """From the loosest to the strictest, clear speech is one segment."""
    (segment,) = segments(ear(threshold=threshold).push(CLIP))
    assert segment.end_ms - segment.start_ms > 1000 + PADDING_MS
