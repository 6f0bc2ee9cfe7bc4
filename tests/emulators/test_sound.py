"""Decoding what clients send, against numpy's own arithmetic and files made by FFmpeg."""

import av
import numpy as np
import pytest
import trio

from routeraudio.emulators.kit.sound import (
    Container,
    ContainerFormat,
    Format,
    PacketFormat,
    RawFormat,
    Undecodable,
    open_sound,
    sniff,
)
from tests.emulators.helping import chunks, clip, encoded

ALL: tuple[Container, ...] = ("matroska", "ogg", "wav", "mp3", "flac", "aac", "mov")
TONE = (np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000) * 8000).astype("<i2")


async def decode(format_: Format, messages: list[bytes]) -> list[bytes]:
    with trio.fail_after(30):
        async with open_sound(format_) as sound:
            parts = [await sound.push(message) for message in messages]
            parts.append(await sound.finish())
    return [b"".join(track) for track in zip(*parts, strict=True)]


def correlation(pcm: bytes, reference: np.ndarray, shift: int = 0) -> float:
    found = np.frombuffer(pcm, "<i2")[shift:]
    length = min(len(found), len(reference))
    return float(np.corrcoef(found[:length], reference[:length])[0, 1])


@pytest.mark.parametrize("size", [1, 3, 640, 32000])
async def test_pcm_passes_unchanged_however_it_is_cut(size: int) -> None:
    """Samples that arrive in two messages are put together."""
    [pcm] = await decode(RawFormat(encoding="s16le", sample_rate=16000), chunks(TONE.tobytes()[:6400], size))
    assert pcm == TONE.tobytes()[:6400]


async def test_floats_are_scaled_and_noise_is_survived() -> None:
    """Full scale is full scale; bytes that are no numbers do not break anything."""
    floats = (TONE / 32768).astype("<f4").tobytes()
    [pcm] = await decode(RawFormat(encoding="f32le", sample_rate=16000), [floats])
    assert pcm == TONE.tobytes()
    [noise] = await decode(
        RawFormat(encoding="f32le", sample_rate=16000), [b"\x00\x00\xc0\x7f\x00\x00\x80\x7f" * 10]
    )
    assert len(noise) == 40


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
async def test_g711_at_telephone_rate(encoding: str) -> None:
    """8 kHz G.711 becomes the same tone at 16 kHz."""
    codec = av.CodecContext.create(f"pcm_{encoding}", "w")
    codec.sample_rate, codec.layout, codec.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(TONE[::2]).reshape(1, -1), format="s16", layout="mono"
    )
    frame.sample_rate = 8000
    data = b"".join(bytes(packet) for packet in codec.encode(frame))
    [pcm] = await decode(RawFormat(encoding=encoding, sample_rate=8000), chunks(data, 160))  # type: ignore[arg-type]
    assert abs(len(pcm) - len(TONE) * 2) <= 64
    assert correlation(pcm[1000:-1000], TONE[500:]) > 0.99


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
async def test_other_rates_keep_the_length(rate: int) -> None:
    """A second stays a second."""
    [pcm] = await decode(RawFormat(encoding="s16le", sample_rate=rate), chunks(bytes(rate * 2), 1000))
    assert abs(len(pcm) // 2 - 16000) <= 32


async def test_channels_are_split_in_order_or_mixed() -> None:
    """Left first; a mix is the mean."""
    stereo = np.stack([TONE, np.full_like(TONE, 100)], axis=1).astype("<i2").tobytes()
    left, right = await decode(
        RawFormat(encoding="s16le", sample_rate=16000, channels=2, split=True), [stereo]
    )
    assert left == TONE.tobytes()
    assert set(np.frombuffer(right, "<i2")) == {100}
    [mixed] = await decode(RawFormat(encoding="s16le", sample_rate=16000, channels=2), [stereo])
    assert np.abs(np.frombuffer(mixed, "<i2") - (TONE.astype(int) + 100) / 2).max() <= 0.5


@pytest.mark.parametrize(
    ("container", "codec", "rate", "name"),
    [
        ("webm", "libopus", 48000, "matroska"),
        ("ogg", "libopus", 48000, "ogg"),
        ("wav", "pcm_s16le", 16000, "wav"),
        ("mp3", "libmp3lame", 16000, "mp3"),
        ("flac", "flac", 16000, "flac"),
        ("adts", "aac", 16000, "aac"),
    ],
)
@pytest.mark.parametrize("size", [97, 4000, 1_000_000])
async def test_containers_decode_as_they_arrive(
    container: str, codec: str, rate: int, name: str, size: int
) -> None:
    """Every container gives the clip back, whatever the size of the messages."""
    speech = clip("goforward.wav")
    data = encoded(speech, container, codec, rate)
    assert sniff(data[:12]) == name
    [pcm] = await decode(ContainerFormat(ALL), [b"", *chunks(data, size), b""])
    assert abs(len(pcm) - len(speech)) < 32000 * 0.15
    reference = np.frombuffer(speech, "<i2")
    best = max(correlation(pcm, reference, shift) for shift in (0, 312, 1105, 1024, 1073))
    assert best > 0.9


async def test_sound_comes_before_the_end() -> None:
    """Half of the bytes give about half of the sound, without waiting for the rest."""
    data = encoded(clip("goforward.wav"), "webm", "libopus", 48000)
    async with open_sound(ContainerFormat(ALL)) as sound:
        heard = 0
        for message in chunks(data[: len(data) // 2], 500):
            heard += sum(len(track) for track in await sound.push(message))
    assert heard > len(clip("goforward.wav")) * 0.35


async def test_opus_packets() -> None:
    """One packet per message, no container."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48000, "mono", "s16"
    packets = []
    for start in range(0, 48000, 960):
        wave = (np.sin(np.arange(start, start + 960) * 2 * np.pi * 440 / 48000) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48000
        packets += [bytes(packet) for packet in codec.encode(frame)]
    [pcm] = await decode(PacketFormat(), packets)
    assert abs(len(pcm) // 2 - 16000) < 800
    assert float(np.abs(np.frombuffer(pcm, "<i2")).max()) > 6000
    with pytest.raises(Undecodable):
        await decode(PacketFormat(), [b"\xff\x00"])


@pytest.mark.parametrize(
    "data",
    [
        bytes(100),
        b"ffconcat version 1.0\nfile '/etc/hostname'\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
        b"#EXTM3U\nhttp://127.0.0.1/x.ts\n",
        b"RIFF\x00\x00\x00\x00WAVE" + b"junk" * 100,
        b"\x1aE\xdf\xa3" + b"\x99" * 3000,
        b"ID3\x04" + b"\x55" * 3000,
        b"\xff\xfe\xff\xfe" * 100,
    ],
)
async def test_what_is_no_container(data: bytes) -> None:
    """Neither raw samples nor texts that make FFmpeg open other things are read, at the latest at the end."""
    async with open_sound(ContainerFormat(ALL)) as sound:
        with pytest.raises(Undecodable):  # noqa: PT012 — which of the messages fails is FFmpeg's business
            for message in [data] * 50:
                await sound.push(message)
            await sound.finish()


async def test_only_allowed_containers() -> None:
    """A container that the endpoint does not take is like none."""
    async with open_sound(ContainerFormat(("ogg",))) as sound:
        with pytest.raises(Undecodable):
            await sound.push(encoded(clip("goforward.wav"), "wav", "pcm_s16le", 16000))


async def test_leaving_early_ends_the_thread() -> None:
    """A decoder that waits for more does not outlive its block, also when cancelled."""
    data = encoded(clip("goforward.wav"), "ogg", "libopus", 48000)
    with trio.fail_after(30), trio.CancelScope() as scope:
        async with open_sound(ContainerFormat(ALL)) as sound:
            await sound.push(data[:3000])
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_nothing_at_all() -> None:
    """A stream that ends before it began has no sound."""
    for format_ in (ContainerFormat(ALL), PacketFormat(), RawFormat(encoding="s16le", sample_rate=16000)):
        assert b"".join(await decode(format_, [])) == b""
    assert await decode(ContainerFormat(ALL), [b"OggS"]) == [b""]
