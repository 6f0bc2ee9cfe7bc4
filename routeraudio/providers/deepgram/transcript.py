"""Deepgram v1's results, gathered to utterances and turns: those of one channel.

    Results (interim)     ──▶ Partial: the settled pieces and this
    Results (`is_final`)  ──▶ a settled piece ──▶ `speech_final`, UtteranceEnd, or long enough ──▶ Final, TurnEnd

With several channels told apart each has results, utterances and turns of its own.
"""

from collections.abc import Iterator, Sequence

import msgspec

from routeraudio.model.events import Event
from routeraudio.providers.timeline import Spoken, Timeline
from routeraudio.providers.transcript import TranscriptBuilder

# Wire structs: https://developers.deepgram.com/reference/speech-to-text/listen-streaming


class _Word(msgspec.Struct, gc=False):
    word: str
    start: float
    end: float
    punctuated_word: str | None = None
    speaker: int | None = None
    confidence: float | None = None


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


class Voice(TranscriptBuilder):
    """What is said on one channel."""

    def __init__(self, line: Timeline, *, channel: int | None, wants_partials: bool) -> None:
        super().__init__(line, wants_partials=wants_partials, channel=channel)
        self.interim = ""
        """What was heard and is not settled."""
        self.settled_s = 0.0
        """The vendor's position up to which it has said its last word."""

    def heard(self, results: Results) -> Sequence[Event]:
        """One message."""
        alternatives = results.channel.alternatives
        heard = alternatives[0] if alternatives else _Alternative("")
        span_s = (results.start, results.start + results.duration)
        if not (results.is_final or results.speech_final):
            if results.start < self.settled_s >= span_s[1]:
                return ()  # an echo of what is settled
            self.interim = heard.transcript
            return self.partial(heard.transcript, _spoken(heard.words, has_speakers=False), span_s)
        self.interim = ""
        self.settled_s = max(self.settled_s, span_s[1])
        if heard.transcript and not self.is_repeated((*span_s, heard.transcript)):
            self.settle(heard.transcript, _spoken(heard.words, has_speakers=True), span_s)
        if results.speech_final:
            return self.end_turn()
        if results.from_finalize or self.is_too_long:
            return self.end_utterance()
        return self.partial("")

    def utterance_end(self, end_s: float) -> Sequence[Event]:
        """The vendor's second signal. It may be late, and about a turn that is over; -1: about nothing."""
        is_late = self.turn_start_ms is None or self._line.session_ms(end_s) < self.turn_start_ms
        return () if end_s < 0 or is_late else self.end_turn()


def _spoken(words: Sequence[_Word], *, has_speakers: bool) -> Iterator[Spoken]:
    """Words on the vendor's clock. In interims speakers are guesses (LiveKit takes them from finals only)."""
    for word in words:
        speaker = str(word.speaker) if has_speakers and word.speaker is not None else None
        yield word.punctuated_word or word.word, word.start, word.end, speaker, word.confidence
