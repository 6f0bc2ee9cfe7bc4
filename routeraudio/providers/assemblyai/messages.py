"""AssemblyAI's messages.

Reference: https://www.assemblyai.com/docs/universal-streaming/message-sequence (2026-11).
"""

import msgspec


class TurnWord(msgspec.Struct, gc=False):
    """One entry of `words`."""

    text: str
    start: float
    end: float
    """ms; whole, but a float takes any number without harm."""
    word_is_final: bool = False
    speaker: str | None = None
    confidence: float | None = None


class Turn(msgspec.Struct, tag="Turn"):
    """A turn so far, or its end."""

    turn_order: int
    end_of_turn: bool
    transcript: str
    turn_is_formatted: bool = False
    words: list[TurnWord] = []
    utterance: str | None = None
    speaker_label: str | None = None


class Begin(msgspec.Struct, tag="Begin"):
    """It is ready."""

    id: str | None = None


class Heartbeat(msgspec.Struct, tag="Heartbeat"):
    """Time has passed."""


class Termination(msgspec.Struct, tag="Termination"):
    """The last message after `Terminate`."""

    audio_duration_seconds: float | None = None


class Error(msgspec.Struct, tag="Error"):
    """The end."""

    error_code: int | None = None
    error: str = ""


Said = Turn | Begin | Heartbeat | Termination | Error
"""`SpeechStarted`, `Silence`, `Warning` and `SpeakerRevision` are left to be noticed: none is text."""


class Refusal(msgspec.Struct):
    """The body of an HTTP refusal."""

    error: str = ""
