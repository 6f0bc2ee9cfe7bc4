import os
from itertools import product

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from routeraudio.audio.resample import Resampler
from routeraudio.model.audio import SAMPLE_RATES_HZ
from tests.audio.signals import band_noise, level_db, s16, samples, snr_db, tone, without_edges

PAIRS = [(source, target) for source, target in product(SAMPLE_RATES_HZ, repeat=2) if source != target]
DOWN = [(source, target) for source, target in PAIRS if source > target]
UP = [(source, target) for source, target in PAIRS if source < target]


def resampled(pcm: bytes, source_hz: int, target_hz: int, chunk_bytes: int = 1 << 30) -> bytes:
    """All of ``pcm``, in chunks."""
    resampler = Resampler(source_hz, target_hz)
    chunks = [pcm[start : start + chunk_bytes] for start in range(0, len(pcm), chunk_bytes)]
    return b"".join([*map(resampler.push, chunks), resampler.finish()])


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.85])
def test_a_tone_stays_that_tone(source_hz: int, target_hz: int, share: float) -> None:
    """A tone in the passband comes out at its frequency, phase and level, 60 dB above all else."""
    frequency_hz = share * min(source_hz, target_hz) / 2
    heard = samples(resampled(s16(tone(frequency_hz, source_hz, 0.5)), source_hz, target_hz))
    ideal = tone(frequency_hz, target_hz, 0.5)
    assert snr_db(without_edges(heard, target_hz), without_edges(ideal, target_hz)) > 60


@pytest.mark.parametrize(("source_hz", "target_hz"), DOWN)
def test_what_the_target_cannot_hold_is_gone(source_hz: int, target_hz: int) -> None:
    """Tones from just above the target's Nyquist frequency up leave no alias above -80 dB."""
    for frequency_hz in np.linspace(1.001 * target_hz / 2, 0.999 * source_hz / 2, 9):
        heard = samples(resampled(s16(tone(frequency_hz, source_hz, 0.1)), source_hz, target_hz))
        assert level_db(without_edges(heard, target_hz), 16000) < -80, frequency_hz


def test_12_khz_does_not_alias_at_16_khz() -> None:
    """The tone that would come out as 4 kHz, amid speech, is gone."""
    heard = samples(resampled(s16(tone(12000, 48000, 0.5)), 48000, 16000))
    assert level_db(without_edges(heard, 16000), 16000) < -80


@pytest.mark.parametrize(("source_hz", "target_hz"), UP)
def test_no_image_appears(source_hz: int, target_hz: int) -> None:
    """Upsampling puts nothing above the source's Nyquist frequency."""
    noise = band_noise(source_hz, 0.5, 0.45 * source_hz)
    spectrum = np.abs(np.fft.rfft(samples(resampled(s16(noise), source_hz, target_hz)))) ** 2
    is_image = np.fft.rfftfreq(len(noise) * target_hz // source_hz, 1 / target_hz) > 0.5 * source_hz
    assert spectrum[: len(is_image)][is_image].sum() < 1e-6 * spectrum.sum()


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_agrees_with_soxr(source_hz: int, target_hz: int) -> None:
    """An independent converter gives the same sound at the same place."""
    pcm = s16(band_noise(source_hz, 1, 0.43 * min(source_hz, target_hz)))
    reference = soxr.resample(samples(pcm), source_hz, target_hz, quality="VHQ")
    heard = samples(resampled(pcm, source_hz, target_hz))
    length = min(len(heard), len(reference))
    assert snr_db(heard[:length], reference[:length]) > 60


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_nothing_moves_on_the_timeline(source_hz: int, target_hz: int) -> None:
    """A click comes out at its own time, to the sample."""
    click = np.zeros(source_hz)
    click[source_hz // 2] = 20000
    heard = samples(resampled(s16(click), source_hz, target_hz))
    assert np.argmax(np.abs(heard)) == target_hz // 2


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_at_most_10_ms_are_held_back(source_hz: int, target_hz: int) -> None:
    """After every chunk of 20 ms, the first included, all but the last 10 ms have come out."""
    resampler = Resampler(source_hz, target_hz)
    out_bytes = 0
    for chunk in range(1, 100):
        out_bytes += len(resampler.push(bytes(2 * (source_hz // 50))))
        held_ms = 1000 * (chunk * (source_hz // 50) / source_hz - out_bytes / 2 / target_hz)
        assert 0 <= held_ms <= 10


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_length_is_exact(source_hz: int, target_hz: int) -> None:
    """n samples become the smallest number that lasts as long, even when n is shorter than the filter."""
    for length in (0, 1, 2, 47, 48, 49, 50, 97, 150, 441, 1001, 12345):
        out_bytes = len(resampled(bytes(2 * length), source_hz, target_hz))
        assert out_bytes == 2 * -(-length * target_hz // source_hz), length


@pytest.mark.parametrize(("source_hz", "target_hz"), [(44100, 16000), (8000, 16000)])
def test_an_hour_does_not_drift(source_hz: int, target_hz: int) -> None:
    """After an hour the length is exact and a click is where it was made (splits: see below)."""
    chunk, resampler = bytes(20 * source_hz), Resampler(source_hz, target_hz)
    last = np.zeros(10 * source_hz)
    last[5 * source_hz] = 20000
    length = sum(len(resampler.push(chunk)) // 2 for _ in range(359))
    tail = samples(resampler.push(s16(last)) + resampler.finish())
    assert length + len(tail) == 3600 * target_hz
    assert length + np.argmax(np.abs(tail)) == 3595 * target_hz


def test_20_ms_chunks_for_a_minute_are_one_chunk() -> None:
    """The usual way to send gives the bytes that one piece gives."""
    pcm = s16(band_noise(44100, 60, 20000))
    assert resampled(pcm, 44100, 16000, chunk_bytes=1764) == resampled(pcm, 44100, 16000)


@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 700), max_size=40), st.integers(0, 1 << 32))
@settings(deadline=None)
def test_splits_do_not_matter(pair: tuple[int, int], lengths: list[int], seed: int) -> None:
    """Chunks of any lengths, empty ones too, give the bytes that one piece gives."""
    noise = np.random.default_rng(seed).integers(-32768, 32768, sum(lengths)).astype("<i2").tobytes()
    resampler, start, out = Resampler(*pair), 0, []
    for length in lengths:
        out.append(resampler.push(noise[start : start + 2 * length]))
        start += 2 * length
    assert b"".join([*out, resampler.finish()]) == resampled(noise, *pair)


def test_loud_audio_saturates() -> None:
    """Where the filter overshoots full scale the value stays at full scale, and never wraps round."""
    square = np.where(np.arange(48000) // 24 % 2, 32767, -32768)
    heard = samples(resampled(s16(square), 48000, 16000))
    assert [heard.min(), heard.max()] == [-32768, 32767]
    assert np.array_equal(np.sign(heard[8:-8]), np.sign(square[::3][8:-8]))


def test_silence_stays_silent() -> None:
    """No dither: zeros come out as zeros."""
    assert not any(resampled(bytes(96000), 48000, 16000))


def test_no_threads_of_its_own() -> None:
    """A thousand sessions must not be a thousand threads."""
    before = len(os.listdir("/proc/self/task"))
    resamplers = [Resampler(48000, 16000) for _ in range(20)]
    for resampler in resamplers:
        resampler.push(bytes(1920))
    assert len(os.listdir("/proc/self/task")) == before
