from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.audio.pcm import PcmDecoder, Steps, downmix
from routeraudio.model.audio import AudioFormat
from tests.audio.signals import cuts


@given(st.data(), st.integers(1, 16), st.binary(max_size=100))
def test_steps_are_whole(data: st.DataObject, bytes_per_step: int, audio: bytes) -> None:
    """However audio is cut, only whole instants come out, all of them, in order."""
    steps = Steps(bytes_per_step)
    out = [steps.whole(chunk) for chunk in data.draw(cuts(audio))]
    assert all(len(chunk) % bytes_per_step == 0 for chunk in out)
    assert b"".join(out) == audio[: len(audio) - len(audio) % bytes_per_step]


def test_steps_give_as_soon_as_they_can() -> None:
    """An instant comes out with the chunk that completes it."""
    steps = Steps(4)
    assert [steps.whole(chunk) for chunk in (b"abc", b"", b"d", b"efghi")] == [b"", b"", b"abcd", b"efgh"]


def test_whole_chunks_are_not_copied() -> None:
    """A chunk with nothing to carry is handed on as the same object."""
    chunk = bytes(640)
    decoder = PcmDecoder(AudioFormat("pcm_s16le", 16000, 2))
    assert decoder.push(chunk) is chunk


@given(st.integers(1, 8), st.data())
def test_downmix_is_the_exact_mean(channels: int, data: st.DataObject) -> None:
    """Every output sample is the mean of its channels, rounded to the nearest value, ties to even."""
    sample = st.integers(-32768, 32767)
    steps = data.draw(st.lists(st.lists(sample, min_size=channels, max_size=channels), max_size=40))
    mixed = np.frombuffer(downmix(np.array(steps, "<i2").tobytes(), channels), "<i2")
    assert mixed.tolist() == [round(Fraction(sum(step), channels)) for step in steps]


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("level", [-32768, 32767])
def test_downmix_does_not_clip(channels: int, level: int) -> None:
    """Full scale on all channels stays full scale."""
    assert (
        downmix(np.full(3 * channels, level, "<i2").tobytes(), channels) == np.full(3, level, "<i2").tobytes()
    )


@pytest.mark.parametrize("channels", range(2, 9))
def test_downmix_hears_every_channel(channels: int) -> None:
    """Each channel counts for its share, at its own instant."""
    steps = 840 * np.eye(channels, dtype="<i2")  # channel n speaks at instant n only; 840 divides by 1 to 8
    assert np.frombuffer(downmix(steps.tobytes(), channels), "<i2").tolist() == [840 // channels] * channels
