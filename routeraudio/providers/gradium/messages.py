"""Gradium's messages.

Reference: https://docs.gradium.ai (2026-11), SDK 0.6.4.
"""

import msgspec


class Reading(msgspec.Struct, gc=False):
    """The vendor's prediction that nobody will speak during the next seconds."""

    horizon_s: float
    inactivity_prob: float


class Ready(msgspec.Struct, tag="ready"):
    request_id: str | None = None
    delay_in_frames: float | None = None
    delay_in_tokens: float | None = None
    """The name that older servers use."""


class Step(msgspec.Struct, tag="step"):
    vad: list[Reading]
    total_duration_s: float


class Text(msgspec.Struct, tag="text"):
    text: str
    start_s: float
    stream_id: int | None = None


class EndText(msgspec.Struct, tag="end_text"):
    stop_s: float
    stream_id: int | None = None


class Flushed(msgspec.Struct, tag="flushed"):
    flush_id: int | str | None = None


class EndOfStream(msgspec.Struct, tag="end_of_stream"):
    pass


class Error(msgspec.Struct, tag="error"):
    message: str = ""
    code: int | None = None


Said = Ready | Step | Text | EndText | Flushed | EndOfStream | Error


class Refusal(msgspec.Struct):
    """The body of an HTTP refusal: `detail` or `error` (SDK 0.6.4, `_fetch`), where it is not plain text."""

    detail: str = ""
    error: str = ""
