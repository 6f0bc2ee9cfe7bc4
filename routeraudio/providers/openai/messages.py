"""OpenAI's transcription events, as far as they are used, and what is sent.

Sources: Python SDK 3.51/3.52 `types/realtime`, OpenAPI 2.3.0, guide "Realtime transcription" (2026-11). Both
directions are JSON in text messages; audio travels as base64.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

import msgspec

# From the vendor.


class Session(msgspec.Struct):
    """What both readiness messages describe."""

    id: str = ""


class SessionCreated(msgspec.Struct, tag="session.created"):
    """The vendor's first message."""

    session: Session


class SessionUpdated(msgspec.Struct, tag="session.updated"):
    """The answer to a `session.update`."""

    session: Session


class OldSessionCreated(SessionCreated, tag="transcription_session.created"):
    """The name of the beta, still seen from older services (openai-agents-python takes both)."""


class OldSessionUpdated(SessionUpdated, tag="transcription_session.updated"):
    """See `OldSessionCreated`."""


class SpeechStarted(msgspec.Struct, tag="input_audio_buffer.speech_started"):
    """The vendor's detector heard a voice; the position includes `prefix_padding_ms`."""

    audio_start_ms: float
    item_id: str


class SpeechStopped(msgspec.Struct, tag="input_audio_buffer.speech_stopped"):
    """It no longer hears one; the position includes the silence that told."""

    audio_end_ms: float
    item_id: str


class Committed(msgspec.Struct, tag="input_audio_buffer.committed"):
    """A turn was closed, by the vendor's detector or by our commit."""

    item_id: str


class Delta(msgspec.Struct, tag="conversation.item.input_audio_transcription.delta"):
    """More text of an item; spaces belong to it."""

    item_id: str
    delta: str | None = None


class Used(msgspec.Struct):
    """What a transcription cost: tokens, or seconds."""

    seconds: float | None = None


class Completed(msgspec.Struct, tag="conversation.item.input_audio_transcription.completed"):
    """The text of an item that will not change; it may differ from the deltas."""

    item_id: str
    transcript: str
    usage: Used | None = None


class Problem(msgspec.Struct):
    """What the vendor says went wrong."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    event_id: str | None = None
    """The message of ours that it answers."""


class TranscriptionFailed(msgspec.Struct, tag="conversation.item.input_audio_transcription.failed"):
    """An item without a transcript; the session goes on."""

    item_id: str
    error: Problem


class Error(msgspec.Struct, tag="error"):
    """Something is wrong; most errors leave the session open."""

    error: Problem


class Bookkeeping(msgspec.Struct):
    """Says nothing that `Committed` does not, or nothing that matters here."""


class ItemAdded(Bookkeeping, tag="conversation.item.added"):
    pass


class ItemCreated(Bookkeeping, tag="conversation.item.created"):
    """The same as `ItemAdded`, from older services."""


class ItemDone(Bookkeeping, tag="conversation.item.done"):
    pass


class RateLimits(Bookkeeping, tag="rate_limits.updated"):
    pass


Said = (
    SessionCreated
    | OldSessionCreated
    | SessionUpdated
    | OldSessionUpdated
    | SpeechStarted
    | SpeechStopped
    | Committed
    | Delta
    | Completed
    | TranscriptionFailed
    | Error
    | ItemAdded
    | ItemCreated
    | ItemDone
    | RateLimits
)

DECODER: Final[msgspec.json.Decoder[Said]] = msgspec.json.Decoder(Said)


class _Refusal(msgspec.Struct):
    error: Problem


_REFUSAL_DECODER: Final = msgspec.json.Decoder(_Refusal)


def refusal(body: bytes) -> Problem:
    """What the body of an HTTP refusal says; nothing where it cannot be read."""
    try:
        return _REFUSAL_DECODER.decode(body).error
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Problem()  # a proxy's HTML page, for example: the HTTP status says enough


# To the vendor.

APPEND_BYTES_MAX: Final = 1_048_576
"""Audio in one message; the vendor takes 15 MiB (OpenAPI), nobody needs more than 20 s."""


def update(event_id: str, session: dict[str, Any]) -> str:
    """A `session.update`: fields that are left out keep their values."""
    message = {
        "type": "session.update",
        "event_id": event_id,
        "session": {"type": "transcription"} | session,
    }
    return msgspec.json.encode(message).decode()


def appends(audio: bytes) -> Iterator[str]:
    """Audio for the buffer; no answer comes to it."""
    for start in range(0, len(audio), APPEND_BYTES_MAX):
        piece = b64encode(audio[start : start + APPEND_BYTES_MAX]).decode()
        yield f'{{"type":"input_audio_buffer.append","audio":"{piece}"}}'


def commit(event_id: str) -> str:
    """Close the turn that is in the buffer."""
    return f'{{"type":"input_audio_buffer.commit","event_id":"{event_id}"}}'
