"""Audio formats: bytes, samples and milliseconds."""

from typing import get_args

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from routeraudio.model.audio import (
    CHANNELS_MAX,
    ENCODINGS,
    PCM_16K_MONO,
    SAMPLE_RATES_HZ,
    AudioFormat,
    Encoding,
)

RAW = ("pcm_s16le", "pcm_mulaw")
CONTAINERS = ("ogg_opus", "webm", "mp3")


@pytest.mark.parametrize(
    ("audio", "per_step", "per_second"),
    [
        (AudioFormat("pcm_s16le", 16000), 2, 32_000),
        (AudioFormat("pcm_s16le", 48000, 2), 4, 192_000),
        (AudioFormat("pcm_s16le", 44100, 8), 16, 705_600),
        (AudioFormat("pcm_mulaw", 8000), 1, 8000),
        (AudioFormat("pcm_mulaw", 22050, 2), 2, 44_100),
    ],
)
def test_raw_audio_is_arithmetic(audio: AudioFormat, per_step: int, per_second: int) -> None:
    """Bytes per sampling instant and per second, over all channels."""
    assert audio.is_raw
    assert (audio.bytes_per_step, audio.bytes_per_second) == (per_step, per_second)


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_containers_are_not(encoding: Encoding) -> None:
    """A container's bytes say nothing about its duration."""
    audio = AudioFormat(encoding, 48000, 2)
    assert not audio.is_raw
    with pytest.raises(ValueError, match=f"{encoding} has no fixed number"):
        _ = audio.bytes_per_step
    with pytest.raises(ValueError, match=encoding):
        _ = audio.bytes_per_second
    with pytest.raises(ValueError, match=encoding):
        audio.duration_ms(100)


@pytest.mark.parametrize(
    ("audio", "length_bytes", "expected_ms"),
    [
        (PCM_16K_MONO, 0, 0),
        (PCM_16K_MONO, 31, 0),
        (PCM_16K_MONO, 32, 1),
        (PCM_16K_MONO, 639, 19),
        (PCM_16K_MONO, 640, 20),
        (AudioFormat("pcm_s16le", 44100), 88_199, 999),
        (AudioFormat("pcm_s16le", 44100), 88_200, 1000),
        (AudioFormat("pcm_mulaw", 22050), 22_050 * 3600 * 24, 86_400_000),
    ],
)
def test_durations(audio: AudioFormat, length_bytes: int, expected_ms: int) -> None:
    """Whole milliseconds, rounded down, exact for any length."""
    assert audio.duration_ms(length_bytes) == expected_ms


@given(
    st.sampled_from(RAW),
    st.sampled_from(SAMPLE_RATES_HZ),
    st.integers(1, CHANNELS_MAX),
    st.integers(0, 10**12),
)
def test_durations_are_off_by_less_than_a_millisecond(
    encoding: Encoding, sample_rate: int, channels: int, length_bytes: int
) -> None:
    """Rounding loses less than a millisecond, in integers all the way."""
    audio = AudioFormat(encoding, sample_rate, channels)
    duration_ms = audio.duration_ms(length_bytes)
    assert isinstance(duration_ms, int)
    assert duration_ms * audio.bytes_per_second <= length_bytes * 1000
    assert length_bytes * 1000 < (duration_ms + 1) * audio.bytes_per_second


def test_formats_are_values() -> None:
    """Formats compare and hash by what they say, cannot be changed, and read well in an error."""
    assert AudioFormat("pcm_s16le", 16000) == PCM_16K_MONO
    assert len({PCM_16K_MONO, AudioFormat("pcm_s16le", 16000, 1)}) == 1
    assert AudioFormat("pcm_s16le", 16000, 2) != PCM_16K_MONO
    with pytest.raises(AttributeError):
        PCM_16K_MONO.channels = 2  # type: ignore[misc]
    assert str(PCM_16K_MONO) == "pcm_s16le 16000 Hz mono"
    assert str(AudioFormat("webm", 48000, 2)) == "webm 48000 Hz 2 channels"


def test_what_clients_may_name() -> None:
    """The lists of the API reference, and every encoding either raw or a container."""
    assert get_args(Encoding) == ENCODINGS
    assert set(ENCODINGS) == {*RAW, *CONTAINERS}
    assert [name for name in ENCODINGS if AudioFormat(name, 16000).is_raw] == list(RAW)
    assert SAMPLE_RATES_HZ == (8000, 16000, 22050, 24000, 44100, 48000)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"encoding": "flac", "sample_rate": 16000}, AudioFormat)
