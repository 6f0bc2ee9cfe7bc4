import msgspec
import pytest

from routeraudio.audio.containers.intake import JUNK_BYTES_MAX, SKIPPED_BYTES_MAX
from routeraudio.audio.containers.mp3 import Mp3Demuxer
from routeraudio.audio.containers.packets import Header, Packet
from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault, CloseCode
from tests.audio.made import encoded, named, noise, packets, reference
from tests.audio.signals import drained, samples, snr_db
from tests.audio.written import id3

LIVE = encoded("mp3", noise(44100, 1), 44100, 1, "-write_xing", "0", "-id3v2_version", "0")
"""Nothing but frames, as from an encoder that cannot go back."""

FRAMES = packets(LIVE)


def items(data: bytes, step: int = 1 << 30) -> list[Header | Packet]:
    """Everything that is read from ``data``."""
    demuxer, found = Mp3Demuxer(), []
    for start in range(0, len(data), step):
        demuxer.feed(data[start : start + step])
        while (item := demuxer.read()) is not None:
            found.append(item)
    demuxer.end()
    while (item := demuxer.read()) is not None:
        found.append(item)
    return found


def bare(item: Header | Packet) -> Header | Packet:
    """A header without the frame that describes the file."""
    return msgspec.structs.replace(item, described=b"") if isinstance(item, Header) else item


def payloads(data: bytes) -> list[bytes]:
    return [item.data for item in items(data) if isinstance(item, Packet)]


def test_frames_of_a_live_stream() -> None:
    """Without any tag all frames are audio, and the usual encoder's delay is taken off."""
    assert bare(items(LIVE)[0]) == Header("mp3", 44100, 1, 576 + 529)
    assert payloads(LIVE) == FRAMES
    assert items(LIVE) == items(LIVE, step=1)


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_and_layout(rate: int, channels: int) -> None:
    """Lengths are those of the specification: the frames are the ones that libavformat finds, and have their rate."""
    data = encoded("mp3", noise(rate, 0.4, channels), rate, channels)
    assert bare(items(data)[0]) == Header("mp3", rate, channels, 576 + 529)
    assert payloads(data) == packets(data)


def test_changing_bit_rates() -> None:
    """Variable bit rate, with the bit reservoir reaching over frames, sounds as ffmpeg decodes it."""
    data = encoded("mp3", noise(44100, 1) + bytes(44100), 44100, 1, "-q:a", "4", "-b:a", "0")
    out = samples(drained(transcoder(named("mp3"), PCM_16K_MONO), [data]))
    assert len({len(frame) for frame in payloads(data)}) > 3
    assert snr_db(out, samples(reference("mp3", data, 16000))[: len(out)]) > 35


def test_a_file_has_its_exact_length() -> None:
    """What LAME's tag says about delay and padding is taken off."""
    data = encoded("mp3", noise(44100, 1), 44100)
    converter = transcoder(named("mp3"), PCM_16K_MONO)
    assert len(converter.push(data) + converter.finish()) == 32000
    assert converter.source_ms == 1000


@pytest.mark.parametrize("length", [10, 4096, 300_000])
def test_tags_are_passed_over(length: int) -> None:
    """ID3 tags of any size in front of, between and behind the frames, full of false frames, change nothing."""
    tag = id3(length)
    data = tag + b"".join(FRAMES[:9]) + tag + b"".join(FRAMES[9:]) + b"TAG" + bytes(125)
    assert payloads(data) == FRAMES
    assert items(data) == items(data, step=777)


@pytest.mark.parametrize(
    "junk", [bytes(1000), b"\xff" * 1000, b"\xff\xfb\x94\xc0" * 3, b"ID3\xff is no tag \xff"]
)
def test_junk_is_passed_over(junk: bytes) -> None:
    """Before the first frame and between frames; what only looks like a header is none."""
    data = junk + b"".join(FRAMES[:9]) + junk + b"".join(FRAMES[9:]) + junk
    assert payloads(data) == FRAMES


def test_the_last_frame_needs_no_next() -> None:
    """One frame alone is heard when the stream ends; half of one is not."""
    assert payloads(FRAMES[0]) == FRAMES[:1]
    assert payloads(FRAMES[0] + FRAMES[1][:-1]) == FRAMES[:1]


def test_another_rate_is_another_stream() -> None:
    """Files behind each other, of other rates and layouts, are one recording at the first one's rate."""
    first, second = encoded("mp3", noise(44100, 1), 44100), encoded("mp3", noise(24000, 1, 2), 24000, 2)
    assert [bare(item) for item in items(first + second) if isinstance(item, Header)] == [
        Header("mp3", 44100, 1, 1105),
        Header("mp3", 24000, 2, 1105),
    ]
    converter = transcoder(named("mp3"), PCM_16K_MONO)
    out = samples(drained(converter, [first + second]))
    assert len(out) == 32000
    assert converter.source_ms == 2000
    assert snr_db(out[16100:31900], samples(reference("mp3", second, 16000))[100:15900]) > 35


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(JUNK_BYTES_MAX + 100), "expected MP3 frames, found none in 64 KiB"),
        (b"\xff\xfd\x90\x00" * 20000, r"\(layer III; there may be some of layer II\)"),
        (b"\xff\xfb\x00\x00" * 20000, "free format"),
        (b"fLaC" + bytes(100), "expected MP3, found FLAC"),
        (id3(SKIPPED_BYTES_MAX + 100), "found none in 16 MiB"),
    ],
    ids=["zeros", "layer II", "free format", "FLAC", "tag"],
)
def test_what_is_not_ours_is_named(data: bytes, message: str) -> None:
    """The client reads what was expected and what came, and is closed with 1003."""
    with pytest.raises(ClientFault, match=message) as caught:
        items(data, step=50_000)
    assert (caught.value.code, caught.value.close_code) == ("audio_error", CloseCode.UNSUPPORTED_DATA)


def test_a_damaged_frame_keeps_its_place() -> None:
    """A frame whose content is noise shifts nothing."""
    broken = [*FRAMES[:9], FRAMES[9][:4] + b"\xa5" * (len(FRAMES[9]) - 4), *FRAMES[10:]]
    good, bad = transcoder(named("mp3"), PCM_16K_MONO), transcoder(named("mp3"), PCM_16K_MONO)
    whole, damaged = drained(good, [LIVE]), drained(bad, [b"".join(broken)])
    assert len(whole) == len(damaged)
    assert whole[-8000:] == damaged[-8000:]
