"""What Vachana says: its messages and its refusals.

From SDK 0.8.2, `_parse_stream_message`; fields that nothing here needs are left out.
"""

import msgspec


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


# Refusals of the upgrade.


class Detail(msgspec.Struct):
    """Its inner part."""

    error_code: str = ""
    type: str = ""
    message: str = ""


class Refusal(msgspec.Struct):
    """The two shapes that the vendor's own client has met."""

    detail: Detail | str = ""
    error: Detail | str = ""
