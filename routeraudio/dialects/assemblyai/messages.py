"""What travels in AssemblyAI's protocol. Every member stands in every message, and times are integers."""

from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.dialects.base import StreamRequest
from routeraudio.model.errors import ClientFault, Fault


class Begin(msgspec.Struct, tag="Begin"):
    id: str
    expires_at: int
    """Unix time, seconds."""


class SpeechStarted(msgspec.Struct, tag="SpeechStarted"):
    timestamp: int
    """Milliseconds of audio."""


class WordMessage(msgspec.Struct, gc=False, omit_defaults=True):
    text: str
    start: int
    """Milliseconds of audio."""
    end: int
    confidence: float
    word_is_final: bool
    speaker: str | None = None
    """`A`, `B`, … in the order of appearance."""


class Turn(msgspec.Struct, tag="Turn"):
    turn_order: int
    turn_is_formatted: bool
    end_of_turn: bool
    transcript: str
    """The turn so far."""
    utterance: str
    """The same, at its end."""
    end_of_turn_confidence: float
    words: list[WordMessage]


class Termination(msgspec.Struct, tag="Termination"):
    audio_duration_seconds: int
    session_duration_seconds: int


class ErrorMessage(msgspec.Struct, tag="Error"):
    error_code: int
    error: str


class _Refusal(msgspec.Struct):
    error: str


_encode: Final = msgspec.json.Encoder().encode


def text(message: msgspec.Struct) -> str:
    """As it is sent."""
    return _encode(message).decode()


def bad_request(faults: Sequence[ClientFault]) -> bytes:
    """The body of an HTTP 400, naming every fault."""
    return _encode(_Refusal("; ".join(fault.message for fault in faults)))


def refusal(wish: StreamRequest, fault: Fault) -> bytes:
    """The body of an HTTP 401 or 403."""
    if fault.code == "unauthorized" and wish.key is None and wish.token is None:
        # Our usual sentence names the header of another protocol.
        return _encode(_Refusal("no key; send one as the Authorization header"))
    return _encode(_Refusal(fault.message))
