"""Speech and silence in audio time."""

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.audio.transcode import transcoder
from routeraudio.audio.vad import (
    FRAME_MS,
    SILENCE_MS_MIN,
    UTTERANCE_MS_LONG,
    UTTERANCE_MS_MAX,
    Endpointer,
    Utterance,
)
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat

AUDIO = Path(__file__).parent.parent / "assets" / "audio"

PCM_8K = AudioFormat("pcm_s16le", 8000)
PCM_24K = AudioFormat("pcm_s16le", 24_000)
MULAW = AudioFormat("pcm_mulaw", 8000)

LOUD = b"\x01\x00" * (8000 * FRAME_MS // 1000)
QUIET = bytes(len(LOUD))


class LoudIsSpeech:
    """A detector that calls everything but zeros speech."""

    def is_speech(self, buf: bytes, sample_rate: int) -> bool:
        assert len(buf) == 2 * sample_rate * FRAME_MS // 1000
        return any(buf)


def endpointer(silence_ms: int = 500) -> Endpointer:
    return Endpointer(PCM_8K, silence_ms=silence_ms, detector=LoudIsSpeech())


def frames(*parts: tuple[bytes, int]) -> bytes:
    """(frame, milliseconds) one after the other."""
    return b"".join(frame * (length_ms // FRAME_MS) for frame, length_ms in parts)


def clip(audio: AudioFormat) -> bytes:
    """ "go forward ten meters", silence around it: 2.8 s, then a second of nothing."""
    with wave.open(str(AUDIO / "goforward.wav")) as file:
        pcm = file.readframes(file.getnframes()) + bytes(32_000)
    converter = transcoder(PCM_16K_MONO, audio)
    return converter.push(pcm) + converter.finish()


@pytest.mark.parametrize("audio", [PCM_8K, PCM_16K_MONO, PCM_24K, AudioFormat("pcm_s16le", 48_000)], ids=str)
def test_real_speech_at_every_rate(audio: AudioFormat) -> None:
    """Speech is found in its place, whatever the rate, and closed by the silence that was asked for."""
    (utterance,) = Endpointer(audio, silence_ms=500).push(clip(audio))
    assert 350 <= utterance.start_ms <= 650
    assert 2000 <= utterance.end_ms <= 2500
    assert utterance.closed_ms == utterance.end_ms + 500
    assert utterance.is_over


def test_real_speech_in_mulaw() -> None:
    """mu-law is heard as what it means."""
    samples = np.frombuffer(clip(PCM_8K), "<i2").astype(np.float64) / 32768
    curve = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)
    codes = (127 - np.minimum(np.abs(curve) * 128, 127)).astype(np.uint8) | np.where(
        samples < 0, 0, 0x80
    ).astype(np.uint8)
    (utterance,) = Endpointer(MULAW, silence_ms=500).push(codes.tobytes())
    assert 350 <= utterance.start_ms <= 650
    assert 2000 <= utterance.end_ms <= 2500


@given(cuts=st.lists(st.integers(0, 182_000), max_size=20))
def test_cutting_changes_nothing(cuts: list[int]) -> None:
    """The same audio gives the same utterances, however it is cut, also through the middle of samples."""
    audio = clip(PCM_24K)
    listening = Endpointer(PCM_24K, silence_ms=300)
    pieces = [audio[start:end] for start, end in pairwise([0, *sorted(cuts), len(audio)])]
    heard = [utterance for piece in pieces for utterance in listening.push(piece)]
    assert heard == Endpointer(PCM_24K, silence_ms=300).push(audio)


@pytest.mark.parametrize(
    ("silence_ms", "wait_ms"), [(0, SILENCE_MS_MIN), (210, 220), (500, 500), (10_000, 10_000)]
)
def test_the_silence_that_closes(silence_ms: int, wait_ms: int) -> None:
    """Whole frames of silence close an utterance, never fewer than occur inside words."""
    listening = endpointer(silence_ms)
    assert listening.push(frames((QUIET, 1000), (LOUD, 1000), (QUIET, wait_ms - FRAME_MS))) == []
    assert listening.start_ms == 1000
    assert listening.push(QUIET) == [Utterance(1000, 2000, 2000 + wait_ms)]
    assert listening.start_ms is None


def test_a_click_is_no_utterance_but_perhaps_a_word() -> None:
    """200 of 300 ms open an utterance; from 120 ms on something may have been said."""
    listening = endpointer()
    assert listening.push(frames((LOUD, 100), (QUIET, 900))) == []
    assert (listening.start_ms, listening.spoken_ms) == (None, 0)
    listening.push(frames((LOUD, 180), (QUIET, 820)))
    assert (listening.start_ms, listening.spoken_ms) == (None, 1180)
    listening.push(frames((LOUD, 200)))
    assert listening.start_ms == 2000


def test_quiet_means_that_nobody_begins() -> None:
    """One frame of speech may be the first of many."""
    listening = endpointer()
    assert listening.is_quiet
    listening.push(LOUD)
    assert not listening.is_quiet
    listening.push(frames((QUIET, 300)))
    assert listening.is_quiet


def test_a_cut_begins_another_utterance() -> None:
    """What was cut off is not told again; what follows is an utterance of its own."""
    listening = endpointer()
    listening.push(frames((LOUD, 1000)))
    listening.cut()
    assert listening.push(frames((LOUD, 400), (QUIET, 500))) == [Utterance(1000, 1400, 1900)]
    listening.push(frames((LOUD, 1000)))
    listening.cut()
    assert listening.push(frames((QUIET, 2000))) == []
    assert listening.start_ms is None
    listening.cut()
    assert listening.start_ms is None


def test_long_utterances() -> None:
    """Steady noise is cut every thirty seconds; a long speaker is cut at the first small pause."""
    noise = endpointer().push(frames((LOUD, 2 * UTTERANCE_MS_MAX)))
    assert noise == [
        Utterance(0, UTTERANCE_MS_MAX, UTTERANCE_MS_MAX, is_over=False),
        Utterance(UTTERANCE_MS_MAX, 2 * UTTERANCE_MS_MAX, 2 * UTTERANCE_MS_MAX, is_over=False),
    ]
    speech = frames((LOUD, UTTERANCE_MS_LONG), (QUIET, SILENCE_MS_MIN))
    assert [each.closed_ms for each in endpointer(1000).push(speech)] == [UTTERANCE_MS_LONG + SILENCE_MS_MIN]


@pytest.mark.parametrize(
    "audio",
    [AudioFormat("pcm_s16le", 44_100), AudioFormat("pcm_s16le", 16_000, 2), AudioFormat("webm", 48_000)],
    ids=str,
)
def test_formats_that_nobody_hears(audio: AudioFormat) -> None:
    """Other rates, several channels and containers are our own mistake."""
    with pytest.raises(ValueError, match="use mono at"):
        Endpointer(audio, silence_ms=500)
