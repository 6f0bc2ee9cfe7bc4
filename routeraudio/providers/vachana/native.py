"""Vachana as its own clients see it: binary audio, everything else in headers."""

import re
from typing import Final

from routeraudio.providers.native import (
    USER_AGENT,
    AudioCounter,
    NativeProtocol,
    as_json,
    pcm_rate,
    snake_case,
)

NATIVE: Final = NativeProtocol(
    default_path="/stt/v3/stream",
    paths=re.compile(r"/stt/v3(/stream)?"),
    key_header="x-api-key-id",
    headers=USER_AGENT
    | {
        "lang_code",
        "x-sample-rate",
        "x-format",
        "itn_native_numerals",
        "x-api-request-id",
        "preferred_language",
    },
    meter=lambda handshake: AudioCounter(pcm_rate(handshake.headers.get("x-sample-rate", "16000"))),
    refusal=lambda status, message: as_json(
        {"detail": {"error_code": snake_case(status).upper(), "message": message, "status_code": status}}
    ),
)
