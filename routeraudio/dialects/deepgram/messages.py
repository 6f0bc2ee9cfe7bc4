"""What travels in Deepgram's protocols. Members stand in every message: old clients fail for those that are missing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import msgspec

from routeraudio.dialects.base import StreamRequest
from routeraudio.model.errors import ClientFault, Fault

TRANSACTION_KEY: Final = "deprecated"
"""What the vendor sends itself."""

UNSUPPORTED: Final = "CONFIGURE_UNSUPPORTED"


# Nova.


class WordMessage(msgspec.Struct, gc=False, omit_defaults=True):
    word: str
    start: float
    end: float
    confidence: float
    punctuated_word: str
    speaker: int | None = None


class Alternative(msgspec.Struct):
    transcript: str
    confidence: float
    words: list[WordMessage]


class Channel(msgspec.Struct):
    alternatives: list[Alternative]


class ModelInfo(msgspec.Struct, frozen=True):
    name: str
    version: str
    arch: str


class ResultsMetadata(msgspec.Struct, frozen=True):
    request_id: str
    model_uuid: str
    model_info: ModelInfo


class Results(msgspec.Struct, tag="Results"):
    channel_index: tuple[int, int]
    """Which channel, of how many."""
    start: float
    duration: float
    is_final: bool
    speech_final: bool
    from_finalize: bool
    channel: Channel
    metadata: ResultsMetadata


class SpeechStarted(msgspec.Struct, tag="SpeechStarted"):
    channel: tuple[int, int]
    timestamp: float


class UtteranceEnd(msgspec.Struct, tag="UtteranceEnd"):
    channel: tuple[int, int]
    last_word_end: float


class Metadata(msgspec.Struct, tag="Metadata", kw_only=True):
    transaction_key: str = TRANSACTION_KEY
    request_id: str
    sha256: str
    """Of the audio as it was received."""
    created: str
    duration: float
    """Seconds."""
    channels: int
    models: list[str]
    model_info: dict[str, ModelInfo]


class NovaConfigureFailure(msgspec.Struct, tag="ConfigureFailure"):
    request_id: str
    code: str
    description: str


class NovaError(msgspec.Struct, tag="Error"):
    variant: str
    description: str
    message: str


# Flux.


class FluxWord(msgspec.Struct, gc=False):
    word: str
    confidence: float
    start: float
    end: float


class Connected(msgspec.Struct, tag="Connected"):
    request_id: str
    sequence_id: int


class TurnInfo(msgspec.Struct, tag="TurnInfo", kw_only=True, omit_defaults=True):
    request_id: str
    sequence_id: int
    event: str
    turn_index: int
    audio_window_start: float
    audio_window_end: float
    transcript: str
    words: list[FluxWord]
    end_of_turn_confidence: float
    trigger: str | None = None
    """Of `EndOfTurn`: what ended the turn."""


class FluxConfigureFailure(msgspec.Struct, tag="ConfigureFailure"):
    request_id: str
    sequence_id: int
    code: str
    error_code: str
    description: str


class FluxError(msgspec.Struct, tag="Error"):
    sequence_id: int
    code: str
    description: str


# Refusals before the upgrade.


class _Refusal(msgspec.Struct):
    err_code: str
    err_msg: str
    request_id: str


_encode: Final = msgspec.json.Encoder().encode


def text(message: msgspec.Struct) -> str:
    """As it is sent."""
    return _encode(message).decode()


def bad_request(faults: Sequence[ClientFault]) -> bytes:
    """The body of an HTTP 400, naming every fault."""
    return _refusal("Bad Request", "; ".join(fault.message for fault in faults))


def refusal(wish: StreamRequest, fault: Fault) -> bytes:
    """The body of an HTTP 401 or 403."""
    if fault.code != "unauthorized":
        return _refusal("INSUFFICIENT_PERMISSIONS", fault.message)
    if wish.key is None and wish.token is None:
        # Our usual sentence names the header of another protocol.
        return _refusal("INVALID_AUTH", "no key; send one as Authorization: Token KEY")
    return _refusal("INVALID_AUTH", fault.message)


def request_uuid(request_id: str) -> str:
    """Our id in the vendor's spelling."""
    return str(UUID(request_id))


def model_uuid(name: str) -> str:
    """Always the same for the same model."""
    return str(uuid5(NAMESPACE_OID, name))


def stamp(unix_s: float) -> str:
    """ISO 8601 with milliseconds, UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refusal(code: str, message: str) -> bytes:
    return _encode(_Refusal(code, message, str(uuid4())))
