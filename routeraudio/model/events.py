"""What an adapter reports about one upstream, and what a dialect turns into client messages.

All positions are whole milliseconds on the *session's* audio timeline: 0 is the first sample the client
sent, whatever happened to upstream connections meanwhile.
"""

import msgspec

from routeraudio.model.errors import Fault


class Word(msgspec.Struct, frozen=True, gc=False):
    """One recognised word."""

    text: str
    start_ms: int
    end_ms: int
    speaker: str | None = None
    confidence: float | None = None
    """From 0 to 1; None where the vendor tells none."""


class Ready(msgspec.Struct, frozen=True):
    """The upstream accepts audio now."""

    upstream_id: str | None = None
    """The vendor's own session or request id, for support cases."""


class Partial(msgspec.Struct, frozen=True):
    """The whole open utterance so far; replaces the previous partial."""

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] | None = None
    """None where the vendor gives no word detail."""
    channel: int | None = None
    """From 0, with `Options.multichannel`: each channel has utterances and turns of its own. None: all are mixed."""
    provider: str | None = None
    """Who said it, where that is another one than the session began with."""


class Final(msgspec.Struct, frozen=True):
    """Text that will not change; closes the open utterance."""

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] | None = None
    channel: int | None = None
    provider: str | None = None


class TurnEnd(msgspec.Struct, frozen=True):
    """The vendor says that the speaker's turn is over. Comes after the final of that turn."""

    end_ms: int
    channel: int | None = None
    provider: str | None = None


class Lost(msgspec.Struct, frozen=True):
    """No text will come of a stretch of audio: the provider has failed at it, and nobody is left to hear it again."""

    start_ms: int
    end_ms: int


class Usage(msgspec.Struct, frozen=True):
    """What the vendor says it heard and will bill."""

    audio_ms: int


class Notice(msgspec.Struct, frozen=True):
    """Something the vendor said that is neither text nor a fault: a warning, an unknown message."""

    code: str
    """Closed vocabulary or the vendor's own code; never carries transcript text."""


class Raw(msgspec.Struct, frozen=True):
    """A vendor message as it came, for clients that asked for `parse_json=false`."""

    message: str | bytes


class Failed(msgspec.Struct, frozen=True):
    """The upstream cannot go on. The last event of an upstream."""

    fault: Fault


class Finished(msgspec.Struct, frozen=True):
    """The upstream has said its last word after `finish()`. The last event of an upstream."""


class Served(msgspec.Struct, frozen=True):
    """One connection's part of a session."""

    provider: str
    start_ms: int
    """On the session's timeline; what it was sent again begins before the end of the one before."""
    end_ms: int
    ending: str
    """`ok`, `rotated`, or the code of the fault that it was lost with."""


class Summary(msgspec.Struct, frozen=True):
    """How a session went, told at its end to a client that asked."""

    received_ms: int
    """Audio the client sent."""
    sent_ms: int
    """Of it, audio the provider was sent."""
    finalised_ms: int
    """Of what was sent, audio whose text is final, or that the provider has heard out and found nothing in."""
    connections: int
    """To the provider; more than one where the vendor ends connections by the clock."""
    warnings: tuple[str, ...] = ()
    """What was found in the client's audio that it should know."""
    served: tuple[Served, ...] = ()
    """Who had which part, in order; of very many connections the last ones."""


Event = Ready | Partial | Final | TurnEnd | Lost | Usage | Notice | Raw | Failed | Finished | Summary


def moved(event: Event, by_ms: int, generation: int = 0, provider: str | None = None) -> Event:
    """``event`` of a later connection as part of the session.

    Every connection counts its speakers anew, and nobody can tell whether its first is the first of the one before.
    So from the second connection on labels say whose they are: `0` becomes `1.0`, then `2.0`.

    Args:
        by_ms: where the connection's audio begins on the session's timeline.
        generation: how many connections came before.
        provider: who says it, where that is another one than the session began with.
    """
    if not (by_ms or generation or provider):
        return event
    if isinstance(event, Lost):
        return Lost(event.start_ms + by_ms, event.end_ms + by_ms)
    if isinstance(event, Partial | Final):
        words = event.words
        if words is not None:
            prefix = f"{generation}." if generation else ""
            words = tuple(_moved(word, by_ms, prefix) for word in words)
        start_ms, end_ms = event.start_ms + by_ms, event.end_ms + by_ms
        return type(event)(event.text, start_ms, end_ms, words, event.channel, provider)
    if isinstance(event, TurnEnd):
        return TurnEnd(event.end_ms + by_ms, event.channel, provider)
    return event


def _moved(word: Word, by_ms: int, prefix: str) -> Word:
    speaker = None if word.speaker is None else prefix + word.speaker
    return Word(word.text, word.start_ms + by_ms, word.end_ms + by_ms, speaker, word.confidence)
