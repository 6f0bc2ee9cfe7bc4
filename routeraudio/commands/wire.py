"""What the daemon says on `/v1/listen`, as the command line reads it.

Written from the protocol, not shared with the dialect that speaks it: the command is a client like any other.
"""

import msgspec

from routeraudio.commands.errors import Trouble


class Word(msgspec.Struct, frozen=True):
    """One recognised word; times in seconds."""

    text: str
    start_time: float
    end_time: float
    speaker: str | None = None


class Transcript(msgspec.Struct, frozen=True, tag="transcript"):
    """A partial or a final; times in seconds from the start of the audio."""

    transcript: str
    start_time: float
    end_time: float
    is_partial: bool = False
    words: tuple[Word, ...] | None = None


class TurnEnd(msgspec.Struct, frozen=True, tag="turn_end"):
    """The speaker's turn is over."""

    end_time: float | None = None


class Error(msgspec.Struct, frozen=True, tag="error"):
    """Why the connection will be closed."""

    error: str
    code: str | None = None


class _Other(msgspec.Struct, frozen=True):
    type: str


Message = Transcript | TurnEnd | Error

_KNOWN: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_ANY = msgspec.json.Decoder(_Other)


def decode(text: str | bytes) -> Message | None:
    """Read one message; None for a type this client does not know.

    Raises:
        Trouble: what came is not of this protocol.
    """
    try:
        return _KNOWN.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if _tag(text) not in (None, "transcript", "turn_end", "error"):
            return None
        raise Trouble(
            f"the server sent a message that is not of this protocol ({error}); is --url right?"
        ) from None


def _tag(text: str | bytes) -> str | None:
    try:
        return _ANY.decode(text).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
