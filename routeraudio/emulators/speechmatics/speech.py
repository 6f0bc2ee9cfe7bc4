"""What Speechmatics says about speech: fragments of finals, partials with the rest, ends of utterances.

As in the recorded session: an utterance settles piece by piece, the first piece often without a word, the full stop
alone, each followed by a partial with what remains; ranges overlap, and `EndOfUtterance` comes last. Synchronous.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from routeraudio.emulators.kit.base import Heard, HeardWord
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.speechmatics.request import Config

PIECE_WORDS: Final = 3
"""Words that settle together."""

OVERLAP_MS: Final = 80
"""How far the range of a piece reaches into the one before (recorded)."""

Json = dict[str, Any]


class Speech:
    """One channel's conversation about what was heard.

    Guesses: that what `EndOfStream` cut off is no end of utterance, that a forced end is said only where somebody
    spoke, and that speakers are unknown (`UU`) without diarization.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.is_finishing = False
        """The end of the stream was asked for: a final that it cut ends no utterance."""
        self._forced_ms: int | None = None
        self._settled_ms = 0

    def force(self, clock_ms: int) -> None:
        """The client asked for the end of the utterance."""
        self._forced_ms = clock_ms

    def heard(self, heard: Heard, clock_ms: int) -> Iterator[Json]:
        """An utterance grew or is over."""
        if not heard.words:
            return
        if heard.kind == "partial":
            yield from self._partial(self._results(heard.words, ends=False), {})
            return
        is_forced = self._is_cut(heard, self._forced_ms)
        self._forced_ms = None
        is_cut = self._is_cut(heard, clock_ms if self.is_finishing else None)
        extra: Json = {"forced": True} if is_forced else {}
        yield from self._settle(heard, extra)
        if is_forced or (self.config.trigger_ms and not is_cut):
            at_s = max(heard.end_ms, heard.words[-1].end_ms) / 1000
            yield {
                "message": "EndOfUtterance",
                "format": "2.9",
                "metadata": {"start_time": at_s, "end_time": at_s},
                **extra,
            }

    def _is_cut(self, heard: Heard, asked_ms: int | None) -> bool:
        """Whether a request at this time, and not silence, closed the utterance."""
        if asked_ms is None or heard.start_ms >= asked_ms:
            return False
        silence_ms = self.config.trigger_ms
        return not (silence_ms and heard.is_followed_by_silence(asked_ms, silence_ms))

    def _settle(self, heard: Heard, extra: Json) -> Iterator[Json]:
        results = self._results(heard.words, ends=True)
        yield self._transcript("AddTranscript", [], heard.words[0].start_ms + OVERLAP_MS, extra)
        yield from self._partial(results, extra)
        while results:
            is_word = results[0]["type"] == "word"
            count = sum(each["type"] == "word" for each in results[:PIECE_WORDS]) if is_word else 1
            piece, results = results[:count], results[count:]
            yield self._transcript("AddTranscript", piece, round(piece[-1]["end_time"] * 1000), extra)
            yield from self._partial(results, extra)

    def _partial(self, results: Sequence[Json], extra: Json) -> Iterator[Json]:
        if self.config.enable_partials:
            end_ms = round(results[-1]["end_time"] * 1000) if results else self._settled_ms
            yield self._transcript("AddPartialTranscript", results, end_ms, extra)

    def _transcript(self, message: str, results: Sequence[Json], end_ms: int, extra: Json) -> Json:
        start_ms = max(self._settled_ms - OVERLAP_MS, 0)
        if message == "AddTranscript":
            self._settled_ms = end_ms
        return {
            "message": message,
            "format": "2.9",
            "metadata": {
                "start_time": min(start_ms, end_ms) / 1000,
                "end_time": end_ms / 1000,
                "transcript": self._joined(results),
            },
            "results": list(results),
            **extra,
        }

    def _joined(self, results: Sequence[Json]) -> str:
        text = ""
        for result in results:
            content = result["alternatives"][0]["content"]
            before = "" if not text or result["type"] == "punctuation" else self.config.delimiter
            text += before + content
        return text + self.config.delimiter if text else ""

    def _results(self, words: Sequence[HeardWord], *, ends: bool) -> list[Json]:
        plain = [word.text for word in words]
        shown = as_prose(plain, begins=True, ends=False) if self.config.punctuates else plain
        results = [
            self._result("word", text, word.start_ms, word.end_ms)
            for word, text in zip(words, shown, strict=True)
        ]
        if ends and self.config.punctuates:
            at_ms = words[-1].end_ms
            mark = self._result("punctuation", ".", at_ms, at_ms)
            results.append({**mark, "attaches_to": "previous", "is_eos": True})
        return results

    def _result(self, kind: str, content: str, start_ms: int, end_ms: int) -> Json:
        speaker = "S1" if self.config.diarization == "speaker" else "UU"
        return {
            "type": kind,
            "start_time": start_ms / 1000,
            "end_time": end_ms / 1000,
            "alternatives": [
                {"content": content, "confidence": 0.99, "language": self.config.language, "speaker": speaker}
            ],
        }
