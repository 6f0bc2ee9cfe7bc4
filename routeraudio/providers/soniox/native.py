"""Soniox as its own clients see it: binary audio, described by the first message.

Old clients also send their key in it.
"""

import re
from typing import Final

import msgspec

from routeraudio.providers.native import (
    BY_THE_CLOCK,
    NO_VALUE,
    NOTHING,
    USER_AGENT,
    AudioCounter,
    Handshake,
    Heard,
    NativeProtocol,
    as_json,
    pcm_rate,
    snake_case,
    text_reader,
    value,
)


class _Start(msgspec.Struct):
    audio_format: msgspec.Raw = NO_VALUE
    sample_rate: msgspec.Raw = NO_VALUE
    num_channels: msgspec.Raw = NO_VALUE


_PCM: Final = re.compile(r"pcm_[suf](8|16|24|32|64)(?:[lb]e)?")


def _read(start: _Start) -> Heard:
    if not bytes(start.audio_format):
        return NOTHING
    name = str(value(start.audio_format))
    pcm = _PCM.fullmatch(name)
    bytes_per_sample = int(pcm[1]) // 8 if pcm else 1 if name in ("mulaw", "alaw") else None
    if bytes_per_sample is None:
        return Heard(rate=BY_THE_CLOCK)
    hz, channels = str(value(start.sample_rate)), str(value(start.num_channels))
    return Heard(rate=pcm_rate(hz, bytes_per_sample=bytes_per_sample, channels=channels))


def _meter(_handshake: Handshake) -> AudioCounter:
    started = False

    def read(start: _Start) -> Heard:
        nonlocal started
        heard = NOTHING if started else _read(start)
        started = True
        return heard

    def unread() -> None:
        """It may have been the start, at a rate that is not known here: a later one is not believed."""
        nonlocal started
        started = True

    return AudioCounter(BY_THE_CLOCK, text_reader(_Start, read, unread=unread))


NATIVE: Final = NativeProtocol(
    default_path="/transcribe-websocket",
    paths=re.compile(r"/transcribe-websocket"),
    key_header="authorization",
    key_scheme="Bearer ",
    key_member="api_key",
    headers=USER_AGENT,
    meter=_meter,
    end_of_audio=lambda _: "",
    refusal=lambda status, message: as_json(
        {"error_code": status, "error_type": snake_case(status), "error_message": message}
    ),
)
