import pytest

from routeraudio.audio.containers.intake import JUNK_BYTES_MAX
from routeraudio.audio.containers.packets import Header, Packet
from routeraudio.audio.containers.webm import WebmDemuxer
from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault, CloseCode
from tests.audio.made import RECORDING, encoded, named, noise, opus_packets, packets, reference
from tests.audio.signals import samples, snr_db
from tests.audio.written import block, cluster, element, opus_head, webm, webm_head


def items(data: bytes, step: int = 1 << 30) -> list[Header | Packet]:
    """Everything that is read from ``data``."""
    demuxer, found = WebmDemuxer(), []
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


def test_a_real_recording() -> None:
    """What Chromium's MediaRecorder wrote has the packets that libavformat finds, and their sound."""
    assert payloads(RECORDING) == packets(RECORDING)
    converter = transcoder(named("webm"), PCM_16K_MONO)
    out = b"".join(converter.push(RECORDING[at : at + 1500]) for at in range(0, len(RECORDING), 1500))
    out += converter.finish()
    theirs = samples(reference("webm", RECORDING, 16000))
    assert snr_db(samples(out), theirs) > 35
    assert converter.source_ms == 4980


@pytest.mark.parametrize("is_live", [False, True])
def test_ffmpegs_files_and_streams(is_live: bool) -> None:
    """Sizes known or not, seek heads, cues and tags: the packets are those that libavformat finds."""
    data = encoded("webm", noise(48000, 1), 48000, is_live=is_live)
    assert payloads(data) == packets(data)
    assert items(data) == items(data, step=1)


def test_clusters_of_unknown_size() -> None:
    """Header first, then every packet, across clusters that never say where they end."""
    sent = opus_packets()
    assert items(webm(sent))[0] == Header("opus", 48000, 1, 312)
    assert payloads(webm(sent)) == sent


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("kind", ["xiph", "fixed", "ebml"])
def test_lacing(kind: str, count: int) -> None:
    """Several packets in a block are told apart, in all three ways."""
    sent = opus_packets()[:24]
    if kind == "fixed":
        sent = [packet[:50] for packet in sent]
    data = webm_head() + cluster()
    for start in range(0, 24, count):
        data += element(0xA3, block(sent[start : start + count], kind=kind))
    assert payloads(data) == sent


def test_groups_and_padding() -> None:
    """A block in a group may say that the end of its last packet is padding."""
    sent = opus_packets()[:4]
    group = element(0xA0, element(0xA1, block(sent[2:], kind="ebml")) + element(0x75A2, 13_500_000))
    data = (
        webm_head()
        + cluster()
        + element(0xA3, block(sent[:1]))
        + element(0xA0, element(0xA1, block(sent[1:2])))
    )
    found = [item for item in items(data + group) if isinstance(item, Packet)]
    assert [item.data for item in found] == sent
    assert [item.trim_samples for item in found] == [0, 0, 0, 648]


def test_the_codecs_delay_counts_where_the_header_has_none() -> None:
    """Some writers put the pre-skip into the track only."""
    (header,) = items(webm_head(head=opus_head(skip=0), delay_ns=6_500_000))
    assert header == Header("opus", 48000, 1, 312)


def test_a_second_recording_goes_on() -> None:
    """A page that starts its recorder again sends a new header; both are heard."""
    sent = opus_packets()[:20]
    data = webm(sent) + webm(sent, head=opus_head(2))
    assert payloads(data) == sent * 2
    converter = transcoder(named("webm"), PCM_16K_MONO)
    out = converter.push(data) + converter.finish()
    assert len(out) // 2 == 2 * (20 * 960 - 312) // 3


def test_other_tracks_are_passed_over() -> None:
    """Pictures, however large, do not disturb the sound between them."""
    sent = opus_packets()[:4]
    video = element(0xAE, element(0xD7, 2) + element(0x83, 1) + element(0x86, "V_VP8"))
    audio = element(
        0xAE, element(0xD7, 1) + element(0x83, 2) + element(0x86, "A_OPUS") + element(0x63A2, opus_head())
    )
    data = (
        element(0x1A45DFA3)
        + element(0x18538067, is_unknown=True)
        + element(0x1654AE6B, video + audio)
        + cluster()
    )
    for packet in sent:
        data += element(0xA3, block([bytes(100_000)], track=2)) + element(0xA3, block([packet]))
        data += element(0xA3, block([bytes(1000)], track=2)) + element(0xEC, bytes(200_000))
    assert payloads(data) == sent


def test_junk_costs_no_more_than_a_cluster() -> None:
    """Where bytes are no element reading goes on with the next cluster."""
    sent = opus_packets()[:20]
    parts = webm(sent).split(cluster(200))
    assert payloads((bytes(300) + cluster(200)).join(parts)) == sent


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (webm_head(codec="A_VORBIS"), "expected Opus in WebM, found Vorbis"),
        (webm_head(codec="A_PCM/FLOAT/IEEE"), "found PCM"),
        (webm_head(codec="A_SECRET"), "found another codec"),
        (webm_head(type=1), "expected an audio track, found 1 tracks without one"),
        (webm_head(head=opus_head(3)), "found 3"),
        (webm_head(more=element(0x6D80, b"")), "compressed or encrypted"),
        (webm_head(doc_type="other"), "found an EBML document of another type"),
        (element(0x1A45DFA3) + cluster(), "expected a header with an audio track ahead of the first cluster"),
        (
            element(0xA3, block([b"\xf8\xff\xfe"])),
            "expected a header with an audio track ahead of the first block",
        ),
        (b"OggS" + bytes(100), "expected WebM or Matroska, found Ogg"),
        (b'{"type": "start"}', "found JSON text"),
        (bytes(JUNK_BYTES_MAX + 100), "expected WebM clusters, found none in 64 KiB"),
        (webm_head() + cluster() + element(0xEC, bytes(9 << 20)) * 2, "found none in 16 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_ours_is_named(data: bytes, message: str) -> None:
    """The client reads what was expected and what came, and is closed with 1003."""
    with pytest.raises(ClientFault, match=message) as caught:
        items(data, step=50_000)
    assert (caught.value.code, caught.value.close_code) == ("audio_error", CloseCode.UNSUPPORTED_DATA)


@pytest.mark.parametrize("flags", [2, 4, 6])
def test_impossible_lacing_is_left_out(flags: int) -> None:
    """A block whose lengths add up to more than it has costs itself only."""
    sent = opus_packets()[:2]
    broken = b"\x81\0\0" + bytes((flags, 4)) + b"\x41\xff" * 5 + b"\xff"
    data = (
        webm_head()
        + cluster()
        + element(0xA3, block(sent[:1]))
        + element(0xA3, broken)
        + element(0xA3, broken[:5])
    )
    assert payloads(data + element(0xA3, block(sent[1:]))) == sent
