"""`python -m routeraudio.pull.sandbox.source FD`: the decoder process. One source in, PCM out (protocol: `pull.wire`).

It writes as fast as somebody reads: the pipe is its pace, and what it does not write it does not fetch.
"""

import os
import socket
import sys
from collections.abc import Iterator
from typing import Final

import av
import msgspec
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.sandbox.broker import Broker
from routeraudio.pull.sandbox.confine import confine, end_with_the_daemon
from routeraudio.pull.sandbox.opening import open_container
from routeraudio.pull.wire import BLOCK_BYTES, LENGTH, Broken, Ended, Job, Opened

CODECS: Final = frozenset(
    {
        *("aac", "aac_latm", "ac3", "eac3", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float"),
        *("opus", "libopus", "vorbis", "libvorbis", "speex", "libspeex", "flac", "alac", "nellymoser"),
        *("amrnb", "amrwb", "gsm", "gsm_ms", "libgsm", "g722", "adpcm_g722"),
        *("adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "adpcm_swf"),
        *("pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le"),
        *("pcm_s32be", "pcm_s32le", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le"),
    }
)
"""What speech comes in. libav has two hundred more, most of them older than anybody's fuzzing."""

SAMPLE_RATE_HZ_MIN: Final = 7350
SAMPLE_RATE_HZ_MAX: Final = 192_000
"""What AAC and FLAC have; a header that says otherwise lies, and resampling it would make gigabytes."""

CHANNELS_MAX: Final = 8
"""7.1."""

DAMAGED_MAX: Final = 200
"""Packets in a row that cannot be decoded, some four seconds, before a source counts as broken."""

LINE_BYTES_MAX: Final = 65_536


def main() -> None:
    """Do the job, tell how it ended, and leave at once: libav's own good-byes may wait for the network."""
    job = msgspec.json.decode(_line(), type=Job)
    is_isolated = confine(job)
    end_with_the_daemon()
    broker = Broker(socket.socket(fileno=int(sys.argv[1])), job.wait_s)
    try:
        _pull(job, broker, is_isolated)
        broker.say(Ended())
    except SourceFault as fault:
        broker.say(Broken(fault.message, fault.is_retryable))
    except BrokenPipeError:
        pass  # the daemon does not listen any more
    except (av.error.FFmpegError, ValueError, MemoryError):
        broker.say(Broken("the source is damaged, or not a stream with audio", is_retryable=False))
    except OSError:
        broker.say(Broken("the connection to the source was lost", is_retryable=True))
    os._exit(0)


def _pull(job: Job, broker: Broker, is_isolated: bool) -> None:
    container, is_live, download = open_container(job.url, broker)
    with container:
        stream = _audio(container)
        broker.say(Opened(is_live, is_isolated))
        skip_bytes = 0 if is_live else job.skip_ms * PCM_16K_MONO.bytes_per_second // 1000
        for pcm in _pcm(_frames(container, stream)):
            skipped, skip_bytes = skip_bytes, max(0, skip_bytes - len(pcm))
            if len(pcm) > skipped:
                _write(pcm[skipped:])
        if download is not None and download.lost is not None:
            raise download.lost


def _audio(container: InputContainer) -> AudioStream:
    """The stream to listen to; what else there is need not be fetched.

    Raises:
        SourceFault: there is none, or none in a codec that is decoded here.
    """
    best = container.streams.best("audio")
    if not isinstance(best, AudioStream):
        raise SourceFault("there is no audio in the source", is_retryable=False)
    if best.codec_context.name not in CODECS:
        raise SourceFault("the source's audio codec is not decoded here", is_retryable=False)
    for stream in container.streams:
        if stream.index != best.index:
            stream.discard = av.stream.Discard.all
    return best


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    damaged = 0
    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            damaged += 1
            if damaged > DAMAGED_MAX:
                raise
            continue
        for frame in frames:
            damaged = 0
            if not (
                SAMPLE_RATE_HZ_MIN <= frame.sample_rate <= SAMPLE_RATE_HZ_MAX
                and frame.layout.nb_channels <= CHANNELS_MAX
            ):
                raise SourceFault("the source's sample rate or channels are impossible", is_retryable=False)
            yield frame


def _packets(container: InputContainer, stream: AudioStream) -> "Iterator[av.Packet[AudioStream]]":
    """To the end; a read that fails in the middle is a lost connection, not a source of the wrong kind."""
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            raise SourceFault("the connection to the source was lost", is_retryable=True) from None


def _pcm(frames: Iterator[AudioFrame]) -> Iterator[bytes]:
    """16 kHz mono s16le. A source may change its format in the middle; the resampler is then a new one."""
    resampler = None
    shape = None
    for frame in frames:
        if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = av.AudioResampler("s16", "mono", PCM_16K_MONO.sample_rate)
        assert resampler is not None
        for piece in resampler.resample(frame):
            # A plane is padded to the codec's alignment; only the frame's own samples count.
            yield bytes(piece.planes[0])[: piece.samples * PCM_16K_MONO.bytes_per_step]


def _write(pcm: bytes) -> None:
    for start in range(0, len(pcm), BLOCK_BYTES):
        block = pcm[start : start + BLOCK_BYTES]
        rest = memoryview(LENGTH.pack(len(block)) + block)
        while rest:
            rest = rest[os.write(1, rest) :]


def _line() -> bytes:
    """The job. Read byte by byte: what stands behind it is for the thread that watches."""
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return line


if __name__ == "__main__":
    main()
