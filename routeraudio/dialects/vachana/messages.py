"""What travels at `/stt/v3/stream`, in the vendor's spelling."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from routeraudio.dialects.base import StreamRequest
from routeraudio.model.errors import ClientFault, Fault

CHUNK_SAMPLES: Final = 512
"""In a frame as the vendor's clients send it, at every sample rate."""

FRAME_BYTES: Final = CHUNK_SAMPLES * 2


class Configuration(msgspec.Struct, omit_defaults=True):
    """What is in force. The vendor's clients read the first two."""

    sample_rate: int
    chunk_size: int
    lang_code: str
    format: str
    itn_native_numerals: bool
    provider: str
    itn: str | None = None
    """`unavailable`: `transcribe` was asked for, and text comes as the provider writes it."""


class Connected(msgspec.Struct, tag_field="type", tag="connected"):
    message: str
    request_id: str
    timestamp: str
    config: Configuration


class Processing(msgspec.Struct, tag_field="type", tag="processing"):
    timestamp: str


class Transcript(msgspec.Struct, tag_field="type", tag="transcript"):
    timestamp: str
    text: str
    audio_duration_ms: int
    segment_id: str
    segment_index: str
    """A decimal number; the vendor's SDK types it so."""
    latency: int
    """Milliseconds from the end of speech to this message."""
    detected_language: str | None
    is_final: bool | msgspec.UnsetType = msgspec.UNSET
    """Only there where partials were asked for."""


class Error(msgspec.Struct, tag_field="type", tag="error"):
    message: str
    timestamp: str


class SpeechStart(msgspec.Struct, tag_field="type", tag="speech_start"):
    timestamp: str


class SpeechEnd(msgspec.Struct, tag_field="type", tag="speech_end"):
    timestamp: str


Told = Connected | Processing | Transcript | Error | SpeechStart | SpeechEnd


class _FromClient(msgspec.Struct):
    type: str


class _Detail(msgspec.Struct):
    error_code: str
    message: str
    status_code: int


class _Refusal(msgspec.Struct):
    detail: _Detail


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_FromClient).decode


def schema() -> dict[str, Any]:
    """The JSON schema of every message to a client."""
    return msgspec.json.schema(Told)


def text(told: Told) -> str:
    """A message as it travels."""
    return _encode(told).decode()


def stamp(now_s: float) -> str:
    """ISO 8601 in UTC, with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(now_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_end_of_stream(message: str) -> bool:
    """Whether a text message says that no more audio comes. All others are ignored, whatever is in them."""
    try:
        return _decode(message).type == "end_of_stream"
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False


def bad_request(faults: Sequence[ClientFault]) -> bytes:
    """The body of an HTTP 400, naming every fault."""
    return _refusal("BAD_REQUEST", "; ".join(fault.message for fault in faults), 400)


def refusal(wish: StreamRequest, fault: Fault) -> bytes:
    """The body of an HTTP 401 or 403."""
    if fault.code != "unauthorized":
        return _refusal("FORBIDDEN", fault.message, 403)
    if wish.key is None and wish.token is None:
        # Our usual sentence names the header of another protocol.
        return _refusal("MISSING_API_KEY", "no key; send one in the header x-api-key-id", 401)
    return _refusal("UNAUTHORIZED", fault.message, 401)


def _refusal(code: str, message: str, status: int) -> bytes:
    return _encode(_Refusal(_Detail(code, message, status)))
