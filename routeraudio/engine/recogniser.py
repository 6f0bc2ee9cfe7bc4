"""A loaded back end behind our words: audio in, partials and finals out. Synchronous; runs in a worker process."""

from collections.abc import Callable, Iterator
from typing import Final, Literal

from routeraudio.engine import endpointing
from routeraudio.engine.backend import Decoded
from routeraudio.engine.endpointing import BYTES_PER_MS, FRAME_BYTES, TAIL_FRAMES, Mark
from routeraudio.engine.guards import placed, plain
from routeraudio.engine.passes import Ear
from routeraudio.engine.wire import Done, Heard, Wish

BEHIND_S_MAX: Final = 0.3
"""Later than this behind its audio a recogniser leaves partials out: finals come first."""

HUSH_FRAMES: Final = 4
"""After so much silence (128 ms) nothing is new until speech goes on or the pause brings the prepared final."""


class Recogniser:
    """One stream of audio.

    Every method gives what was heard as an iterator, which must be exhausted before the next call. Finals depend
    on the audio and on where in it `finalize` was called, not on how it was split or how fast it came.

    Args:
        ear: used by this recogniser alone.
        is_speech: a fresh voice activity detector.
    """

    def __init__(self, ear: Ear, is_speech: Callable[[bytes], bool], wish: Wish) -> None:
        self._passes = ear.passes(wish.language)
        self._wish = wish
        self._endpointer = endpointing.Endpointer(is_speech, wish.endpointing_ms)
        self._rest = bytearray()
        """Less than a frame, waiting for more."""
        self._heard_bytes = 0
        self._partial_text = ""

    def push(self, pcm: bytes, behind_s: float = 0.0) -> Iterator[Heard]:
        """Audio of any length, odd ones included.

        Args:
            behind_s: how long it has waited to be heard.
        """
        self._heard_bytes += len(pcm)
        self._rest += pcm
        is_prompt = behind_s <= BEHIND_S_MAX
        while len(self._rest) >= FRAME_BYTES:
            frame = bytes(self._rest[:FRAME_BYTES])
            del self._rest[:FRAME_BYTES]
            mark = self._endpointer.feed(frame)
            if mark is Mark.OPEN and is_prompt:
                yield from self._so_far()
            elif mark is Mark.CLOSED:
                yield from self._final(b"")

    def finalize(self) -> Iterator[Heard]:
        """Close the open utterance, if any, with all audio so far."""
        rest = bytes(self._rest[: len(self._rest) & ~1])
        while self._endpointer.is_open:
            del self._rest[: len(rest)]
            yield from self._final(rest)
            rest = b""

    def finish(self) -> Iterator[Heard | Done]:
        """`finalize`, then the last word."""
        yield from self.finalize()
        yield Done(self._heard_bytes // BYTES_PER_MS)

    def _so_far(self) -> Iterator[Heard]:
        """Partials while somebody speaks; in a pause one more, which is decoded as the final it may turn out to be."""
        pcm = self._endpointer.open_pcm
        if self._endpointer.quiet_frames >= TAIL_FRAMES:
            yield from self._partial(self._passes.prepare(self._endpointer.quiet_pcm), len(pcm))
        elif self._endpointer.quiet_frames < HUSH_FRAMES and self._wish.partials:
            yield from self._partial(self._passes.partial(pcm), len(pcm))

    def _partial(self, decoded: Decoded | None, length_bytes: int) -> Iterator[Heard]:
        if decoded is None or not self._wish.partials:
            return
        start_ms, onset_ms = self._endpointer.start_ms, self._endpointer.onset_ms
        partial = self._heard("partial", decoded, start_ms, length_bytes, onset_ms)
        if partial is not None and partial.text != self._partial_text:
            self._partial_text = partial.text
            yield partial

    def _final(self, rest: bytes) -> Iterator[Heard]:
        segment = self._endpointer.take(rest)
        decoded = self._passes.final(segment.pcm)
        self._partial_text = ""
        final = self._heard("final", decoded, segment.start_ms, len(segment.pcm))
        if final is not None:
            yield final

    def _heard(
        self,
        kind: Literal["partial", "final"],
        decoded: Decoded,
        start_ms: int,
        length_bytes: int,
        onset_ms: int = 0,
    ) -> Heard | None:
        """What was decoded, as it is told; None where it holds no word."""
        length_ms = length_bytes // BYTES_PER_MS
        told = placed(decoded if self._wish.punctuate else plain(decoded), start_ms, length_ms, onset_ms)
        if not told.text:
            return None
        if not told.words:
            return Heard(kind, told.text, start_ms, start_ms + length_ms, None)
        return Heard(kind, told.text, told.words[0].start_ms, told.words[-1].end_ms, told.words)
