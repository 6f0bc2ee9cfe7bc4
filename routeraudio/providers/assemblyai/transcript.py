"""AssemblyAI's turns: from `Turn` messages to partials, finals and turn ends."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from routeraudio.model.events import Event
from routeraudio.providers.assemblyai.messages import Turn, TurnWord
from routeraudio.providers.assemblyai.request import ends_turns_twice, is_pro, says_noises
from routeraudio.providers.timeline import Spoken
from routeraudio.providers.transcript import Span, TranscriptBuilder

_HEARTBEATS_HELD: Final = 2
"""A heartbeat comes every 5 s; the first one may have been on its way together with the formatted copy."""

_NOISE: Final = re.compile(r"\s*(?:\[[^\[\]]*\]\s*)+")
"""How `whisper-rt` writes an utterance without speech: `[Music]`, `[ Silence] [ Silence]`. Nothing but that tells it:
the vendor's own samples of speech have words with a confidence of 0.0 too."""

_NOBODY: Final = frozenset({"PENDING", "UNKNOWN"})
"""Speakers that are not known yet, or never will be."""


class Turns:
    """The turn that is spoken of, and what was told of it.

    One turn at a time is spoken of, that of `_order`. `_settled` is the best text of it that will not change:
    finalised words, or an unformatted final that waits for its copy. `_is_told` when its `Final` is out.

    Args:
        punctuate: whether formatted turns were asked for.
    """

    def __init__(self, transcript: TranscriptBuilder, model: str, *, punctuate: bool) -> None:
        self._transcript = transcript
        self._is_pro = is_pro(model)
        self._says_noises = says_noises(model)
        self._waits_for_copy = punctuate and ends_turns_twice(model)
        self._order = -1
        self._is_told = True
        self._settled: Turn | None = None
        self._words: list[TurnWord] = []
        """The turn's last words: a final may come without any."""
        self._noise = ""
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
        heard = turn.words or self._words
        has_words = bool(turn.words) or _joined(self._words) == text
        if has_words:
            events = self._transcript.final(text, _spoken(heard, turn))
        else:
            events = self._transcript.final(text, span_s=_span_s(heard))
        return [*events, *self._transcript.end_turn()] if turn.end_of_turn else events

    def end(self) -> list[Event]:
        """The last words, and the turn's end whether the vendor said so or not."""
        return [*self.last_words(), *self._transcript.end_turn()]

    @property
    def _is_held(self) -> bool:
        return self._settled is not None and self._settled.end_of_turn

    def _begin(self, order: int) -> None:
        self._order = order
        self._is_told = False
        self._settled = None
        self._words = []
        self._noise = ""
        self._heartbeats = 0

    def _is_noise(self, turn: Turn) -> bool:
        """Whether `whisper-rt` says what it heard instead of speech; of the same turn perhaps twice."""
        if not self._says_noises:
            return False
        if _NOISE.fullmatch(turn.utterance or "") or _NOISE.fullmatch(turn.transcript):
            self._noise = turn.transcript
            return True
        return bool(self._noise) and turn.transcript == self._noise

    def _overheard(self, turn: Turn) -> Sequence[Event]:
        """The whole turn so far. Its speakers are guesses, where it has any."""
        if self._is_held:
            return ()  # a partial behind the unformatted final
        if not self._is_pro and turn.transcript:
            settled = [word for word in turn.words if word.word_is_final]
            self._settled = msgspec.structs.replace(turn, words=settled)
        text = turn.transcript if self._is_pro else _joined(turn.words)
        text = text or turn.transcript or _joined(turn.words)
        span_s = None if turn.words else _span_s(self._words)
        return self._transcript.partial(text, _spoken(turn.words, None), span_s)

    def _ended(self, turn: Turn) -> Turn | None:
        """The final, or, where it comes without text (as one does behind `Terminate`), what was settled before it."""
        if turn.transcript or _joined(turn.words):
            return turn
        return self._settled and msgspec.structs.replace(self._settled, end_of_turn=True)


def _spoken(words: Sequence[TurnWord], final: Turn | None) -> Iterator[Spoken]:
    """Words on the vendor's clock. Speakers are those of a final; the turn's own where a word names none, which is
    INFERRED."""
    for word in words:
        speaker = None if final is None else word.speaker or final.speaker_label
        speaker = None if speaker in _NOBODY else speaker
        yield word.text, word.start / 1000, word.end / 1000, speaker, word.confidence


def _span_s(words: Sequence[TurnWord]) -> Span | None:
    """Where words stand; None: there are none."""
    return (words[0].start / 1000, max(word.end for word in words) / 1000) if words else None


def _joined(words: Sequence[TurnWord]) -> str:
    return " ".join(word.text for word in words)
