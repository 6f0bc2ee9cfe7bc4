"""Utterances and turns, put together from what a vendor says about one channel.

    interim text ──▶ `partial`: what is settled of the utterance, and this
    settled text ──▶ `settle` ──▶ `end_utterance` ──▶ Final
                                  `end_turn` ──▶ Final, TurnEnd

An *utterance* is the settled pieces that are not told yet, at most one `Final`. A *turn* is open from its first settled
text until `end_turn`; it has several utterances where one was closed by the client or by its bound. A vendor whose
finals are whole utterances calls `final`; one that needs its own way of joining text places it itself and calls
`partial_at` and `final_at`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from routeraudio.model.events import Event, Partial, TurnEnd, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.providers.timeline import Spoken, Timeline

_UTTERANCE_MS_MAX: Final = 30_000
"""Settled text is held back for at most this much audio. Sentences are over in 20 s; a vendor that finds no end in
30 s has noise, or a language without punctuation, not a sentence."""

_UTTERANCE_CHARACTERS_MAX: Final = 4000
"""The same bound in memory, for a vendor that sends text without time: 30 s of fast speech have 700."""

Span = tuple[float, float]
"""Start and end on the vendor's clock, in seconds."""


def is_too_long(length_ms: int, characters: int) -> bool:
    """Whether an utterance of this length is to be closed though its vendor has not closed it."""
    return length_ms >= _UTTERANCE_MS_MAX or characters >= _UTTERANCE_CHARACTERS_MAX


class TranscriptBuilder:
    """What is said on one channel of one connection.

    Args:
        line: maps the vendor's positions.
        wants_partials: whether the client does.
        channel: None: all channels are one.
    """

    def __init__(self, line: Timeline, *, wants_partials: bool, channel: int | None = None) -> None:
        self._line = line
        self._channel = channel
        self._wants_partials = wants_partials
        self._texts: list[str] = []
        self._words: list[Word] = []
        self._start_ms = 0
        self._partial = ""
        self._last_piece: object = None
        self.settled_ms = 0
        """Position up to which text is settled; nothing later reaches back before it."""
        self.turn_start_ms: int | None = None
        """Where the open turn begins; None: none is open."""

    # What is told.

    def partial(self, text: str, words: Iterable[Spoken] = (), span_s: Span | None = None) -> list[Event]:
        """The open utterance with ``text`` behind what is settled of it; nothing where it reads as before.

        Args:
            words: as the vendor has timed them; evaluated only where they are told.
            span_s: where the text stands, for text without words; None: anywhere behind the last final.
        """
        if not self._wants_partials:
            return []
        whole = " ".join((*self._texts, text)).rstrip() if self._texts else text
        if whole == self._partial:
            return []
        if not whole:
            self._partial = ""  # all that was guessed is taken back
            return []
        placed, start_ms, end_ms = self._placed(words, span_s) if text else ((), 0, self.settled_ms)
        if self._texts:
            start_ms, placed = self._start_ms, (*self._words, *placed)
        return self.partial_at(whole, start_ms, end_ms, placed)

    def final(self, text: str, words: Iterable[Spoken] = (), span_s: Span | None = None) -> list[Event]:
        """A whole utterance."""
        self.settle(text, words, span_s)
        return self.end_utterance()

    def settle(self, text: str, words: Iterable[Spoken] = (), span_s: Span | None = None) -> None:
        """A piece of the utterance that will not change."""
        if not text:
            return
        placed, start_ms, end_ms = self._placed(words, span_s)
        if not self._texts:
            self._start_ms = start_ms
        self._open_turn(start_ms)
        self._texts.append(text)
        self._words += placed
        self.settled_ms = end_ms

    def end_utterance(self) -> list[Event]:
        """What is settled, as a final; nothing where nothing is."""
        self._partial = ""
        if not self._texts:
            return []
        text = " ".join(self._texts) if len(self._texts) > 1 else self._texts[0]
        final = FinalText(text, self._start_ms, self.settled_ms, tuple(self._words) or None, self._channel)
        self._texts.clear()
        self._words.clear()
        return [final]

    def end_turn(self) -> list[Event]:
        """What is settled, and that the turn is over, where one is open."""
        events = self.end_utterance()
        if self.turn_start_ms is not None:
            self.turn_start_ms = None
            events.append(TurnEnd(self.settled_ms, self._channel))
        return events

    # For vendors that place their text themselves.

    def partial_at(self, text: str, start_ms: int, end_ms: int, words: Sequence[Word] = ()) -> list[Event]:
        """The whole utterance so far; nothing where it reads as before."""
        if not self._wants_partials or not text or text == self._partial:
            return []
        self._partial = text
        return [Partial(text, start_ms, end_ms, tuple(words) or None, self._channel)]

    def final_at(self, text: str, start_ms: int, end_ms: int, words: Sequence[Word] = ()) -> list[Event]:
        """A whole utterance; nothing without text."""
        self._partial = ""
        if not text:
            return []
        self._open_turn(start_ms)
        self.settled_ms = end_ms
        return [FinalText(text, start_ms, end_ms, tuple(words) or None, self._channel)]

    # What is known.

    def is_repeated(self, piece: object) -> bool:
        """Whether the vendor says the same piece again; everything that tells pieces apart is in ``piece``."""
        if piece == self._last_piece:
            return True
        self._last_piece = piece
        return False

    @property
    def is_too_long(self) -> bool:
        """Whether the settled text has waited for its end long enough."""
        return bool(self._texts) and is_too_long(self.settled_ms - self._start_ms, sum(map(len, self._texts)))

    def _open_turn(self, start_ms: int) -> None:
        if self.turn_start_ms is None:
            self.turn_start_ms = start_ms

    def _placed(self, words: Iterable[Spoken], span_s: Span | None) -> tuple[Sequence[Word], int, int]:
        """Words, start and end on the connection's timeline, behind what is settled."""
        placed = self._line.words(words, from_ms=self.settled_ms)
        if placed:
            return placed, placed[0].start_ms, max(word.end_ms for word in placed)
        start_s, end_s = span_s or (0.0, self._line.vendor_ms / 1000)
        return (), *self._line.span(start_s, end_s, from_ms=self.settled_ms)
