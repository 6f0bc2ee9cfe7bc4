"""Many channels into one: the exact mean, but for channels whose mean would be silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeraudio.audio import pcm
from routeraudio.audio.downmix import WARNED_MS, WARNING, Downmix
from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat, Encoding
from tests.audio.made import encoded, named
from tests.audio.signals import Samples, band_noise, cuts, drained, s16, samples, snr_db, tone

RATE = 16_000
START = RATE // 50
"""One window, after which the first decision is made."""


def voice(seed: int = 1, seconds: float = 2.0, rate: int = RATE) -> Samples:
    return band_noise(rate, seconds, 3400, seed)


def together(*channels: Samples) -> bytes:
    return s16(np.stack(channels, axis=1).ravel())


def down(data: bytes, channels: int = 2) -> tuple[bytes, tuple[str, ...]]:
    downmix = Downmix(channels, RATE, is_float=False)
    return downmix.push(data), downmix.warnings


ORDINARY = {
    "the same twice": (voice(), voice()),
    "two speakers": (voice(), voice(2)),
    "one is silent": (voice(), 0 * voice()),
    "one is much louder": (voice(), 0.05 * voice(2)),
    "one is a little late": (voice(), np.roll(voice(), 8)),
    "partly inverted": (voice(), 0.5 * voice(2) - 0.4 * voice()),
    "one is inverted and quiet": (voice(), -0.2 * voice()),
    "silence": (0 * voice(), 0 * voice()),
    "eight, one of them sounds": (voice(), *[0 * voice()] * 7),
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_channels_are_mixed(case: str) -> None:
    """Sample for sample, and without a warning."""
    channels = ORDINARY[case]
    data = together(*channels)
    assert down(data, len(channels)) == (pcm.downmix(data, len(channels)), ())


CANCELLED = {
    "inverted": (voice(), -voice()),
    "inverted, not so loud": (voice(), -0.7 * voice()),
    "inverted, louder": (0.7 * voice(), -voice()),
    "inverted, with noise": (voice(), -voice() + 0.2 * voice(2)),
    "inverted, and quiet": (0.04 * voice(), -0.04 * voice()),
    "a tone": (tone(440, RATE, 2.0), -tone(440, RATE, 2.0)),
    "four, of two pairs": (voice(), -voice(), voice(2), -voice(2)),
}


@pytest.mark.parametrize("case", CANCELLED)
def test_the_loudest_stands_for_channels_that_cancel(case: str) -> None:
    """From the second window on, with a warning."""
    channels = CANCELLED[case]
    out, warnings = down(together(*channels), len(channels))
    heard = samples(out)[START:]
    loud = max(float(np.std(channel)) for channel in channels)
    wanted = [channel[START:] for channel in channels if np.std(channel) > 0.95 * loud]
    assert max(snr_db(heard, channel) for channel in wanted) > 25
    assert warnings == (WARNING,)


def test_channels_may_begin_to_cancel_and_cease() -> None:
    """A level lower, too: what was before is forgotten within a second."""
    good, bad = together(voice(), voice()), together(0.1 * voice(), -0.1 * voice())
    out, warnings = down(good + bad + good)
    second = 2 * RATE
    assert snr_db(samples(out[: 4 * RATE]), voice()) > 25
    assert snr_db(samples(out)[second + RATE : 2 * second], 0.1 * voice()[RATE:]) > 25
    assert snr_db(samples(out)[2 * second + RATE :], voice()[RATE:]) > 25
    assert warnings == (WARNING,)


def test_a_short_chance_is_no_warning() -> None:
    """Less than a second of it."""
    short = int((WARNED_MS - 200) / 1000 * RATE)
    assert down(together(voice()[:short], -voice()[:short]))[1] == ()


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([*ORDINARY.values(), *CANCELLED.values()]), st.booleans(), st.data())
def test_splits_do_not_matter(channels: tuple[Samples, ...], is_float: bool, data: st.DataObject) -> None:
    """Whole instants, cut anywhere."""
    audio = together(*[channel[:3000] for channel in channels])
    if is_float:
        audio = (np.frombuffer(audio, "<i2") / np.float32(32768)).astype(np.float32).tobytes()
    steps = pcm.Steps(len(channels) * (4 if is_float else 2))
    one, many = (Downmix(len(channels), RATE, is_float=is_float) for _ in range(2))
    chunks = [steps.whole(chunk) for chunk in data.draw(cuts(audio))]
    assert b"".join(map(many.push, chunks)) == one.push(audio)


@pytest.mark.parametrize("encoding", ["pcm_s16le", "ogg_opus", "webm", "mp3"])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_every_encoding_is_heard(encoding: Encoding, rate: int) -> None:
    """Raw and decoded, with and without resampling."""
    data = together(voice(rate=rate), -voice(rate=rate))
    source = AudioFormat("pcm_s16le", rate, 2)
    if encoding != "pcm_s16le":
        data, source = encoded(encoding, data, rate, 2), named(encoding)
    converter = transcoder(source, PCM_16K_MONO)
    heard = samples(drained(converter, [data[at : at + 3000] for at in range(0, len(data), 3000)]))
    assert np.std(heard) > 0.8 * np.std(voice())
    assert converter.warnings == (WARNING,)


def test_a_later_stream_of_a_chain_is_heard() -> None:
    """Mono first, then stereo that cancels."""
    mono = encoded("ogg_opus", s16(voice(rate=48_000)), 48_000)
    stereo = encoded("ogg_opus", together(voice(rate=48_000), -voice(rate=48_000)), 48_000, 2)
    heard = samples(drained(transcoder(named("ogg_opus"), PCM_16K_MONO), [mono + stereo]))
    assert np.std(heard[5 * RATE // 2 :]) > 0.8 * np.std(voice())
