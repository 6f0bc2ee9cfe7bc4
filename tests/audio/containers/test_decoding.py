"""All containers at once: what comes out of real files, whole, cut, long and in both layouts."""

import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat, Encoding
from tests.audio import written
from tests.audio.made import CONTAINERS, encoded, named, noise, reference
from tests.audio.signals import drained, level_db, s16, samples, snr_db, tone

FRAME_S = {"ogg_opus": 0.02, "webm": 0.02, "mp3": 0.072}
"""The longest frame: of Opus as it is made here, of MP3 576 samples at 8 kHz."""

SECONDS = 0.7


def heard(data: bytes, encoding: Encoding, target: AudioFormat = PCM_16K_MONO, step: int = 997) -> bytes:
    """What the transcoder makes of ``data``, fed in steps."""
    return drained(
        transcoder(named(encoding), target), [data[at : at + step] for at in range(0, len(data), step)]
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", SAMPLE_RATES_HZ)
@pytest.mark.parametrize("encoding", CONTAINERS)
def test_sounds_as_ffmpeg_decodes_it(encoding: Encoding, rate: int, channels: int) -> None:
    """From every source rate and layout the length is right within a frame, the sound 35 dB above what differs."""
    data = encoded(encoding, noise(rate, SECONDS, channels), rate, channels)
    ours, theirs = samples(heard(data, encoding)), samples(reference(encoding, data, 16000))
    assert abs(len(ours) - SECONDS * 16000) <= FRAME_S[encoding] * 16000
    length = min(len(ours), len(theirs))
    assert (
        -1 <= len(theirs) - len(ours) <= FRAME_S[encoding] * 16000
    )  # from a pipe it leaves MP3's padding in
    assert snr_db(ours[:length], theirs[:length]) > 35


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_two_channels_stay_two(encoding: Encoding) -> None:
    """A target of two channels gets both, each with its own sound, resampled."""
    data = encoded(encoding, noise(48000, SECONDS, 2), 48000, 2)
    target = AudioFormat("pcm_s16le", 16000, 2)
    out = drained(transcoder(AudioFormat(encoding, 8000, 2), target), [data])
    ours, theirs = samples(out).reshape(-1, 2), samples(reference(encoding, data, 16000, 2)).reshape(-1, 2)
    theirs = theirs[: len(ours)]
    assert all(snr_db(ours[:, channel], theirs[:, channel]) > 35 for channel in (0, 1))


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_one_channel_fills_a_target_of_two(encoding: Encoding) -> None:
    """Where the client has promised two and its header says one, both channels have it."""
    data = encoded(encoding, noise(48000, SECONDS), 48000)
    out = drained(transcoder(AudioFormat(encoding, 8000, 2), AudioFormat("pcm_s16le", 16000, 2)), [data])
    both = samples(out).reshape(-1, 2)
    assert np.array_equal(both[:, 0], both[:, 1])
    assert np.array_equal(both[:, 0], samples(heard(data, encoding)))


@pytest.mark.parametrize("target_hz", [24000, 48000])
@pytest.mark.parametrize("encoding", CONTAINERS)
def test_other_targets(encoding: Encoding, target_hz: int) -> None:
    """Also at the rate it was decoded at, where nothing is resampled, full scale is full scale."""
    data = encoded(encoding, noise(48000, SECONDS), 48000)
    ours = samples(heard(data, encoding, AudioFormat("pcm_s16le", target_hz)))
    assert snr_db(ours, samples(reference(encoding, data, target_hz))[: len(ours)]) > 35


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_nothing_folds_down(encoding: Encoding) -> None:
    """A tone of 11 kHz leaves nothing above -60 dB at 16 kHz."""
    data = encoded(encoding, s16(tone(11000, 48000, 1)), 48000, 1, "-b:a", "256k")
    out = samples(heard(data, encoding))
    assert level_db(out[4000:-4000], 16000) < -60


@pytest.mark.parametrize("encoding", CONTAINERS)
@pytest.mark.parametrize("is_live", [False, True])
def test_any_of_a_thousand_splits_gives_the_same(encoding: Encoding, is_live: bool) -> None:
    """Files and streams, cut at random bytes, give identical samples and count the same time."""
    data = encoded(encoding, noise(16000, 0.15), 16000, 1, is_live=is_live)
    whole = heard(data, encoding, step=len(data))
    ms = set()
    chance = random.Random(4)
    for number in range(500):
        places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((1, 3, 10, 40))))
        converter, passing = (
            transcoder(named(encoding), PCM_16K_MONO),
            transcoder(named(encoding), named(encoding)),
        )
        chunks = [data[start:end] for start, end in pairwise([0, *places, len(data)])]
        assert drained(converter, chunks) == whole
        passed = drained(passing, chunks)
        ms.add((converter.source_ms, passing.source_ms))
        if number % 10 == 0:
            # Written anew, and the same to whoever reads it.
            assert heard(passed, encoding, step=len(passed)) == whole
    assert len(ms) == 1


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_byte_by_byte(encoding: Encoding) -> None:
    """The finest split of all."""
    data = encoded(encoding, noise(16000, 0.15), 16000)
    assert heard(data, encoding, step=1) == heard(data, encoding)


@pytest.mark.parametrize("encoding", CONTAINERS)
@pytest.mark.parametrize("is_live", [False, True])
def test_clicks_keep_their_places(encoding: Encoding, is_live: bool) -> None:
    """Pre-skip, encoder, decoder and resampler together shift nothing by more than 20 ms."""
    clicks = np.zeros(3 * 44100)
    for second in (0.5, 1.5, 2.5):
        at = int(second * 44100)
        clicks[at : at + 40] = 20000 * np.hanning(40)
    data = encoded(encoding, s16(clicks), 44100, 1, "-b:a", "128k", is_live=is_live)
    out = np.abs(samples(heard(data, encoding)))
    for second in (0.5, 1.5, 2.5):
        start = int((second - 0.25) * 16000)
        assert abs((start + np.argmax(out[start : start + 8000])) / 16000 - second) <= 0.020


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_the_first_packet_is_heard_at_once(encoding: Encoding) -> None:
    """Samples come with the end of the first packet (MP3: with the start of the next), not with a page or a probe."""
    data = encoded(encoding, noise(48000, 2), 48000, is_live=True)
    whole = drained(transcoder(named(encoding), PCM_16K_MONO), [data])
    converter, taken, out = transcoder(named(encoding), PCM_16K_MONO), 0, b""
    while not out:
        out = converter.push(data[taken : taken + 1])
        taken += 1
    passing = transcoder(named(encoding), named(encoding))
    passing.push(data[:taken])
    assert passing.source_ms <= 60
    assert whole.startswith(out)


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_an_hour_has_its_exact_length(encoding: Encoding) -> None:
    """Counted in passing, and decoded, no sample is lost or made up."""
    passing, converter = (
        transcoder(named(encoding), named(encoding)),
        transcoder(named(encoding), PCM_16K_MONO),
    )
    length = 0
    for chunk in hour(encoding):
        for through in (passing, converter):
            out = through.push(chunk)
            while through.has_more:
                out += through.push(b"")
            length += len(out) // 2 if through is converter else 0
    length += len(converter.finish()) // 2
    rate, skip = (8000, 529 + 576) if encoding == "mp3" else (48000, 312)
    assert length == -(-(3600 * rate - skip) * 16000 // rate)
    ms = (3600 * rate - skip) * 1000 // rate
    assert (passing.source_ms, converter.source_ms) == (ms, ms)


def hour(encoding: Encoding) -> Iterator[bytes]:
    """3600 s of silence, in chunks of less than a second."""
    silence = b"\xf8\xff\xfe"  # 20 ms of Opus
    if encoding == "mp3":
        frame = b"\xff\xe3\x18\xc4" + bytes(68)  # MPEG 2.5, 8 kHz, 8 kbit/s: 72 ms
        yield from (frame * 10 for _ in range(5000))
    elif encoding == "webm":
        blocks = written.element(0xA3, written.block([silence])) * 25
        yield written.webm_head()
        yield from (written.cluster(500 * number) + blocks for number in range(7200))
    else:
        yield from written.ogg_pages([])
        for number in range(1, 7201):
            yield written.page([silence] * 25, number=number + 1, granule=24000 * number)
