"""ElevenLabs as its own clients see it: base64 in text. The rate stands in every message, else in `audio_format`."""

import re
from typing import Final

import msgspec

from routeraudio.providers.native import (
    NO_VALUE,
    USER_AGENT,
    AudioCounter,
    Handshake,
    Heard,
    NativeProtocol,
    as_json,
    base64_bytes,
    pcm_rate,
    snake_case,
    text_reader,
)


class _Text(msgspec.Struct):
    audio_base_64: msgspec.Raw = NO_VALUE
    sample_rate: msgspec.Raw = NO_VALUE


_HZ: Final = {str(hz).encode(): hz for hz in (8000, 16000, 22050, 24000, 44100, 48000)}
"""As they stand in messages. Another one is not believed."""


def _meter(handshake: Handshake) -> AudioCounter:
    encoding, _, hz = handshake.parameter("audio_format", "pcm_16000").partition("_")
    bytes_per_sample = {"pcm": 2, "ulaw": 1}.get(encoding, 0)
    usual = pcm_rate(hz, bytes_per_sample=bytes_per_sample)

    def read(text: _Text) -> Heard:
        said = _HZ.get(bytes(text.sample_rate), 0) * bytes_per_sample
        return Heard(base64_bytes(text.audio_base_64), said or usual)

    return AudioCounter(usual, text_reader(_Text, read), has_binary_audio=False)


NATIVE: Final = NativeProtocol(
    default_path="/v1/speech-to-text/realtime",
    paths=re.compile(r"/v1/speech-to-text/realtime"),
    key_header="xi-api-key",
    headers=USER_AGENT,
    model_parameter="model_id",
    meter=_meter,
    refusal=lambda status, message: as_json({"detail": {"status": snake_case(status), "message": message}}),
)
