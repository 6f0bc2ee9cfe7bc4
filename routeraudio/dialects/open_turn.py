"""The turn so far, for protocols whose every message has all of it: Deepgram's Flux, AssemblyAI."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from routeraudio.dialects.words import words_of
from routeraudio.model.events import Final, Partial, Word


class Told(msgspec.Struct, frozen=True):
    """A turn at a moment."""

    kind: Literal["start", "update", "end"]
    transcript: str
    words: Sequence[Word]
    final_words: int
    """So many of ``words``, from the first on, change no more."""
    start_ms: int
    end_ms: int
    is_forced: bool = False
    """The client has asked for this end."""


class OpenTurn:
    """One turn after the other.

    Args:
        ends_are_told: whether the provider says where turns end (`turn_ends.are_told`); else every final ends one.
    """

    def __init__(self, *, ends_are_told: bool) -> None:
        self._ends_are_told = ends_are_told
        self._is_open = False
        """Whether the turn has been begun here."""
        self._is_forced = False
        """Whether the client has asked for the end of the open turn."""
        self._has_partial = False
        self._start_ms = self._end_ms = 0
        self._texts: list[str] = []
        """Final."""
        self._words: list[Word] = []

    def partial(self, partial: Partial) -> list[Told]:
        """Text that may change."""
        if not partial.text:
            return []
        self._has_partial = True
        return [self._with(partial)]

    def final(self, final: Final) -> list[Told]:
        """Text that changes no more."""
        self._has_partial = False
        is_over = not self._ends_are_told or self._is_forced
        told: list[Told] = []
        if final.text:
            if not self._is_open or not is_over:
                told.append(self._with(final))
            self._texts.append(final.text)
            self._words += words_of(final)
            self._end_ms = final.end_ms
        if is_over and self._is_open:
            told.append(self._end())
        return told

    def ends(self, end_ms: int) -> list[Told]:
        """The provider says that the turn is over."""
        self._end_ms = max(self._end_ms, end_ms)
        return [self._end()] if self._is_open else []

    def force(self) -> list[Told]:
        """The client wants it to be over. What is only a partial yet ends the turn with its final."""
        if not self._is_open:
            return []
        self._is_forced = True
        return [] if self._has_partial else [self._end()]

    def _with(self, said: Partial | Final) -> Told:
        if not self._is_open:
            self._start_ms = said.start_ms
        kind: Literal["start", "update"] = "update" if self._is_open else "start"
        self._is_open = True
        new = words_of(said)
        final_words = len(self._words) + (len(new) if isinstance(said, Final) else 0)
        text = " ".join([*self._texts, said.text])
        return Told(kind, text, [*self._words, *new], final_words, self._start_ms, said.end_ms)

    def _end(self) -> Told:
        words, text, is_forced = self._words, " ".join(self._texts), self._is_forced
        self._is_open = self._is_forced = self._has_partial = False
        self._texts, self._words = [], []
        return Told("end", text, words, len(words), self._start_ms, self._end_ms, is_forced)
