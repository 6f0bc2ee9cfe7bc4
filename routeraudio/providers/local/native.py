"""The local engine as its own clients see it: binary PCM."""

import re
from typing import Final

from routeraudio.providers.native import (
    AudioCounter,
    NativeProtocol,
    as_json,
    pcm_rate,
)

NATIVE: Final = NativeProtocol(
    default_path="/v1/recognise",
    paths=re.compile(r"/v1/recognise"),
    key_header="authorization",
    meter=lambda handshake: AudioCounter(pcm_rate(handshake.parameter("sample_rate", "16000"))),
    end_of_audio=lambda _: '{"type":"finish"}',
    refusal=lambda _, message: as_json({"error": message}),
)
