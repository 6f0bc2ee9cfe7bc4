"""Containers on their way to who takes them: packets as they were, counted, taken up again on a new connection."""

import pytest

from routeraudio.audio.transcode import Transcoder, transcoder
from routeraudio.model.audio import PCM_16K_MONO, Encoding
from routeraudio.model.errors import ClientFault
from tests.audio import written
from tests.audio.made import CONTAINERS, RECORDING, encoded, named, noise, opus_packets, packets
from tests.audio.signals import drained, samples, snr_db

SECONDS = 3.5


def clip(encoding: Encoding, *, is_live: bool = True) -> bytes:
    return encoded(encoding, noise(48000, SECONDS), 48000, is_live=is_live)


def passing(encoding: Encoding, keep_s: float = 0.0) -> Transcoder:
    through = transcoder(named(encoding), named(encoding))
    through.keep(keep_s)
    return through


def pushed(through: Transcoder, data: bytes, step: int = 100) -> bytes:
    """All that comes out, but what `finish` gives."""
    out = []
    for at in range(0, len(data), step):
        out.append(through.push(data[at : at + step]))
        while through.has_more:
            out.append(through.push(b""))
    return b"".join(out)


def decoded(encoding: Encoding, data: bytes) -> bytes:
    return drained(transcoder(named(encoding), PCM_16K_MONO), [data])


@pytest.mark.parametrize("is_live", [False, True])
@pytest.mark.parametrize("encoding", CONTAINERS)
def test_every_packet_goes_on_as_it_was(encoding: Encoding, is_live: bool) -> None:
    """In the same order; whoever decodes it hears the same, and its time is known without decoding."""
    data = clip(encoding, is_live=is_live)
    through = passing(encoding)
    out = pushed(through, data) + through.finish()
    assert packets(out) == packets(data)
    assert decoded(encoding, out) == decoded(encoding, data)
    assert abs(through.source_ms - len(decoded(encoding, data)) / 32) <= 1
    assert through.is_passthrough


def test_a_container_is_its_encoding() -> None:
    """Hints about rate and channels do not keep a container from passing through."""
    assert transcoder(named("webm"), named("webm")).is_passthrough


@pytest.mark.parametrize("share", [0.1, 0.33, 0.5])
@pytest.mark.parametrize("encoding", CONTAINERS)
def test_a_new_connection_gets_a_whole_stream(encoding: Encoding, share: float) -> None:
    """Wherever the old one ended: header, then audio from the next packet on; libavformat and we can read it."""
    data = clip(encoding)
    cut = int(len(data) * share)
    through = passing(encoding)
    pushed(through, data[:cut])
    before_ms = through.source_ms
    assert through.restart() == b""
    assert through.resumed_ms == before_ms
    resumed = pushed(through, data[cut:]) + through.finish()
    found, sent = packets(resumed), packets(data)
    assert found == sent[-len(found) :]
    heard, whole = decoded(encoding, resumed), decoded(encoding, data)
    shift_ms = (len(whole) - len(heard)) / 32 - through.resumed_ms
    assert abs(shift_ms) <= (40 if encoding == "mp3" else 20)  # a frame of MP3 leans on the one before it
    both = max(len(heard) - 9600, 2000)  # a decoder needs some packets to be as sure as one that heard all
    assert snr_db(samples(heard[-both:]), samples(whole[-both:])) > 20


@pytest.mark.parametrize("since_ms", [0, 500, 1000, 1490])
@pytest.mark.parametrize("encoding", CONTAINERS)
def test_a_replay_begins_with_what_was_kept(encoding: Encoding, since_ms: int) -> None:
    """Header and packets since a moment, then what comes: one stream without a gap."""
    data = clip(encoding)
    cut = len(data) // 2
    through = passing(encoding, keep_s=30.0)
    pushed(through, data[:cut])
    again = through.restart(since_ms)
    assert again
    assert since_ms <= through.resumed_ms <= since_ms + 80
    resumed = again + pushed(through, data[cut:]) + through.finish()
    found, sent = packets(resumed), packets(data)
    assert found == sent[-len(found) :]
    assert (
        abs((len(decoded(encoding, data)) - len(decoded(encoding, resumed))) / 32 - through.resumed_ms) <= 40
    )


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_what_is_kept_is_bounded(encoding: Encoding) -> None:
    """In time, and by what is final."""
    data = clip(encoding)
    through = passing(encoding, keep_s=1.0)
    pushed(through, data)
    through.restart(0)
    assert through.source_ms - 1100 <= through.resumed_ms <= through.source_ms - 900
    through.forget(through.source_ms - 500)
    through.restart(0)
    assert through.source_ms - 500 <= through.resumed_ms <= through.source_ms - 400


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    """Sessions that cannot be replayed pay nothing."""
    through = passing("webm")
    pushed(through, clip("webm"))
    assert through.restart(0) == b""
    assert through.resumed_ms == through.source_ms


@pytest.mark.parametrize("cut", [1000, 9000, 22_222])
def test_a_real_recording_is_taken_up(cut: int) -> None:
    """MediaRecorder writes its header once, and clusters of many seconds: a packet is place enough."""
    through = passing("webm")
    pushed(through, RECORDING[:cut])
    through.restart()
    resumed = pushed(through, RECORDING[cut:]) + through.finish()
    assert packets(resumed) == packets(RECORDING)[-len(packets(resumed)) :]
    assert len(packets(resumed)) == (through.source_ms - through.resumed_ms) / 60


def test_before_the_first_byte_there_is_nothing_to_take_up() -> None:
    """The new connection simply gets the stream."""
    data = clip("ogg_opus")
    through = passing("ogg_opus")
    through.restart()
    out = pushed(through, data) + through.finish()
    assert (packets(out), through.resumed_ms) == (packets(data), 0)


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_what_cannot_be_read_is_refused(encoding: Encoding) -> None:
    """It could be neither counted nor charged: an error, not a discount."""
    through = passing(encoding)
    with pytest.raises(ClientFault) as caught:
        pushed(through, b"RIFF\0\0\0\0WAVEfmt " + bytes(1000) + b"\xff" * 100_000)
    assert caught.value.code == "audio_error"


def test_pages_with_wrong_checksums_are_no_discount() -> None:
    """Thirty-three of them in the middle used to make our reader stop counting while the provider heard on."""
    data = bytearray(clip("ogg_opus"))
    pages = [at for at in range(len(data) - 4) if data[at : at + 4] == b"OggS"]
    sound = passing("ogg_opus")
    whole = packets(pushed(sound, bytes(data)) + sound.finish())
    for at in pages[2:]:
        data[at + 22] ^= 0xFF
    through = passing("ogg_opus")
    out = pushed(through, bytes(data)) + through.finish()
    heard_ms = 20 * len(packets(out)) if out else 0
    assert heard_ms <= through.source_ms + 20, "the provider hears what is counted, and no more"
    assert len(packets(out) if out else []) < len(whole)


FRAME = b"\xff\xe3\x18\xc4" + bytes(68)
"""72 ms of MP3, mono at 8 kHz."""


def described(count: int, delay: int, padding: int) -> bytes:
    """A frame that tells about others: how many, and what of them is not to be heard."""
    lame = b"LAME3.100" + bytes(12) + (delay << 12 | padding).to_bytes(3, "big")
    body = b"Info" + (1).to_bytes(4, "big") + count.to_bytes(4, "big") + lame
    return FRAME[:13] + body + bytes(len(FRAME) - 13 - len(body))


TALK = opus_packets(20.0)

LEFT_OUT: dict[str, tuple[Encoding, bytes, float]] = {
    "ogg: every page is the last": (
        "ogg_opus",
        b"".join(written.ogg_pages([]))
        + b"".join(written.page(TALK[n : n + 10], number=2 + n // 10, last=True) for n in range(0, 1000, 10)),
        20.0,
    ),
    "ogg: streams that are all delay": (
        "ogg_opus",
        b"".join(
            b"".join(written.ogg_pages(TALK[n : n + 50], serial=n, head=written.opus_head(skip=65_535)))
            for n in range(0, 1000, 50)
        ),
        20.0,
    ),
    "webm: blocks that are all padding": (
        "webm",
        written.webm_head()
        + b"".join(
            written.cluster(20 * n)
            + written.element(
                0xA0, written.element(0xA1, written.block([TALK[n]])) + written.element(0x75A2, 20_000_000)
            )
            for n in range(1000)
        ),
        20.0,
    ),
    "mp3: files that are all delay and padding": (
        "mp3",
        b"".join(described(6, 4095, 4095) + FRAME * 6 for _ in range(100)),
        43.2,
    ),
    "mp3: frames that describe, and sound": ("mp3", described(1, 576, 0) * 500 + FRAME * 10, 0.72),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_not_to_be_heard_is_no_discount(case: str) -> None:
    """A provider that does not care for delays and padding hears it; so only what recordings have is not counted."""
    encoding, data, seconds = LEFT_OUT[case]
    through = passing(encoding)
    out = pushed(through, data) + through.finish()
    assert out
    assert seconds * 0.9 - 1.6 <= through.source_ms / 1000 <= seconds
    assert len(out) < len(data) * 1.2
    if case == "mp3: frames that describe, and sound":
        assert len(out) == 11 * len(FRAME)


def test_another_codec_behind_the_first_recording() -> None:
    """Refused as when it comes first."""
    through = passing("webm")
    pushed(through, written.webm_head() + written.cluster())
    with pytest.raises(ClientFault, match="Vorbis"):
        pushed(through, written.webm_head(codec="A_VORBIS"))
