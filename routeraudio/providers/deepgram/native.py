"""Deepgram as its own clients see it: binary audio, described by the query.

Without `encoding` it is a container, which is recognised from its bytes.
"""

import re
from http import HTTPStatus
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

_SAMPLES: Final = {"linear16": 2, "linear32": 4, "mulaw": 1, "alaw": 1}


def _meter(handshake: Handshake) -> AudioCounter:
    bytes_per_sample = _SAMPLES.get(handshake.parameter("encoding"))
    if bytes_per_sample is None:
        return AudioCounter(BY_THE_CLOCK)
    rate = pcm_rate(
        handshake.parameter("sample_rate"),
        bytes_per_sample=bytes_per_sample,
        channels=handshake.parameter("channels", "1"),
    )
    return AudioCounter(rate)


_CODES: Final = {
    401: "INVALID_AUTH",
    402: "ASR_PAYMENT_REQUIRED",
    403: "INSUFFICIENT_PERMISSIONS",
    429: "TOO_MANY_REQUESTS",
}


_LISTS: Final = frozenset(
    ("extra", "keyterm", "keywords", "language_hint", "redact", "replace", "search", "tag")
)

_PARAMETERS: Final = _LISTS | frozenset(
    (
        "channels",
        "detect_entities",
        "diarize",
        "diarize_model",
        "dictation",
        "eager_eot_threshold",
        "encoding",
        "endpointing",
        "eot_threshold",
        "eot_timeout_ms",
        "filler_words",
        "interim_results",
        "language",
        "mip_opt_out",
        "model",
        "multichannel",
        "no_delay",
        "numerals",
        "profanity_filter",
        "punctuate",
        "sample_rate",
        "smart_format",
        "utterance_end_ms",
        "vad_events",
        "version",
    )
)
"""All of `/v1/listen` and `/v2/listen` but `callback` and `callback_method`, which send transcripts elsewhere."""


NATIVE: Final = NativeProtocol(
    default_path="/v1/listen",
    paths=re.compile(r"/v[12]/listen"),
    key_header="authorization",
    key_scheme="Token ",
    headers=USER_AGENT | {"x-deepgram-session-id"},
    model_parameter="model",
    parameters=_PARAMETERS,
    lists=_LISTS,
    meter=_meter,
    end_of_audio=lambda _: '{"type":"CloseStream"}',
    refusal=lambda status, message: as_json(
        {"err_code": _CODES.get(status, HTTPStatus(status).phrase), "err_msg": message}
    ),
)
