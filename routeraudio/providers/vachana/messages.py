"""What Vachana says: its messages, its refusals, and what its words mean.

From SDK 0.8.2, `_parse_stream_message`; fields that nothing here needs are left out.
"""

import re
from typing import Final

import msgspec

from routeraudio.providers import decoding
from routeraudio.providers.base import Credential

KEY_WORDS: Final = re.compile(r"\bapi[ _-]?key\b|auth|credential|forbidden|revoked", re.IGNORECASE)
"""What an `error` says about a key. INFERRED from the REST interface's codes (`UNAUTHORIZED`, `MISSING_API_KEY`)."""

PASSING_WORDS: Final = re.compile(
    r"internal|unavailable|overload|timed?.?out|try again|rate.?limit|too many", re.IGNORECASE
)
"""What it says when the same may succeed later. INFERRED likewise (`RATE_LIMITED`, `SERVICE_UNAVAILABLE`)."""


class Connected(msgspec.Struct, tag="connected"):
    """Audio may follow."""

    request_id: str | None = None
    """Older edition only."""


class Processing(msgspec.Struct, tag="processing"):
    """An utterance is over; its text follows."""


class Transcript(msgspec.Struct, tag="transcript"):
    """What was said."""

    text: str
    audio_duration_ms: float | None = None
    segment_id: str | int | None = None
    is_final: bool = True
    """Never seen false; pipecat's plugin honours it."""


class Error(msgspec.Struct, tag="error"):
    """A refusal, or the end."""

    message: str = ""


class SpeechStart(msgspec.Struct, tag="speech_start"):
    """Somebody begins to speak."""


class VadStart(msgspec.Struct, tag="vad_start"):
    """The same."""


class SpeechEnd(msgspec.Struct, tag="speech_end"):
    """Somebody has stopped speaking."""


class VadEnd(msgspec.Struct, tag="vad_end"):
    """The same."""


Said = Connected | Processing | Transcript | Error | SpeechStart | VadStart | SpeechEnd | VadEnd
"""The last four are not documented; the vendor's clients take them."""

DECODER: Final[msgspec.json.Decoder[Said]] = msgspec.json.Decoder(Said)


# Refusals of the upgrade.


class _Detail(msgspec.Struct):
    error_code: str = ""
    type: str = ""
    message: str = ""


class _Refusal(msgspec.Struct):
    """The two shapes that the vendor's own client has met."""

    detail: _Detail | str = ""
    error: _Detail | str = ""


_REFUSAL_DECODER: Final = msgspec.json.Decoder(_Refusal)


def refusal_words(body: bytes, credential: Credential | None) -> str:
    """What a refusal says, e.g. `UNAUTHORIZED: Invalid API key`; empty if it cannot be read."""
    try:
        refused = _REFUSAL_DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""  # a proxy's HTML page, for example: the HTTP status says enough
    said = refused.detail or refused.error
    if isinstance(said, _Detail):
        said = ": ".join(part for part in (said.error_code or said.type, said.message) if part)
    return decoding.words(said, credential)
