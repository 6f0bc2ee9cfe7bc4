"""Raw audio that is something else is refused by name; sound of any kind is not."""

import io
import json
import struct
import wave
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from routeraudio.audio import sniff
from routeraudio.audio.g711 import EXPANSION
from routeraudio.audio.sniff import Sniffer
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault
from tests.audio.made import run

AUDIO = Path(__file__).parent.parent / "assets" / "audio"
CLIPS = sorted(AUDIO.glob("*.wav"))
S16 = AudioFormat("pcm_s16le", 16_000, 1)
RNG = np.random.default_rng(7)

Samples = NDArray[np.float64]


def clip(path: Path = CLIPS[0]) -> Samples:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)


def s16(samples: Samples) -> bytes:
    return np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()


def mulaw(samples: Samples) -> bytes:
    order = np.argsort(EXPANSION)
    places = np.searchsorted(EXPANSION[order], samples).clip(0, 255)
    return order[places].astype(np.uint8).tobytes()


def wav(samples: bytes, *, rate: int = 16_000, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setframerate(rate)
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.writeframes(samples)
    return file.getvalue()


def sniffed(data: bytes, audio: AudioFormat = S16, chunk_bytes: int = 1_000) -> bytes:
    """What is passed on."""
    sniffer, passed = Sniffer(audio), b""
    for start in range(0, len(data), chunk_bytes):
        chunk = data[start : start + chunk_bytes]
        passed += chunk if sniffer.is_done else sniffer.read(chunk)
    return passed + sniffer.end()


def noisy(samples: Samples, ratio_db: float) -> Samples:
    return samples + RNG.normal(0, np.sqrt((samples**2).mean() / 10 ** (ratio_db / 10)), len(samples))


SECONDS_10 = np.arange(160_000) / 16_000
SOUNDS = {
    "silence": np.zeros(160_000),
    "dither": RNG.integers(-1, 2, 160_000).astype(np.float64),
    "white noise": RNG.normal(0, 3000, 160_000),
    "quiet noise": RNG.normal(0, 60, 160_000),
    "loud noise": RNG.normal(0, 30_000, 160_000),
    "hum": 8000 * np.sin(2 * np.pi * 50 * SECONDS_10),
    "high tone": 8000 * np.sin(2 * np.pi * 7000 * SECONDS_10),
    "highest tone": 8000 * np.sin(2 * np.pi * 7999 * SECONDS_10),
    "chord": sum(
        (3000 * np.sin(2 * np.pi * hz * SECONDS_10) for hz in (220, 277, 330, 1760)), np.zeros(160_000)
    ),
    "clicks": 20_000.0 * (np.arange(160_000) % 4_000 == 0),
    "square": 10_000.0 * np.sign(np.sin(2 * np.pi * 100 * SECONDS_10)),
    "offset": np.full(160_000, 12_000.0),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_no_sound_is_refused(name: str) -> None:
    """Whatever it is: silence, noise, music, tones, and all of it passes byte for byte."""
    data = s16(SOUNDS[name])
    assert sniffed(data) == data
    coded = mulaw(SOUNDS[name])
    assert sniffed(coded, AudioFormat("pcm_mulaw", 8_000)) == coded


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.stem)
@pytest.mark.parametrize("how", ["clean", "quiet", "clipped", "15 dB", "5 dB", "0 dB", "-5 dB"])
def test_no_speech_is_refused(path: Path, how: str) -> None:
    """However it was recorded; at other rates, and in stereo, too."""
    samples = clip(path)
    if how.endswith("dB"):
        samples = noisy(samples, float(how.split()[0]))
    samples = samples * {"quiet": 1 / 30, "clipped": 20}.get(how, 1)
    data = s16(samples)
    assert sniffed(data) == data
    for rate in (8_000, 48_000):
        other = s16(soxr.resample(samples, 16_000, rate))
        assert sniffed(other, AudioFormat("pcm_s16le", rate)) == other
        coded = mulaw(soxr.resample(samples, 16_000, rate))
        assert sniffed(coded, AudioFormat("pcm_mulaw", rate)) == coded
    both = s16(np.column_stack([samples, samples[::-1]]).ravel())
    assert sniffed(both, AudioFormat("pcm_s16le", 16_000, 2)) == both


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.stem)
@pytest.mark.parametrize("ratio_db", [20, 10, 5, 0, -10])
@pytest.mark.parametrize("gain", [1 / 30, 1, 20])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_sound_that_is_like_something_else(path: Path, ratio_db: float, gain: float, rate: int) -> None:
    """Stereo with a silent side, or with unlike sides; eight bits made sixteen; noise, quiet and clipped."""
    samples = noisy(soxr.resample(clip(path), 16_000, rate), ratio_db) * gain
    silent = np.zeros_like(samples)
    for sides in ((samples, silent), (silent, samples), (samples, samples[::-1] / 9)):
        both = s16(np.column_stack(sides).ravel())
        assert sniffed(both, AudioFormat("pcm_s16le", rate, 2)) == both
    widened = s16((samples / 256).round() * 256)
    assert sniffed(widened, AudioFormat("pcm_s16le", rate)) == widened


def wrongs() -> dict[str, tuple[bytes, AudioFormat, str]]:
    """Bytes, what they are said to be, and what the refusal has to name."""
    samples = clip()
    floats = (samples / 32_768).astype("<f4").tobytes()
    ints = (samples * 65_536 + RNG.integers(0, 65_536, len(samples))).astype("<i4").tobytes()
    three = np.frombuffer(ints, np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    loud = samples * min(1.0, 20_000 / np.abs(samples).max())
    bytes8 = (loud / 256 + 128).round().clip(0, 255).astype(np.uint8).tobytes()
    raw = ("-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "pipe:0")
    coded = {
        kind: run(*raw, "-f", kind, "pipe:1", data=s16(samples)) for kind in ("alaw", "adts", "ac3", "mpegts")
    }
    return {
        "float in stereo": (np.repeat(samples / 32_768, 2).astype("<f4").tobytes(), S16, "32-bit float"),
        "double": ((np.repeat(samples, 2) / 32_768).astype("<f8").tobytes(), S16, "64-bit float"),
        "unsigned": ((samples + 32_768).astype("<u2").tobytes(), S16, "unsigned 16-bit"),
        "8 bits": (bytes8, S16, "8-bit samples"),
        "A-law": (coded["alaw"], S16, "A-law"),
        "a word of A-law": (coded["alaw"][8_000:24_000], S16, "A-law"),
        "AAC": (coded["adts"], S16, "AAC"),
        "AC-3": (coded["ac3"], S16, "AC-3"),
        "transport stream": (coded["mpegts"], S16, "transport stream"),
        "base64": (b64encode(s16(samples)), S16, "text"),
        "hexadecimal": (s16(samples).hex().encode(), S16, "text"),
        "JSON": (json.dumps({"audio": b64encode(s16(samples)).decode()}).encode(), S16, "text"),
        "float": (floats, S16, "32-bit float"),
        "int32": (ints, S16, "32-bit samples"),
        "int24": (three, S16, "24-bit"),
        "int24 behind silence": (bytes(3 * 20_011) + three, S16, "24-bit"),
        "big endian": (samples.astype(">i2").tobytes(), S16, "high byte first"),
        "shifted": (s16(samples)[1:], S16, "without their first byte"),
        "mulaw as s16": (mulaw(samples), S16, "pcm_mulaw"),
        "s16 as mulaw": (s16(samples), AudioFormat("pcm_mulaw", 8_000), "pcm_s16le"),
        "ogg": (b"OggS\x00\x02" + bytes(200), S16, "ogg_opus"),
        "webm": ((AUDIO / "mediarecorder.webm").read_bytes(), S16, "encoding=webm"),
        "flac": (b"fLaC" + bytes(200), S16, "FLAC"),
        "mp4": (b"\x00\x00\x00\x20ftypM4A " + bytes(200), S16, "MP4"),
        "id3": (b"ID3\x03" + bytes(200), S16, "encoding=mp3"),
        "mp3": ((b"\xff\xfb\x90\x64" + bytes(413)) * 3, S16, "encoding=mp3"),
        "wav of another rate": (wav(s16(samples), rate=44_100), S16, "sample_rate=44100"),
        "stereo wav": (wav(s16(samples), channels=2), S16, "channels=2"),
        "wav of 24 bits": (wav(three, width=3), S16, "24-bit"),
        "wav of bytes": (wav(mulaw(samples), width=1), S16, "8-bit"),
    }


WRONGS = wrongs()


@pytest.mark.parametrize("name", WRONGS)
@pytest.mark.parametrize("chunk_bytes", [1, 333, 100_000])
def test_what_is_something_else_is_refused_by_name(name: str, chunk_bytes: int) -> None:
    """In the first seconds, whatever pieces it comes in, and nothing of it is quoted."""
    data, audio, named = WRONGS[name]
    if chunk_bytes == 1:
        data = data[:100_000]
    with pytest.raises(ClientFault, match=named) as caught:
        sniffed(data, audio, chunk_bytes)
    assert (caught.value.code, caught.value.close_code) == ("audio_error", 1003)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 44, 45, 1_000])
def test_a_header_that_fits_is_left_out(chunk_bytes: int) -> None:
    """Whoever pipes a WAV file is served; also one with further chunks, or of unknown length."""
    samples = s16(clip())[:50_000]
    assert sniffed(wav(samples), chunk_bytes=chunk_bytes) == samples
    endless = bytearray(wav(samples))
    endless[4:8] = endless[40:44] = b"\xff\xff\xff\xff"
    assert sniffed(bytes(endless), chunk_bytes=chunk_bytes) == samples
    header, data = wav(samples)[:36], wav(samples)[36:]
    tags = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    assert sniffed(header + tags + data, chunk_bytes=chunk_bytes) == samples
    coded = mulaw(clip())[:50_000]
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 7, 1, 8_000, 8_000, 1, 8)
    file = b"RIFF" + bytes(4) + b"WAVE" + fmt + b"data" + bytes(4) + coded
    assert sniffed(file, AudioFormat("pcm_mulaw", 8_000), chunk_bytes) == coded


def test_a_header_in_every_message() -> None:
    """Would be a click twenty times a second: said at the second one."""
    sniffer = Sniffer(S16)
    sniffer.read(wav(s16(clip())[:6_400]))
    with pytest.raises(ClientFault, match="every message"):
        sniffer.read(wav(s16(clip())[6_400:12_800]))


def test_a_header_without_end() -> None:
    """Is not kept for ever."""
    with pytest.raises(ClientFault, match="header"):
        sniffed(b"RIFF" + bytes(4) + b"WAVE" + b"JUNK\xff\xff\xff\x7f" + bytes(100_000))


@pytest.mark.parametrize("data", [b"", b"R", b"RIF", b"RIFF", b"\x00", b"Og", b"\xff\xfb\x90"])
def test_short_audio_comes_through(data: bytes) -> None:
    """What was held is given back at the end."""
    assert sniffed(data) == data


def test_a_look_is_spread_over_messages_and_noise_is_looked_at_three_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messages: list[int] = []
    start, residue = 0, sniff.residue

    def counted(samples: NDArray[np.float32], channels: int) -> float:
        messages.append(start)
        return residue(samples, channels)

    monkeypatch.setattr(sniff, "residue", counted)
    sniffer, noise = Sniffer(S16), RNG.normal(0, 3_000, 16_000 * 12).astype("<i2").tobytes()
    for start in range(0, len(noise), 640):
        if not sniffer.is_done:
            sniffer.read(noise[start : start + 640])
    assert sniffer.is_done
    assert len(messages) == len(set(messages)) == sniff.LOOKS_MAX * len(sniff.CANDIDATES)


@pytest.mark.parametrize(
    ("beginning", "found"),
    [
        (b"RF64\xff\xff\xff\xffWAVE", "RF64"),
        (b"riff\x2e\x91\xcf\x11", "Wave64"),
        (b"caff\0\1\0\0", "CAF"),
        (b"#!AMR\n", "AMR"),
        (b"\x30\x26\xb2\x75\x8e\x66", "WMA"),
        (b'{"type":"audio","data":"', "JSON"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 5, 1000])
def test_further_beginnings_are_named(beginning: bytes, found: str, chunk_bytes: int) -> None:
    """However the bytes are cut."""
    with pytest.raises(ClientFault, match=found):
        sniffed(beginning + bytes(1000), chunk_bytes=chunk_bytes)
