import subprocess
import sys
import zlib

import pytest

from routeraudio.audio.containers.intake import JUNK_BYTES_MAX
from routeraudio.audio.containers.ogg import OggDemuxer, checksum
from routeraudio.audio.containers.packets import Header, Packet
from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault, CloseCode
from tests.audio import written
from tests.audio.made import named, opus_packets
from tests.audio.signals import drained
from tests.audio.written import OPUS_TAGS, ogg_pages, opus_head, page


def items(data: bytes, step: int = 1 << 30) -> list[Header | Packet]:
    """Everything that is read from ``data``."""
    demuxer, found = OggDemuxer(), []
    for start in range(0, len(data), step):
        demuxer.feed(data[start : start + step])
        while (item := demuxer.read()) is not None:
            found.append(item)
    demuxer.end()
    while (item := demuxer.read()) is not None:
        found.append(item)
    return found


def payloads(data: bytes) -> list[bytes]:
    return [item.data for item in items(data) if isinstance(item, Packet)]


def test_the_checksum_is_oggs() -> None:
    """zlib's, turned round, gives what the bits of RFC 3533 give."""
    for length in (27, 28, 300, 5000):
        raw = bytearray(zlib.compress(bytes(length))[:1] * length)
        raw[22:26] = bytes(4)
        assert checksum(bytes(raw)) == written.crc(raw)


def test_packets_come_out_as_they_went_in() -> None:
    """Header first, then every packet, however they are spread over pages."""
    packets = opus_packets()
    data = b"".join(ogg_pages(packets))
    assert items(data)[0] == Header("opus", 48000, 1, 312)
    assert payloads(data) == packets
    assert items(data) == items(data, step=1)


def test_packets_come_before_their_page_is_complete() -> None:
    """A page may last a second; its first packet does not wait for its last."""
    packets = opus_packets()
    pages = ogg_pages(packets, per_page=50)
    demuxer = OggDemuxer()
    demuxer.feed(pages[0] + pages[1] + pages[2][:-1])
    assert isinstance(demuxer.read(), Header)
    assert demuxer.read() == Packet(packets[0], 960)


def test_a_packet_may_span_pages() -> None:
    """Parts in three pages are one packet, one that is a multiple of 255 long included."""
    long = bytes((0xFF, 0x01)) + bytes(1273 - 2 + 4)  # 20 ms of 1275 bytes, five times 255
    data = (
        b"".join(ogg_pages([]))
        + page([long[:510]], number=2, granule=-1, is_open=True)
        + page([long[510:765]], number=3, granule=-1, continued=True, is_open=True)
        + page([long[765:]], number=4, granule=960, continued=True)
    )
    assert payloads(data) == [long]


def test_padding_at_the_end_is_trimmed() -> None:
    """The last granule position says where the source ended, inside a packet or before it."""
    packets = opus_packets()[:20]
    trims = [
        item.trim_samples
        for item in items(b"".join(ogg_pages(packets, trim=1500)))
        if isinstance(item, Packet)
    ]
    assert trims[-3:] == [0, 540, 960]


@pytest.mark.parametrize("lost", [1, 3])
def test_lost_pages_leave_silence(lost: int) -> None:
    """What follows a hole keeps its place: silence of the missing length stands in it."""
    packets = opus_packets()[:30]
    pages = ogg_pages(packets, per_page=2)
    found = items(b"".join(pages[:6] + pages[6 + lost :]))
    assert sum(item.samples for item in found if isinstance(item, Packet)) == 30 * 960
    assert sum(item.samples for item in found if isinstance(item, Packet) and not item.data) == lost * 2 * 960
    converter = transcoder(named("ogg_opus"), PCM_16K_MONO)
    out = converter.push(b"".join(pages[:6] + pages[6 + lost :])) + converter.finish()
    assert len(out) // 2 == 30 * 320 - 104
    assert converter.source_ms == 593


def test_a_hole_of_hours_is_left_out() -> None:
    """A position that jumps far ahead is not filled up."""
    packets = opus_packets()[:4]
    data = b"".join(ogg_pages(packets[:2])[:-1])
    data += page(packets[:2], number=2, granule=1920) + page(packets[2:], number=9, granule=1 << 50)
    assert payloads(data) == packets


def test_a_damaged_page_costs_no_more_than_itself() -> None:
    """After a wrong checksum reading goes on with the next page that is right."""
    packets = opus_packets()[:30]
    pages = ogg_pages(packets, per_page=5)
    pages[3] = pages[3][:40] + bytes(20) + pages[3][60:]
    found = payloads(b"".join(pages))
    assert found[:5] == packets[:5]
    assert found[-20:] == packets[-20:]


def test_junk_between_pages_is_passed_over() -> None:
    """Bytes that belong to no page shift nothing."""
    packets = opus_packets()[:10]
    pages = ogg_pages(packets, per_page=5)
    assert payloads((b"OggT" + bytes(1000)).join(pages)) == packets


def test_chained_streams_follow_each_other() -> None:
    """A second stream is decoded with its own header, to the layout of the first."""
    mono, stereo = opus_packets(), opus_packets(channels=2)
    data = b"".join(ogg_pages(mono) + ogg_pages(stereo, serial=8, head=opus_head(2)))
    assert [item for item in items(data) if isinstance(item, Header)] == [
        Header("opus", 48000, 1, 312),
        Header("opus", 48000, 2, 312),
    ]
    converter = transcoder(named("ogg_opus"), PCM_16K_MONO)
    out = drained(converter, [data])
    exact = (len(mono) + len(stereo)) * 960 - 2 * 312
    assert len(out) // 2 == exact // 3
    assert converter.source_ms == exact // 48


def test_another_stream_beside_ours_is_ignored() -> None:
    """Pages of a picture track between ours change nothing."""
    packets = opus_packets()[:10]
    pages = ogg_pages(packets, per_page=5)
    video = page([b"\x80theora" + bytes(35)], serial=9, first=True)
    frame = page([bytes(30000)], serial=9, number=1, granule=1)
    assert payloads(video + frame.join(pages)) == packets


def test_big_tags_are_passed_over() -> None:
    """A cover picture of 200 KB in the comments is not audio and not kept."""
    packets = opus_packets()[:10]
    tags = OPUS_TAGS + bytes(255 * 800 - len(OPUS_TAGS))
    pages = [page([opus_head()], first=True)]
    for number, start in enumerate(range(0, len(tags), 51_000), 1):
        part = tags[start : start + 51_000]
        more = start + 51_000 < len(tags)
        pages.append(
            page([part], number=number, granule=-1 if more else 0, continued=start > 0, is_open=more)
        )
    pages += [page(packets, number=len(pages), granule=9600)]
    assert payloads(b"".join(pages)) == packets


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            page([b"\x01vorbis" + bytes(23)], first=True) + page([b"x"], number=1),
            "expected Opus in Ogg, found Vorbis",
        ),
        (page([b"what is this"], first=True) + page([b"x"], number=1), "found another codec"),
        (page([opus_head(6, family=1)], first=True), "found 6"),
        (page([opus_head(0)], first=True), "found 0"),
        (page([opus_head(2, family=1, more=bytes((2, 0, 0, 1)))], first=True), "found several"),
        (page([b"OpusHead\xf0" + bytes(10)], first=True), "version 1"),
        (page([b"OpusHead"], first=True), "found none"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "expected Ogg, found WebM"),
        (b"RIFF\0\0\0\0WAVEfmt ", "expected Ogg, found WAV"),
        (bytes(JUNK_BYTES_MAX + 100), "expected Ogg pages, found none in 64 KiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_ours_is_named(data: bytes, message: str) -> None:
    """The client reads what was expected and what came, and is closed with 1003."""
    with pytest.raises(ClientFault, match=message) as caught:
        items(data)
    assert (caught.value.code, caught.value.close_code) == ("audio_error", CloseCode.UNSUPPORTED_DATA)


def test_two_streams_coupled_as_one_are_one() -> None:
    """Channel mapping 1 that says what mapping 0 says is taken."""
    (header,) = items(page([opus_head(2, family=1, more=bytes((1, 1, 0, 1)))], first=True))
    assert header == Header("opus", 48000, 2, 312)


def test_only_wrong_checksums_are_refused() -> None:
    """Thousands of pages that look right and are not cost a bounded amount of work."""
    pages = ogg_pages([])
    bad = page([b"\xf8\xff\xfe"] * 20, number=2)
    bad = bad[:22] + bytes(4) + bad[26:]
    with pytest.raises(ClientFault, match="wrong checksum"):
        items(b"".join(pages) + bad * 100)


def test_garbage_in_packets_is_refused() -> None:
    """One bad packet is silence of its length, nothing but bad ones is an end."""
    good, bad = opus_packets()[:5], b"\xf9\x01"  # two frames of 20 ms, as long as each other
    converter = transcoder(named("ogg_opus"), PCM_16K_MONO)
    out = drained(converter, ogg_pages([*good, bad, *good]))
    assert len(out) // 2 == 12 * 320 - 104
    converter = transcoder(named("ogg_opus"), PCM_16K_MONO)
    with pytest.raises(ClientFault, match="expected opus, found 50 packets in a row"):
        drained(converter, ogg_pages([bad] * 200))


def test_packets_without_a_length_are_refused() -> None:
    """What no codec could have made, and nothing else, comes to an end too."""
    pages = ogg_pages([])
    empty = b"".join(page([b""] * 255, number=number, granule=0) for number in range(2, 102))
    demuxer = OggDemuxer()
    demuxer.feed(b"".join(pages))
    with pytest.raises(ClientFault, match="found none in 16 MiB"):
        _feed_for_ever(demuxer, page([b"\xfb\x00" + bytes(50_000)], number=2))
    with pytest.raises(ClientFault, match="found none in 16 MiB"):
        payloads(b"".join(pages) + empty)


def _feed_for_ever(demuxer: OggDemuxer, data: bytes) -> None:
    for _ in range(1000):
        demuxer.feed(data)
        while demuxer.read() is not None:
            pass


def test_nothing_is_written_to_standard_error() -> None:
    """FFmpeg complains about damaged packets; nobody hears it."""
    script = (
        "from routeraudio.audio.codec import Codec\n"
        "from routeraudio.audio.containers.packets import Header, Packet\n"
        "for name in ('opus', 'mp3'):\n"
        "    codec = Codec(Header(name, 48000, 1, 0))\n"
        "    for _ in range(20): codec.decode(Packet(b'\\xfa\\x00\\xff\\xff', 960))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
