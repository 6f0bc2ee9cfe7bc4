from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeraudio.audio import catalog
from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO, SAMPLE_RATES_HZ, AudioFormat, Encoding
from routeraudio.model.errors import ClientFault
from tests.audio.signals import band_noise, cuts, passed, s16, samples, snr_db, tone, without_edges

PCM_24K_MONO = AudioFormat("pcm_s16le", 24000)
RAW_SOURCES = [
    AudioFormat(encoding, sample_rate, channels)
    for encoding, sample_rate, channels in product(catalog.DECODERS, SAMPLE_RATES_HZ, (1, 2, 3, 8))
    if encoding in ("pcm_s16le", "pcm_mulaw")
]
TARGETS = [PCM_16K_MONO, PCM_24K_MONO]


def name(value: object) -> str:
    return str(value).replace(" ", "-")


@pytest.mark.parametrize("source", RAW_SOURCES, ids=name)
def test_passthrough_hands_on_the_same_object(source: AudioFormat) -> None:
    """Equal formats cost nothing: whole chunks are not even copied."""
    same = transcoder(source, source)
    chunk = bytes(source.bytes_per_second // 50 // source.bytes_per_step * source.bytes_per_step)
    assert same.is_passthrough
    assert same.push(chunk) is chunk
    assert same.finish() == b""


@given(st.sampled_from(RAW_SOURCES), st.binary(max_size=200), st.data())
def test_passthrough_never_splits_a_sample(source: AudioFormat, audio: bytes, data: st.DataObject) -> None:
    """The upstream sees whole instants in every chunk, and all of them."""
    same = transcoder(source, source)
    out = [same.push(chunk) for chunk in data.draw(cuts(audio))]
    assert all(len(chunk) % source.bytes_per_step == 0 for chunk in out)
    assert b"".join(out) == audio[: len(audio) - len(audio) % source.bytes_per_step]
    assert same.finish() == b""


@settings(deadline=None)
@given(st.sampled_from(RAW_SOURCES), st.sampled_from(TARGETS), st.binary(max_size=3000), st.data())
def test_splits_do_not_matter(
    source: AudioFormat, target: AudioFormat, audio: bytes, data: st.DataObject
) -> None:
    """Any cut of the same bytes, odd bytes and empty chunks included, gives the same bytes."""
    whole = passed(transcoder(source, target), [audio])
    assert passed(transcoder(source, target), data.draw(cuts(audio))) == whole


@pytest.mark.parametrize("target", TARGETS, ids=name)
@pytest.mark.parametrize("source", RAW_SOURCES, ids=name)
def test_length_is_exact(source: AudioFormat, target: AudioFormat) -> None:
    """n instants become ⌈n · target / source⌉ samples; an unfinished instant at the end is dropped."""
    audio = bytes(source.bytes_per_second // 10 + 1)
    instants = len(audio) // source.bytes_per_step
    samples_out = -(-instants * target.sample_rate // source.sample_rate)
    assert len(passed(transcoder(source, target), [audio])) == 2 * samples_out


@pytest.mark.parametrize("channels", range(1, 9))
def test_all_channels_are_heard(channels: int) -> None:
    """Every channel's own tone comes out at its share of the level, resampled after mixing."""
    tones = [tone(300 * (number + 1), 48000, 0.5, amplitude=9000) for number in range(channels)]
    source = AudioFormat("pcm_s16le", 48000, channels)
    heard = samples(passed(transcoder(source, PCM_16K_MONO), [s16(np.stack(tones, axis=1))]))
    ideal = np.mean([tone(300 * (number + 1), 16000, 0.5, 9000) for number in range(channels)], axis=0)
    assert snr_db(without_edges(heard, 16000), without_edges(ideal, 16000)) > 60


def test_a_telephone_call_comes_out_as_pcm() -> None:
    """8 kHz mu-law becomes 16 kHz PCM within the quantisation noise of mu-law, about 35 dB."""
    speech = band_noise(8000, 0.5, 3400)
    encoded = _mulaw(speech)
    heard = samples(passed(transcoder(AudioFormat("pcm_mulaw", 8000), PCM_16K_MONO), [encoded]))
    ideal = samples(passed(transcoder(AudioFormat("pcm_s16le", 8000), PCM_16K_MONO), [s16(speech)]))
    assert snr_db(heard, ideal) > 35


def _mulaw(signal: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    """The nearest code for every sample, by looking at all 256."""
    codes = np.frombuffer(
        catalog.DECODERS["pcm_mulaw"](AudioFormat("pcm_mulaw", 8000)).push(bytes(range(256))), "<i2"
    )
    return bytes(np.abs(signal[:, None] - codes[None, :]).argmin(axis=1).astype(np.uint8))


@pytest.mark.parametrize("target", TARGETS, ids=name)
@pytest.mark.parametrize("source", RAW_SOURCES, ids=name)
def test_no_audio_gives_no_audio(source: AudioFormat, target: AudioFormat) -> None:
    """A session without a single sample ends without one."""
    assert passed(transcoder(source, target), []) == b""
    assert passed(transcoder(source, target), [b"", b""]) == b""


@pytest.mark.parametrize("source", [PCM_16K_MONO, AudioFormat("pcm_s16le", 48000)], ids=name)
def test_audio_after_finish_is_our_mistake(source: AudioFormat) -> None:
    """A finished transcoder takes nothing more."""
    finished = transcoder(source, PCM_16K_MONO)
    finished.finish()
    with pytest.raises(AssertionError):
        finished.push(b"")
    with pytest.raises(AssertionError):
        finished.finish()


@pytest.mark.parametrize(
    "target",
    [AudioFormat("pcm_mulaw", 16000), AudioFormat("pcm_s16le", 16000, 2), AudioFormat("pcm_s16le", 96000)],
    ids=name,
)
def test_impossible_targets_are_named(target: AudioFormat) -> None:
    """An adapter that asks for what nothing converts to hears both formats."""
    with pytest.raises(ValueError, match="cannot convert pcm_s16le 48000 Hz mono to"):
        transcoder(AudioFormat("pcm_s16le", 48000), target)


def test_a_source_that_cannot_be_decoded_is_the_clients() -> None:
    """The factory refuses what `catalog.check` refuses."""
    with pytest.raises(ClientFault, match="sample rate"):
        transcoder(AudioFormat("pcm_s16le", 1), PCM_16K_MONO)


class HeaderDecoder:
    """A container in miniature: the first byte is the rate in kHz, the rest PCM; it holds two bytes back."""

    is_float = False
    has_more = False
    source_ms = 0

    def __init__(self, source: AudioFormat) -> None:
        self.pcm: AudioFormat | None = None
        self._held = b""

    def push(self, data: bytes) -> bytes:
        if self.pcm is None and data:
            self.pcm, data = AudioFormat("pcm_s16le", 1000 * data[0]), data[1:]
        ready, self._held = (self._held + data)[:-2], (self._held + data)[-2:]
        return ready

    def finish(self) -> bytes:
        return self._held


def test_a_decoder_may_learn_its_rate_from_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's own rate counts, not the client's, and what its decoder held back comes out."""
    monkeypatch.setitem(catalog.DECODERS, "mp3", HeaderDecoder)
    pcm = s16(tone(1000, 48000, 0.1))
    out = passed(transcoder(AudioFormat("mp3", 16000), PCM_16K_MONO), [b"", b"\x30", pcm[:1000], pcm[1000:]])
    assert out == passed(transcoder(AudioFormat("pcm_s16le", 48000), PCM_16K_MONO), [pcm])


@pytest.mark.parametrize("encoding", catalog.DEMUXERS)
def test_a_container_that_never_came_ends_quietly(encoding: Encoding) -> None:
    """When there were no bytes there is nothing to finish, and nobody to blame."""
    assert passed(transcoder(AudioFormat(encoding, 16000), PCM_16K_MONO), [b""]) == b""


@pytest.mark.parametrize("source", [s for s in RAW_SOURCES if s.channels > 1], ids=name)
def test_as_many_channels_as_the_source(source: AudioFormat) -> None:
    """A target with the source's channels keeps them apart: each comes out as it would alone."""
    mono = AudioFormat(source.encoding, source.sample_rate)
    voices = [
        np.random.default_rng(seed).integers(
            0, 256, source.bytes_per_second // source.channels // 5, np.uint8
        )
        for seed in range(source.channels)
    ]
    width = mono.bytes_per_step
    together = np.stack([voice.reshape(-1, width) for voice in voices], axis=1).tobytes()
    target = AudioFormat("pcm_s16le", 16000, source.channels)
    out = np.frombuffer(passed(transcoder(source, target), [together[:9], together[9:]]), "<i2")
    for channel, voice in enumerate(voices):
        alone = passed(transcoder(mono, PCM_16K_MONO), [voice.tobytes()])
        assert out[channel :: source.channels].tobytes() == alone


@pytest.mark.parametrize("source", RAW_SOURCES[:8], ids=name)
def test_source_time_is_counted_by_samples(source: AudioFormat) -> None:
    """Converted or not, what went in is counted in whole milliseconds, and a new connection may begin anywhere."""
    for target in (source, PCM_16K_MONO):
        converter = transcoder(source, target)
        for _ in range(3):
            converter.push(bytes(source.bytes_per_second // 10))
        assert (converter.source_ms, converter.has_more) == (300, False)
        assert converter.resumed_ms == 0
        assert converter.restart() == b""
        assert converter.resumed_ms == 300
