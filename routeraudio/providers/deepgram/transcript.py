"""Deepgram v1's results, gathered to utterances and turns: those of one channel.

    Results (interim)     ──▶ Partial: the settled pieces and this
    Results (`is_final`)  ──▶ a settled piece ──▶ `speech_final`, UtteranceEnd, or long enough ──▶ Final, TurnEnd

With several channels told apart each has results, utterances and turns of its own.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.model.events import Event, Partial, TurnEnd, Word
from routeraudio.model.events import Final as FinalText
from routeraudio.providers.timeline import Timeline

_UTTERANCE_MS_MAX: Final = 30_000
"""Settled text is held back for at most this much audio. Sentences are over in 20 s; a vendor that finds no
end in 30 s has noise, not a sentence."""

_UTTERANCE_CHARACTERS_MAX: Final = 4000
"""The same bound in memory, for a vendor that sends text without time: 30 s of fast speech have 700."""


# Wire structs: https://developers.deepgram.com/reference/speech-to-text/listen-streaming


class _Word(msgspec.Struct, gc=False):
    word: str
    start: float
    end: float
    punctuated_word: str | None = None
    speaker: int | None = None


class _Alternative(msgspec.Struct):
    transcript: str
    words: list[_Word] = []


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative]


class Results(msgspec.Struct, tag="Results"):
    """One message."""

    start: float
    duration: float
    channel: _Channel
    channel_index: list[int] = []
    """Which channel, of how many."""
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None


class Voice:
    """What is said on one channel.

    An *utterance* is the settled pieces not yet reported, at most one `Final`. A *turn* is open from its
    first settled word until `speech_final` or `UtteranceEnd`; it has several utterances only when one was
    closed by `Finalize` or by its bound.

    Args:
        line: maps the vendor's positions.
        channel: None: all channels are one.
        wants_partials: whether the client does.
    """

    def __init__(self, line: Timeline, *, channel: int | None, wants_partials: bool) -> None:
        self._line = line
        self._channel = channel
        self._wants_partials = wants_partials
        self._texts: list[str] = []
        self._words: list[Word] = []
        self._start_ms = 0
        self._settled_ms = 0
        """Session position up to which text is settled; nothing later reaches back before it."""
        self._turn_start_ms: int | None = None
        self._partial = ""
        self._last_piece: tuple[float, float, str] | None = None
        self.interim = ""
        """What was heard and is not settled."""
        self.settled_s = 0.0
        """The vendor's position up to which it has said its last word."""

    def heard(self, results: Results) -> Sequence[Event]:
        """One message."""
        alternatives = results.channel.alternatives
        heard = alternatives[0] if alternatives else _Alternative("")
        if not (results.is_final or results.speech_final):
            return self._overheard(results, heard)
        self.interim = ""
        self.settled_s = max(self.settled_s, results.start + results.duration)
        if heard.transcript:
            self._settle(results, heard)
        if results.speech_final:
            return self.end_turn()
        if results.from_finalize or self._is_too_long():
            return self.end_utterance()
        return self._partial_event((), self._start_ms, self._settled_ms)

    def utterance_end(self, end_s: float) -> Sequence[Event]:
        """The vendor's second signal. It may be late, and about a turn that is over; -1: about nothing."""
        is_late = self._turn_start_ms is None or self._line.session_ms(end_s) < self._turn_start_ms
        return () if end_s < 0 or is_late else self.end_turn()

    def end_utterance(self) -> list[Event]:
        """Report the settled pieces."""
        self._partial = ""
        if not self._texts:
            return []
        words = tuple(self._words) or None
        final = FinalText(" ".join(self._texts), self._start_ms, self._settled_ms, words, self._channel)
        self._texts.clear()
        self._words.clear()
        return [final]

    def end_turn(self) -> list[Event]:
        """Report them, and that the speaker's turn is over."""
        events = self.end_utterance()
        if self._turn_start_ms is not None:
            self._turn_start_ms = None
            events.append(TurnEnd(self._settled_ms, self._channel))
        return events

    def _overheard(self, results: Results, heard: _Alternative) -> Sequence[Event]:
        """An interim. Its speakers are guesses (LiveKit takes them from finals only, and so do we)."""
        if results.start < self.settled_s >= results.start + results.duration:
            return ()  # an echo of what is settled
        self.interim = heard.transcript
        if not (heard.transcript and self._wants_partials):
            return ()
        words, start_ms, end_ms = self._placed(results, heard, has_speakers=False)
        return self._partial_event(words, start_ms, end_ms)

    def _partial_event(self, words: Sequence[Word], start_ms: int, end_ms: int) -> Sequence[Event]:
        """The whole utterance so far: settled pieces, then the interim; nothing when it reads as before."""
        if not self._wants_partials:
            return ()
        text = " ".join([*self._texts, self.interim]).rstrip()
        if not text or text == self._partial:
            return ()
        self._partial = text
        start_ms = self._start_ms if self._texts else start_ms
        return (Partial(text, start_ms, end_ms, (*self._words, *words) or None, self._channel),)

    def _settle(self, results: Results, heard: _Alternative) -> None:
        piece = (results.start, results.duration, heard.transcript)
        if piece == self._last_piece:
            return  # said twice
        self._last_piece = piece
        words, start_ms, end_ms = self._placed(results, heard, has_speakers=True)
        if not self._texts:
            self._start_ms = start_ms
        if self._turn_start_ms is None:
            self._turn_start_ms = start_ms
        self._texts.append(heard.transcript)
        self._words += words
        self._settled_ms = end_ms

    def _placed(
        self, results: Results, heard: _Alternative, *, has_speakers: bool
    ) -> tuple[list[Word], int, int]:
        """Words, start and end on the session's timeline."""
        if not heard.words:
            end_s = results.start + results.duration
            return [], *self._line.span(results.start, end_s, from_ms=self._settled_ms)
        words = []
        start_ms = end_ms = self._settled_ms
        for word in heard.words:
            start_ms, word_end_ms = self._line.span(word.start, word.end, from_ms=start_ms)
            end_ms = max(end_ms, word_end_ms)
            speaker = str(word.speaker) if has_speakers and word.speaker is not None else None
            words.append(Word(word.punctuated_word or word.word, start_ms, word_end_ms, speaker))
        return words, words[0].start_ms, end_ms

    def _is_too_long(self) -> bool:
        return bool(self._texts) and (
            self._settled_ms - self._start_ms >= _UTTERANCE_MS_MAX
            or sum(map(len, self._texts)) >= _UTTERANCE_CHARACTERS_MAX
        )
