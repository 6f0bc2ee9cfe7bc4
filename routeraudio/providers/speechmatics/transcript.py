"""What Speechmatics' results become: words, punctuation and delimiters put together as one text.

Results: https://docs.speechmatics.com/api-ref/realtime-transcription-websocket (2026-08), `AddTranscript`.
"""

import msgspec

from routeraudio.model.events import Word
from routeraudio.providers.timeline import Timeline


class Alternative(msgspec.Struct, gc=False):
    """How a result reads. Partials and finals have one each; it may be missing."""

    content: str
    speaker: str | None = None


class Result(msgspec.Struct):
    """A word or a punctuation mark."""

    type: str
    """`word`, `punctuation` or `entity` ("10 meters", with one time for all of it)."""
    start_time: float
    end_time: float
    alternatives: list[Alternative] = []
    attaches_to: str | None = None
    """Where no delimiter stands around a mark: `previous` (INFERRED: also if missing), `next`, `both` or `none`."""
    is_eos: bool | None = None
    """End of sentence."""


class Range(msgspec.Struct, gc=False):
    """The stretch a message is about. Ranges of consecutive finals overlap, and cover silence: see the words."""

    start_time: float
    end_time: float
    transcript: str = ""


class Utterance:
    """Results as they are meant to be read: one text, and words that carry the marks attached to them.

    Args:
        line: maps the vendor's positions.
        from_ms: the session's position before which nothing of it lies.
        delimiter: stands between words; empty in languages that are written without spaces.
    """

    def __init__(self, line: Timeline, from_ms: int, delimiter: str) -> None:
        self.text = ""
        self.words: list[Word] = []
        self.has_speech = False
        """Whether there is more than punctuation."""
        self.start_ms = self.end_ms = from_ms
        self._line = line
        self._delimiter = delimiter
        self._position_ms = from_ms
        self._is_glued = True
        """What comes next stands close behind what is there."""
        self._prefix = ""
        """Marks that belong to the word to come."""

    def copy(self) -> "Utterance":
        """Another one that may grow by itself."""
        other = Utterance(self._line, self._position_ms, self._delimiter)
        vars(other).update(vars(self), words=self.words.copy())
        return other

    def hear(self, span: Range, results: list[Result], *, has_speakers: bool) -> None:
        """Append what a message says. One with text and without results gives text of which no words are known."""
        has_content = False
        for result in results:
            spoken = result.alternatives[0] if result.alternatives else None
            content = spoken.content.strip() if spoken is not None else ""
            if spoken is None or not content:
                continue
            has_content = True
            if result.type == "punctuation":
                self._add_mark(content, result.attaches_to)
            else:
                self._add_word(result, content, spoken.speaker if has_speakers else None)
        if not has_content and (text := span.transcript.strip()):
            self._add_text(text, span.start_time, span.end_time)

    def _add_word(self, result: Result, content: str, speaker: str | None) -> None:
        start_ms, end_ms = self._add_text(content, result.start_time, result.end_time)
        self.words.append(Word(self._prefix + content, start_ms, end_ms, speaker))
        self._prefix = ""

    def _add_text(self, text: str, start_s: float, end_s: float) -> tuple[int, int]:
        start_ms, end_ms = self._line.span(start_s, end_s, from_ms=self._position_ms)
        if not self.has_speech:
            self.has_speech = True
            self.start_ms = start_ms
        self._position_ms = start_ms
        self.end_ms = max(self.end_ms, end_ms)
        self.text += text if self._is_glued else self._delimiter + text
        self._is_glued = False
        return start_ms, end_ms

    def _add_mark(self, mark: str, attaches_to: str | None) -> None:
        """A mark. One that belongs to a word which is told already is left out: a dot is no utterance."""
        to_previous = attaches_to in (None, "previous", "both")
        if to_previous and not self.has_speech:
            return
        self.text += mark if to_previous or self._is_glued else self._delimiter + mark
        self._is_glued = attaches_to in ("next", "both")
        if to_previous and self.words:
            word = self.words[-1]
            self.words[-1] = Word(word.text + mark, word.start_ms, word.end_ms, word.speaker)
        elif self._is_glued:
            self._prefix += mark
