"""Whose fault an error message of ElevenLabs' is."""

from typing import Final

from routeraudio.model.errors import Fault
from routeraudio.providers.decoding import colon_joined, refusal_reader
from routeraudio.providers.elevenlabs.messages import Other, Refusal
from routeraudio.providers.faults import Faults

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


def error(faults: Faults, other: Other) -> Fault:
    """An error message; `message` is what some recordings have for `error`."""
    text = next((text for text in (other.error, other.message) if isinstance(text, str)), "")
    return faults.reported(
        colon_joined(other.message_type, text),
        is_about_key=other.message_type == "auth_error",
        is_retryable=other.message_type in _RETRYABLE,
    )


def _words(refused: Refusal) -> str:
    """`invalid_api_key: Invalid API key`, for example."""
    detail = refused.detail
    return detail if isinstance(detail, str) else colon_joined(detail.status, detail.message)


refusal_words: Final = refusal_reader(Refusal, _words)
"""What the body of a refusal says."""
