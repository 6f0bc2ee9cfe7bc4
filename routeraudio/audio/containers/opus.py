"""Opus as containers carry it: its identification header and the durations of its packets.

Sources: RFC 6716 section 3 (packets), RFC 7845 section 5.1 (header).
"""

import struct
from typing import Final

from routeraudio.audio.containers.packets import CHANNELS_MAX, Header, Packet, audio_error

SAMPLE_RATE: Final = 48_000
"""Opus counts and is decoded at this rate, whatever the source had."""

PACKET_SAMPLES_MAX: Final = SAMPLE_RATE * 120 // 1000
PACKET_BYTES_MAX: Final = 61_440
"""48 frames of 1275 bytes and their lengths are the most that 120 ms can take (RFC 7845 section 6)."""

_HEAD: Final = struct.Struct("<8sBBHIhB")


def _frame_samples(config: int) -> int:
    """Table 2 of RFC 6716: SILK 10 to 60 ms, hybrid 10 and 20 ms, CELT 2.5 to 20 ms."""
    if config < 12:
        return (480, 960, 1920, 2880)[config % 4]
    if config < 16:
        return (480, 960)[config % 2]
    return (120, 240, 480, 960)[config % 4]


_FRAMES: Final = (1, 2, 2, 0)
_SAMPLES: Final = tuple(_FRAMES[toc & 3] * _frame_samples(toc >> 3) for toc in range(256))
"""By the first byte of a packet; 0: its second byte says how many frames."""


def samples(packet: bytes) -> int:
    """How long a packet lasts, in samples at 48 kHz; 0: no Opus packet begins like this."""
    if not packet:
        return 0
    toc = packet[0]
    known = _SAMPLES[toc]
    if known:
        return known
    if len(packet) < 2:
        return 0
    total = (packet[1] & 0x3F) * _frame_samples(toc >> 3)
    return total if total <= PACKET_SAMPLES_MAX else 0


def packet(data: bytes, *, trim_samples: int = 0) -> Packet | None:
    """``data`` as a packet; None: it has no duration, so that it cannot stand for any audio."""
    length = samples(data)
    return Packet(data, length, min(trim_samples, length)) if length else None


def header(head: bytes) -> Header:
    """What an identification header says.

    Raises:
        ClientFault: it is none, or describes more than one stereo stream.
    """
    if len(head) < _HEAD.size or not head.startswith(b"OpusHead"):
        raise audio_error("expected an Opus identification header, found none")
    _, version, channels, skip, _, gain_q8, family = _HEAD.unpack_from(head)
    if version > 15:
        raise audio_error(f"expected version 1 of the Opus header, found {version >> 4}.{version & 15}")
    if not 1 <= channels <= CHANNELS_MAX:
        raise audio_error(f"expected 1 or 2 channels of Opus, found {channels}; mix them down before sending")
    if family and head[_HEAD.size :] != bytes((1, channels - 1, *range(channels))):
        raise audio_error(f"expected one Opus stream, found several (channel mapping family {family})")
    return Header("opus", SAMPLE_RATE, channels, skip, gain_q8)


def identification(header: Header, skip_samples: int = 0) -> bytes:
    """The header in our own words: what a client wrote reaches nobody. A decoder of ours skips nothing itself."""
    return _HEAD.pack(b"OpusHead", 1, header.channels, skip_samples, SAMPLE_RATE, header.gain_q8, 0)


def silence(length: int) -> list[bytes]:
    """Packets that decode to ``length`` samples of silence at 48 kHz, or up to 2.5 ms less (RFC 6716 section 4.3)."""
    packets = []
    for config, duration in ((31, 960), (30, 480), (29, 240), (28, 120)):
        count, length = divmod(length, duration)
        packets += [bytes((config << 3, 0xFF, 0xFE))] * count
    return packets
