"""Containers that pass through untouched: counted, and taken up again on a new connection."""

import pytest

from routeraudio.audio.transcode import Transcoder, transcoder
from routeraudio.model.audio import PCM_16K_MONO, Encoding
from tests.audio import written
from tests.audio.containers.test_webm import RECORDING
from tests.audio.made import CONTAINERS, encoded, named, noise, packets
from tests.audio.signals import drained, samples, snr_db

SECONDS = 3.5


def clip(encoding: Encoding, *, is_live: bool = True) -> bytes:
    return encoded(encoding, noise(48000, SECONDS), 48000, is_live=is_live)


def passing(encoding: Encoding) -> Transcoder:
    return transcoder(named(encoding), named(encoding))


@pytest.mark.parametrize("is_live", [False, True])
@pytest.mark.parametrize("encoding", CONTAINERS)
def test_the_count_is_what_a_decoder_counts(encoding: Encoding, is_live: bool) -> None:
    """Bytes go on as the same object, and their time is known to the millisecond without decoding."""
    data = clip(encoding, is_live=is_live)
    through, converter = passing(encoding), transcoder(named(encoding), PCM_16K_MONO)
    assert through.push(data) is data
    out = drained(converter, [data])
    assert through.source_ms == converter.source_ms
    assert abs(through.source_ms - len(out) / 32) <= 1
    assert (through.is_sized, through.is_passthrough, through.finish()) == (True, True, b"")


def test_a_container_is_its_encoding() -> None:
    """Hints about rate and channels do not keep a container from passing through."""
    assert transcoder(named("webm"), named("webm")).is_passthrough


@pytest.mark.parametrize("share", [0.1, 0.33, 0.5])
@pytest.mark.parametrize("encoding", CONTAINERS)
def test_a_new_connection_gets_a_whole_stream(encoding: Encoding, share: float) -> None:
    """Wherever the old one ended: header, then audio from the nearest place; libavformat and we can read it."""
    data = clip(encoding)
    cut = int(len(data) * share)
    through = passing(encoding)
    through.push(data[:cut])
    before_ms = through.source_ms
    assert through.restart()
    assert through.resumed_ms is None
    resumed = b"".join(through.push(data[at : at + 100]) for at in range(cut, len(data), 100))
    assert resumed
    assert through.resumed_ms is not None
    assert before_ms <= through.resumed_ms <= before_ms + (1100 if encoding == "ogg_opus" else 80)
    found, sent = packets(resumed), packets(data)
    assert found == sent[-len(found) :]
    heard = drained(transcoder(named(encoding), PCM_16K_MONO), [resumed])
    whole = drained(transcoder(named(encoding), PCM_16K_MONO), [data])
    shift_ms = (len(whole) - len(heard)) / 32 - through.resumed_ms
    assert abs(shift_ms) <= (30 if encoding == "mp3" else 20)  # a frame of MP3 leans on the one before it
    both = max(len(heard) - 9600, 2000)  # a decoder needs some packets to be as sure as one that heard all
    assert snr_db(samples(heard[-both:]), samples(whole[-both:])) > 20


@pytest.mark.parametrize("cut", [1000, 9000, 22_222])
def test_a_real_recording_is_taken_up(cut: int) -> None:
    """MediaRecorder writes its header once, and clusters of many seconds: a block is place enough."""
    through = passing("webm")
    through.push(RECORDING[:cut])
    before_ms = through.source_ms
    assert through.restart()
    resumed = through.push(RECORDING[cut:])
    assert through.resumed_ms is not None
    assert through.resumed_ms - before_ms <= 60
    assert packets(resumed) == packets(RECORDING)[-len(packets(resumed)) :]
    assert len(packets(resumed)) == (through.source_ms - through.resumed_ms) / 60


def test_a_connection_that_fails_at_once_loses_nothing() -> None:
    """What was held for it goes to the next one."""
    data = clip("webm")
    once, twice = passing("webm"), passing("webm")
    for through in (once, twice):
        through.push(data[:5000])
        through.restart()
        assert through.push(data[5000:5001]) == b""
    assert twice.restart()
    assert twice.push(data[5001:]) == once.push(data[5001:])


def test_before_the_first_byte_there_is_nothing_to_take_up() -> None:
    """The new connection simply gets the stream."""
    through = passing("ogg_opus")
    assert through.restart()
    assert through.push(b"OggS") == b"OggS"


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_what_is_not_understood_is_passed_on_uncounted(encoding: Encoding) -> None:
    """The vendor judges what we cannot read; nobody is told that it is counted."""
    through = passing(encoding)
    chunks = [b"RIFF\0\0\0\0WAVEfmt ", bytes(1000), b"\xff" * 1000]
    assert [through.push(chunk) for chunk in chunks] == chunks
    assert (through.is_sized, through.source_ms, through.restart()) == (False, 0, False)


def test_what_stops_being_understood_while_it_is_taken_up() -> None:
    """The new connection gets what there is, all of it."""
    through = passing("webm")
    through.push(written.webm_head() + written.cluster())
    assert through.restart()
    other = written.webm_head(codec="A_VORBIS")
    assert through.push(other[:50]) == b""
    assert through.push(other[50:]) == other
    assert not through.is_sized
    assert through.resumed_ms == 0
