"""How one utterance is heard: a back end of either kind as partials and a final, with the guards and the times of
words."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final, Protocol

import msgspec

from routeraudio.engine.aligning import Aligner
from routeraudio.engine.backend import Backend, Decoded, SegmentBackend, StreamBackend, Traits
from routeraudio.engine.endpointing import BYTES_PER_MS
from routeraudio.engine.guards import guarded
from routeraudio.engine.wire import HeardWord

PARTIAL_MS: Final = 400
PARTIAL_SHARE: Final = 0.2
"""A partial comes when so much of the open utterance is new, in time or as a share: the cost of hearing it again
and again stays a fixed part of real time, however long it gets."""

PADDING: Final = bytes(200 * BYTES_PER_MS)
"""Silence put behind audio that ends in the middle of speech: a last word at the very edge is often misheard."""

STREAM_PARTIAL_MS: Final = 180
"""A back end that takes audio as it comes hears it once, so it may say so more often: about once a word."""

TOKENS_UNSURE: Final = 2
"""The last tokens of a partial still depend on what follows."""


class Passes(Protocol):
    """One utterance after the other."""

    def partial(self, pcm: bytearray) -> Decoded | None:
        """What the open utterance says so far; None: it is not time yet."""
        ...

    def prepare(self, pcm: bytes) -> Decoded | None:
        """This may be all of it: `final` with the same audio is to be quick. Changes no final.

        Returns:
            What it says so far; None: it was prepared before, or cannot be.
        """
        ...

    def final(self, pcm: bytes) -> Decoded:
        """What it says in all. The next call is about another utterance."""
        ...


class SegmentPasses:
    """Hears the whole utterance each time. Partials keep the beginning on which two in a row agreed; finals are
    decoded afresh, so that neither the cadence nor whether there were partials changes them."""

    def __init__(self, backend: SegmentBackend, aligner: Aligner | None, language: str | None) -> None:
        self._backend = backend
        self._aligner = aligner
        self._language = language
        self._heard_bytes = 0
        self._before: tuple[int, ...] = ()
        self._agreed: tuple[int, ...] = ()
        self._prepared: tuple[bytes, Decoded] | None = None

    def partial(self, pcm: bytearray) -> Decoded | None:
        """See `Passes`."""
        due_bytes = max(PARTIAL_MS * BYTES_PER_MS, int(PARTIAL_SHARE * len(pcm)))
        if not self._backend.traits.partials or len(pcm) - self._heard_bytes < due_bytes:
            return None
        self._heard_bytes = len(pcm)
        decoded = self._backend.decode(bytes(pcm) + PADDING, self._agreed, self._language)
        agreed = _common(self._before, decoded.tokens[:-TOKENS_UNSURE])
        self._agreed = max(self._agreed, agreed, key=len)
        self._before = decoded.tokens
        return guarded(decoded, is_latin=self._backend.traits.is_latin)

    def prepare(self, pcm: bytes) -> Decoded | None:
        """See `Passes`."""
        if self._prepared is not None and self._prepared[0] == pcm:
            return None
        self._prepared = (pcm, self._whole(pcm))
        return self._prepared[1]

    def final(self, pcm: bytes) -> Decoded:
        """See `Passes`."""
        self._heard_bytes = 0
        self._before = self._agreed = ()
        self.prepare(pcm)
        assert self._prepared is not None
        decoded = self._prepared[1]
        self._prepared = None
        return decoded

    def _whole(self, pcm: bytes) -> Decoded:
        decoded = self._backend.decode(pcm + PADDING, (), self._language)
        decoded = guarded(decoded, is_latin=self._backend.traits.is_latin)
        words = self._aligned(decoded.text.split(), pcm)
        return decoded if words is None else msgspec.structs.replace(decoded, words=words)

    def _aligned(self, words: Sequence[str], pcm: bytes) -> tuple[HeardWord, ...] | None:
        return self._aligner.align(words, pcm) if self._aligner is not None and words else None


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """What both begin with."""
    pairs = zip(one, other, strict=False)
    return tuple(left for left, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class StreamPasses:
    """Gives the back end what is new."""

    def __init__(self, backend: StreamBackend) -> None:
        self._backend = backend
        self._accepted_bytes = 0

    def partial(self, pcm: bytearray) -> Decoded | None:
        """See `Passes`."""
        if len(pcm) - self._accepted_bytes < STREAM_PARTIAL_MS * BYTES_PER_MS:
            return None
        self._backend.accept(bytes(pcm[self._accepted_bytes :]))
        self._accepted_bytes = len(pcm)
        return guarded(self._backend.partial(), is_latin=self._backend.traits.is_latin)

    def prepare(self, pcm: bytes) -> Decoded | None:  # noqa: ARG002
        """See `Passes`. Its decoder hears an utterance once, so there is nothing to prepare."""
        return None

    def final(self, pcm: bytes) -> Decoded:
        """See `Passes`."""
        self._accepted_bytes = 0
        return guarded(self._backend.finish(pcm), is_latin=self._backend.traits.is_latin)


class Ear(msgspec.Struct, frozen=True):
    """A loaded back end and what belongs to it; used by one recognition at a time."""

    backend: Backend
    aligner: Aligner | None = None
    """Places the text of a segment back end in its audio."""

    @property
    def traits(self) -> Traits:
        """The back end's."""
        return self.backend.traits

    def passes(self, language: str | None) -> Passes:
        """For one recognition."""
        match self.backend:
            case StreamBackend():
                return StreamPasses(self.backend)
            case _:
                return SegmentPasses(self.backend, self.aligner, language)
