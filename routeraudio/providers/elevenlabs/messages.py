"""ElevenLabs' realtime messages, errors and credentials, as `elevenlabs` reads and writes them.

Documentation: Python SDK 2.78.0 (`elevenlabs.types`), the vendor's AsyncAPI file of 2026-08-22.
"""

from typing import Final

import msgspec

from routeraudio.model.errors import Fault, UpstreamFault, unauthorized
from routeraudio.providers import decoding
from routeraudio.providers.base import Credential, header_secret

TITLE: Final = "ElevenLabs"

_RETRYABLE: Final = frozenset(
    {
        "rate_limited",
        "queue_overflow",
        "resource_exhausted",
        "transcriber_error",
        "session_time_limit_exceeded",
    }
)
"""From their meanings; the vendor does not say. All others are about what we sent, the key or the account."""

NOTHING_LEFT: Final = frozenset({"commit_throttled", "insufficient_audio_activity"})
"""Answers to a commit that had nothing to commit. Not in themselves a fault; the server may close after them."""

ERRORS: Final = _RETRYABLE | {
    "error",
    "auth_error",
    "quota_exceeded",
    "unaccepted_terms",
    "unaccepted_terms_error",
    "invalid_request",
    "input_error",
    "chunk_size_exceeded",
}
"""Faults even without a readable `error` field."""

_TOKEN_PREFIX: Final = "sutkn_"  # noqa: S105  (how every single-use token begins, seen)


class Word(msgspec.Struct, gc=False):
    text: str
    type: str = "word"
    """`word`, `spacing` or `audio_event`."""
    start: float | None = None
    end: float | None = None
    speaker_id: str | None = None


class Started(msgspec.Struct, tag_field="message_type", tag="session_started"):
    session_id: str | None = None


class Partial(msgspec.Struct, tag_field="message_type", tag="partial_transcript"):
    text: str


class Settled(msgspec.Struct, tag_field="message_type", tag="final_transcript"):
    """Settled and not yet committed; in the AsyncAPI file, never seen."""

    text: str


class SettledTimed(msgspec.Struct, tag_field="message_type", tag="final_transcript_with_timestamps"):
    text: str


class Committed(msgspec.Struct, tag_field="message_type", tag="committed_transcript"):
    text: str


class Timed(msgspec.Struct, tag_field="message_type", tag="committed_transcript_with_timestamps"):
    text: str
    words: list[Word] | None = None


Message = Started | Partial | Settled | SettledTimed | Committed | Timed

DECODER: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(Message)


class Other(msgspec.Struct):
    """Everything else. What holds an `error` is one, whatever its type (elevenlabs/packages#354)."""

    message_type: str = ""
    error: object = None
    message: object = None


OTHER_DECODER: Final = msgspec.json.Decoder(Other)


def authentication(
    credential: Credential | None,
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Headers and query: a key goes into a header, a single-use token into the query, never both.

    Raises:
        ClientFault: the key cannot stand in a header.
    """
    if credential is None:
        return (), ()
    secret = header_secret(credential, TITLE)
    if secret.startswith(_TOKEN_PREFIX):
        return (), (("token", secret),)
    return (("xi-api-key", secret),), ()


def fault(other: Other, credential: Credential | None) -> Fault:
    """An error message; `message` is what some recordings have for `error`."""
    text = next((text for text in (other.error, other.message) if isinstance(text, str)), "")
    said = decoding.words(": ".join(part for part in (other.message_type, text) if part), credential)
    if other.message_type == "auth_error" and credential is not None and credential.is_clients_own:
        return unauthorized(f"{TITLE} refused the API key you sent ({said}); check the key")
    is_retryable = other.message_type in _RETRYABLE
    return UpstreamFault(f"{TITLE} reported an error: {said}", is_retryable=is_retryable)


class _Detail(msgspec.Struct):
    status: str = ""
    message: str = ""


class _Refusal(msgspec.Struct):
    """The form of the vendor's HTTP API; that upgrades are refused in it is a guess."""

    detail: _Detail | str = ""


_REFUSAL_DECODER: Final = msgspec.json.Decoder(_Refusal)


def refusal_words(body: bytes) -> str:
    """What a refusal says, e.g. `invalid_api_key: Invalid API key`; empty if it cannot be read."""
    try:
        detail = _REFUSAL_DECODER.decode(body).detail
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""  # a proxy's HTML page, for example: the HTTP status says enough
    if isinstance(detail, str):
        return detail
    return ": ".join(part for part in (detail.status, detail.message) if part)
