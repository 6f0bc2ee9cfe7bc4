"""What a recogniser must do to serve here. Two kinds, told apart by when they compute.

A segment back end (Moonshine, Whisper) hears a whole stretch of speech at a time; partials come from hearing the
open utterance again and again. A stream back end (PocketSphinx, sherpa) takes audio as it comes. Endpointing,
cadence, guards and the timeline are the same for all and are not a back end's business: see `recogniser`.

All audio is 16 kHz mono `pcm_s16le`; all times are milliseconds from the beginning of the utterance.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from routeraudio.engine.wire import HeardWord

WordTimes = Literal["aligned", "native", "none"]
"""Where the times of words come from: the text is aligned with the audio afterwards, the recogniser knows, nobody
does."""


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded back end is and can do."""

    languages: tuple[str, ...]
    """BCP-47; empty: all that the model was made for, of which it tells the language itself."""
    words: WordTimes
    partials: bool = True
    is_latin: bool = True
    """Whether all its languages are written in Latin script: then other letters are inventions."""


class Decoded(msgspec.Struct, frozen=True):
    """What was heard in one stretch of audio; the text may be empty."""

    text: str
    words: tuple[HeardWord, ...] | None = None
    """One for each word of the text that a space sets apart; None: nobody knows when they were said."""
    tokens: tuple[int, ...] = ()
    """The model's own units of the text, for use as a draft; empty where it takes none."""


class SegmentBackend(Protocol):
    """Hears whole stretches of audio."""

    @property
    def traits(self) -> Traits: ...

    def decode(self, pcm: bytes, draft: Sequence[int], language: str | None) -> Decoded:
        """The text of this audio.

        Args:
            draft: tokens that the text begins with, taken as they are; empty: decide all afresh.
            language: BCP-47; None: the model decides.
        """
        ...


@runtime_checkable
class StreamBackend(Protocol):
    """Takes one utterance at a time as its audio comes."""

    @property
    def traits(self) -> Traits: ...

    def accept(self, pcm: bytes) -> None:
        """Audio that follows; the first of an utterance begins it."""
        ...

    def partial(self) -> Decoded:
        """What was heard so far."""
        ...

    def finish(self, pcm: bytes) -> Decoded:
        """The utterance is over. Not everything in `pcm`, all its audio, needs to have been accepted."""
        ...


Backend = SegmentBackend | StreamBackend
