"""ElevenLabs' realtime messages.

Reference: Python SDK 2.78.0 (`elevenlabs.types`), the vendor's AsyncAPI file of 2026-08-22.
"""

from typing import Final

import msgspec


class Word(msgspec.Struct, gc=False):
    text: str
    type: str = "word"
    """`word`, `spacing` or `audio_event`."""
    start: float | None = None
    end: float | None = None
    speaker_id: str | None = None
    logprob: float | None = None


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


Said = Started | Partial | Settled | SettledTimed | Committed | Timed

DECODER: Final[msgspec.json.Decoder[Said]] = msgspec.json.Decoder(Said)


class Other(msgspec.Struct):
    """Everything else. What holds an `error` is one, whatever its type (elevenlabs/packages#354)."""

    message_type: str = ""
    error: object = None
    message: object = None


OTHER_DECODER: Final = msgspec.json.Decoder(Other)


class Detail(msgspec.Struct):
    """Its inner part."""

    status: str = ""
    message: str = ""


class Refusal(msgspec.Struct):
    """The form of the vendor's HTTP API; that upgrades are refused in it is a guess."""

    detail: Detail | str = ""
