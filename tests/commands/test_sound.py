"""Audio sources: what reaches the daemon is what the file holds."""

import os
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from routeraudio.commands.errors import USAGE, Trouble
from routeraudio.commands.sound import Microphone, RawInput, Sound, opened
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat


def tone(rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    """A 440 Hz tone, (samples, channels), int16."""
    times = np.arange(int(rate * seconds)) / rate
    return np.repeat((np.sin(2 * np.pi * 440 * times) * 12_000).astype("<i2")[:, None], channels, axis=1)


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def encode(path: Path, codec: str, rate: int, seconds: float) -> None:
    """Write a tone with FFmpeg."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(rate, seconds).T, format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def everything(sound: Sound, chunk_ms: int = 100) -> bytes:
    return b"".join(iter(lambda: sound.read(chunk_ms), b""))


def pitch(pcm: bytes, rate: int) -> float:
    """The strongest frequency, Hz."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (8000, 2), (44_100, 1), (22_050, 8)])
def test_wav_is_sent_as_it_is(tmp_path: Path, rate: int, channels: int) -> None:
    """16-bit PCM at a rate the daemon takes leaves untouched, in whole sampling steps."""
    samples = tone(rate, 0.57, channels)
    write_wav(tmp_path / "a.wav", samples, rate)
    sound = opened(str(tmp_path / "a.wav"))
    assert sound.format == AudioFormat("pcm_s16le", rate, channels)
    assert sound.duration_s == pytest.approx(0.57, abs=0.001)
    assert len(first := sound.read(100)) == rate // 10 * 2 * channels
    assert first + everything(sound, 70) == samples.tobytes()


def test_a_wav_header_that_claims_hours(tmp_path: Path) -> None:
    """A header from a stream of unknown length is not believed about the duration."""
    path = tmp_path / "a.wav"
    write_wav(path, tone(16_000, 1.0), 16_000)
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    sound = opened(str(path))
    assert sound.duration_s == pytest.approx(1.0, abs=0.01)
    assert len(everything(sound)) == 32_000


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.wav", "pcm_s16le", 11_025),
        ("a.wav", "pcm_s24le", 16_000),
        ("a.wav", "pcm_mulaw", 8000),
        ("a.flac", "flac", 44_100),
        ("a.mp3", "libmp3lame", 44_100),
        ("a.ogg", "libopus", 48_000),
        ("a.m4a", "aac", 48_000),
    ],
)
def test_other_files_are_decoded(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    """Anything FFmpeg reads becomes 16 kHz mono PCM of the same length and pitch."""
    encode(tmp_path / name, codec, rate, 2.0)
    sound = opened(str(tmp_path / name))
    assert sound.format == PCM_16K_MONO
    pcm = everything(sound)
    assert len(pcm) / 32_000 == pytest.approx(2.0, abs=0.1)
    assert pitch(pcm, 16_000) == pytest.approx(440, abs=2)


def test_what_is_no_audio(tmp_path: Path) -> None:
    """Text, folders, missing files and playlists are usage errors that name the file."""
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "a.sdp").write_text("v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n")
    (tmp_path / "empty").touch()
    for name in ("a.txt", "a.m3u8", "a.sdp", "empty", "none.wav", "."):
        with pytest.raises(Trouble) as caught:
            opened(str(tmp_path / name))
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert caught.value.exit_code == USAGE


def test_a_file_without_sound(tmp_path: Path) -> None:
    """A picture is refused in words."""
    with av.open(str(tmp_path / "a.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), "uint8"), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(Trouble, match="there is no audio in this file"):
        opened(str(tmp_path / "a.png"))


def test_raw_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is read as it comes, up to a chunk at a time."""
    read, write = os.pipe()
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(write, b"x" * 200)
        os.close(write)
        sound = RawInput(AudioFormat("pcm_mulaw", 8000))
        assert sound.read(20) == b"x" * 160
        assert everything(sound, 20) == b"x" * 40


def test_the_microphone_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says how to get it."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(Trouble, match=r"pip install 'routeraudio\[microphone\]'"):
        Microphone()
