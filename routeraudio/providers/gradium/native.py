"""Gradium as its own clients see it: base64 in text, described by the first message."""

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
    base64_bytes,
    pcm_rate,
    text_reader,
    value,
)


class _Text(msgspec.Struct):
    type: msgspec.Raw = NO_VALUE
    audio: msgspec.Raw = NO_VALUE
    input_format: msgspec.Raw = NO_VALUE


def _read(text: _Text) -> Heard:
    if value(text.type) == "setup":
        return Heard(rate=_rate(value(text.input_format)))
    return Heard(base64_bytes(text.audio))


def _rate(name: object) -> int:
    encoding, _, hz = name.partition("_") if isinstance(name, str) else ("", "", "")
    if encoding == "pcm":
        return pcm_rate(hz or 24_000)
    return pcm_rate(hz, bytes_per_sample=1) if encoding in ("ulaw", "mulaw", "alaw") else BY_THE_CLOCK


def _meter(_handshake: Handshake) -> AudioCounter:
    is_set_up = False

    def read(text: _Text) -> Heard:
        nonlocal is_set_up
        heard = _read(text)
        if heard.rate is not None:
            heard = NOTHING if is_set_up else heard
            is_set_up = True
        return heard

    def unread() -> None:
        """It may have been the start, at a rate that is not known here: a later one is not believed."""
        nonlocal is_set_up
        is_set_up = True

    return AudioCounter(BY_THE_CLOCK, text_reader(_Text, read, unread=unread), has_binary_audio=False)


NATIVE: Final = NativeProtocol(
    default_path="/api/speech/asr",
    paths=re.compile(r"/api/speech/asr"),
    key_header="x-api-key",
    headers=USER_AGENT | {"x-api-source"},
    meter=_meter,
    end_of_audio=lambda _: '{"type":"end_of_stream"}',
    # As the vendor's REST side answers.
    refusal=lambda status, message: f"error from server {1008 if status < 500 else 1011}: {message}".encode(),
    refusal_type="text/plain",
)
