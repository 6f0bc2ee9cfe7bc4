"""AssemblyAI's turns: from `Turn` messages to partials, finals and turn ends."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.model.events import Event, Partial, TurnEnd, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.providers.assemblyai.request import ends_turns_twice, is_pro, says_noises
from routeraudio.providers.timeline import Timeline

_HEARTBEATS_HELD: Final = 2
"""A heartbeat comes every 5 s; the first one may have been on its way together with the formatted copy."""

_NOT_A_WORD: Final = re.compile(r"\[[^\]]*\]")
"""How `whisper-rt` writes an utterance without speech: `[Music]`, `[Silence]`."""

_NOBODY: Final = frozenset({"PENDING", "UNKNOWN"})
"""Speakers that are not known yet, or never will be."""


# Wire structs: https://www.assemblyai.com/docs/universal-streaming/message-sequence


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
    """One message."""

    turn_order: int
    end_of_turn: bool
    transcript: str
    turn_is_formatted: bool = False
    words: list[TurnWord] = []
    utterance: str | None = None
    speaker_label: str | None = None


class Turns:
    """The turn that is spoken of, and what was told of it.

    One turn at a time is spoken of, that of `_order`. `_settled` is the best text of it that will not change:
    finalised words, or an unformatted final that waits for its copy. `_is_told` when its `Final` is out.

    Args:
        punctuate: whether formatted turns were asked for.
        partials: whether they are wanted.
    """

    def __init__(self, line: Timeline, model: str, *, punctuate: bool, partials: bool) -> None:
        self._line = line
        self._is_pro = is_pro(model)
        self._says_noises = says_noises(model)
        self._waits_for_copy = punctuate and ends_turns_twice(model)
        self._wants_partials = partials
        self._settled_ms = 0
        """Session position up to which text is final; nothing later reaches back before it."""
        self._is_open = False
        """A turn was told a final of, and not its end."""
        self._order = -1
        self._is_told = True
        self._settled: Turn | None = None
        self._words: list[TurnWord] = []
        """The turn's last words: a final may come without any."""
        self._noise = ""
        self._partial = ""
        self._heartbeats = 0

    def heard(self, turn: Turn) -> list[Event]:
        """One message."""
        events: list[Event] = []
        if turn.turn_order > self._order:
            events = self.last_words()
            self._begin(turn.turn_order)
        elif turn.turn_order < self._order or self._is_told:
            return []  # the formatted copy of a turn that was told without it, or said twice
        if self._is_noise(turn):
            self._settled = None
            self._is_told = turn.end_of_turn
            return events
        self._words = turn.words or self._words
        if not turn.end_of_turn:
            return [*events, *self._overheard(turn)]
        self._settled = self._ended(turn)
        if self._waits_for_copy and not turn.turn_is_formatted:
            return events
        return [*events, *self.last_words()]

    def heartbeat(self) -> list[Event]:
        """Time has passed: a final whose copy does not come is told without it."""
        if not self._is_held:
            return []
        self._heartbeats += 1
        return self.last_words() if self._heartbeats >= _HEARTBEATS_HELD else []

    def last_words(self) -> list[Event]:
        """What is settled of the turn, for good; its end only where the vendor said so."""
        turn, self._settled = self._settled, None
        if turn is None:
            return []
        self._is_told = True
        text = turn.transcript or _joined(turn.words)
        # Words known from partials stand in for missing ones as positions, and as words where they read the same.
        has_words = bool(turn.words) or _joined(self._words) == text
        words, start_ms, end_ms = self._placed(turn.words or self._words, turn)
        self._settled_ms = end_ms
        self._is_open = not turn.end_of_turn
        final = FinalText(text, start_ms, end_ms, (tuple(words) or None) if has_words else None)
        return [final, TurnEnd(end_ms)] if turn.end_of_turn else [final]

    def end(self) -> list[Event]:
        """The last words, and the turn's end whether the vendor said so or not."""
        events = self.last_words()
        if self._is_open:
            self._is_open = False
            events.append(TurnEnd(self._settled_ms))
        return events

    @property
    def _is_held(self) -> bool:
        return self._settled is not None and self._settled.end_of_turn

    def _begin(self, order: int) -> None:
        self._order = order
        self._is_told = False
        self._settled = None
        self._words = []
        self._noise = ""
        self._partial = ""
        self._heartbeats = 0

    def _is_noise(self, turn: Turn) -> bool:
        """Whether `whisper-rt` says what it heard instead of speech; of the same turn perhaps twice."""
        if not self._says_noises:
            return False
        if _NOT_A_WORD.fullmatch(turn.utterance or ""):
            self._noise = turn.transcript
            return True
        is_repeated = bool(self._noise) and turn.transcript == self._noise
        return is_repeated or (bool(turn.words) and all(word.confidence == 0.0 for word in turn.words))

    def _overheard(self, turn: Turn) -> Sequence[Event]:
        """The whole turn so far. Its speakers are guesses, where it has any."""
        if self._is_held:
            return ()  # a partial behind the unformatted final
        if not self._is_pro and turn.transcript:
            settled = [word for word in turn.words if word.word_is_final]
            self._settled = msgspec.structs.replace(turn, words=settled)
        text = turn.transcript if self._is_pro else _joined(turn.words)
        text = text or turn.transcript or _joined(turn.words)
        if not text or text == self._partial or not self._wants_partials:
            return ()
        self._partial = text
        words, start_ms, end_ms = self._placed(turn.words or self._words, None)
        return (Partial(text, start_ms, end_ms, tuple(words) if turn.words else None),)

    def _ended(self, turn: Turn) -> Turn | None:
        """The final, or, where it comes without text (as one does behind `Terminate`), what was settled before it."""
        if turn.transcript or _joined(turn.words):
            return turn
        return self._settled and msgspec.structs.replace(self._settled, end_of_turn=True)

    def _placed(self, heard: Sequence[TurnWord], final: Turn | None) -> tuple[list[Word], int, int]:
        """Words, start and end on the session's timeline; without words all that was sent since the last final."""
        if not heard:
            return [], *self._line.span(0.0, self._line.vendor_ms / 1000, from_ms=self._settled_ms)
        words = []
        start_ms = end_ms = self._settled_ms
        for word in heard:
            start_ms, word_end_ms = self._line.span(word.start / 1000, word.end / 1000, from_ms=start_ms)
            end_ms = max(end_ms, word_end_ms)
            words.append(Word(word.text, start_ms, word_end_ms, _speaker(word, final)))
        return words, words[0].start_ms, end_ms


def _speaker(word: TurnWord, final: Turn | None) -> str | None:
    """Of a word in a final; the turn's own where the word names none, which is INFERRED."""
    speaker = None if final is None else word.speaker or final.speaker_label
    return None if speaker in _NOBODY else speaker


def _joined(words: Sequence[TurnWord]) -> str:
    return " ".join(word.text for word in words)
