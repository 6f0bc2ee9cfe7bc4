"""AssemblyAI as its own clients see it: binary audio, described by the query.

Keys: `token`, or `Authorization` without a scheme.
"""

import re
from typing import Final

from routeraudio.providers.native import (
    BY_THE_CLOCK,
    USER_AGENT,
    AudioCounter,
    Handshake,
    NativeProtocol,
    as_json,
    pcm_rate,
)


def _meter(handshake: Handshake) -> AudioCounter:
    bytes_per_sample = {"pcm_s16le": 2, "pcm_mulaw": 1}.get(handshake.parameter("encoding", "pcm_s16le"))
    if bytes_per_sample is None:
        return AudioCounter(BY_THE_CLOCK)
    return AudioCounter(
        pcm_rate(handshake.parameter("sample_rate", "16000"), bytes_per_sample=bytes_per_sample)
    )


NATIVE: Final = NativeProtocol(
    default_path="/v3/ws",
    paths=re.compile(r"/v3/ws"),
    key_header="authorization",
    headers=USER_AGENT | {"assemblyai-version"},
    model_parameter="speech_model",
    meter=_meter,
    end_of_audio=lambda _: '{"type":"Terminate"}',
    refusal=lambda _, message: as_json({"error": message}),
)
