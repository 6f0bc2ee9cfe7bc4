"""Every stretch of audio is finalised once: what a later connection repeats of what was final already is left out.

A replay begins a little before the last final's end. Of what the new connection says, words that lie before that end
are repetitions. Two providers place the same word some tens of milliseconds apart, so near the end the texts decide:
where the new one says the last words that were told, whatever comes before and including them is left out. A provider
that gives no times for words is judged by its text alone.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final as Constant

from routeraudio.model.events import Final, Partial, TurnEnd, Word

NEAR_MS: Constant = 400
"""Two providers' times of one word differ by less, the overlap included."""

TAIL_WORDS: Constant = 8
"""Told words that are compared; what lies behind the overlap is no more than three or four."""

FINALS_KEPT: Constant = 4
"""The latest finals of a channel, for their words: some providers make one of each word."""


class Told:
    """What has been told as final, per channel."""

    def __init__(self) -> None:
        self._finals: dict[int | None, deque[Final]] = {}

    def final(self, event: Final) -> None:
        """This is told now."""
        finals = self._finals.get(event.channel)
        if finals is None:
            finals = self._finals[event.channel] = deque(maxlen=FINALS_KEPT)
        finals.append(event)

    def until_ms(self, channels: Sequence[int | None]) -> int:
        """Up to where all of these channels are final."""
        return min(self._end_ms(channel) for channel in channels)

    def overlap(self) -> "Overlap":
        """What a new connection is held against."""
        return Overlap({channel: (self._end_ms(channel), self._tail(channel)) for channel in self._finals})

    def _end_ms(self, channel: int | None) -> int:
        return max((final.end_ms for final in self._finals.get(channel, ())), default=0)

    def _tail(self, channel: int | None) -> list[str]:
        words = [word for final in self._finals[channel] for word in _texts(final)]
        return words[-TAIL_WORDS:]


class Overlap:
    """Holds one connection's events against what was final before it began."""

    def __init__(self, told: dict[int | None, tuple[int, list[str]]]) -> None:
        self._told = told

    @property
    def is_over(self) -> bool:
        """Whether every channel has got past what was told before."""
        return not self._told

    def fresh(self, event: Partial | Final | TurnEnd) -> Partial | Final | TurnEnd | None:
        """The event without what was told before; None: it was told before, all of it."""
        told = self._told.get(event.channel)
        if told is None:
            return event
        end_ms, tail = told
        if isinstance(event, TurnEnd):
            return None if event.end_ms <= end_ms else event
        if event.start_ms >= end_ms + NEAR_MS:
            if isinstance(event, Final):
                del self._told[event.channel]
            return event
        if not event.words:
            return self._fresh_text(event, end_ms, tail)
        first = _fresh_from(event.words, end_ms, tail)
        if isinstance(event, Final) and event.words[-1].end_ms >= end_ms + NEAR_MS:
            del self._told[event.channel]
        if first == 0:
            return event
        if first == len(event.words):
            return None
        return _without(event, first)

    def _fresh_text(self, event: Partial | Final, end_ms: int, tail: list[str]) -> Partial | Final | None:
        """By text alone."""
        if event.end_ms <= end_ms and event.end_ms > event.start_ms:
            return None
        texts = event.text.split()
        first = _repeated(texts, tail)
        if isinstance(event, Final) and texts:
            del self._told[event.channel]
        if first == 0:
            return event
        if first == len(texts):
            return None
        start_ms = max(event.start_ms, min(end_ms, event.end_ms))
        return type(event)(
            " ".join(texts[first:]), start_ms, event.end_ms, event.words, event.channel, event.provider
        )


def _fresh_from(words: Sequence[Word], end_ms: int, tail: list[str]) -> int:
    """The index of the first word that was not told before."""
    by_time = next(
        (at for at, word in enumerate(words) if word.start_ms + word.end_ms > 2 * end_ms), len(words)
    )
    near = next((at for at, word in enumerate(words) if word.start_ms >= end_ms + NEAR_MS), len(words))
    texts = [plain(word.text) for word in words[:near]]
    # The match that ends nearest to where time alone would cut.
    matches = [
        at
        for at in range(1, near + 1)
        if _agreeing(texts[:at], tail) and words[at - 1].end_ms > end_ms - NEAR_MS
    ]
    return min(matches, key=lambda at: abs(at - by_time)) if matches else by_time


def _agreeing(texts: Sequence[str], tail: Sequence[str]) -> int:
    """How many words at the end of both are the same; 0 unless what is there of either agrees as far as it should."""
    count = 0
    while count < min(len(texts), len(tail)) and texts[-1 - count] == tail[-1 - count]:
        count += 1
    return count


def _repeated(texts: Sequence[str], tail: Sequence[str]) -> int:
    """How many words at the beginning repeat the end of what was told; the first may be a word cut in two."""
    plains = [plain(text) for text in texts[:TAIL_WORDS]]
    for skip in (0, 1):
        for count in range(min(len(plains) - skip, len(tail)), 0, -1):
            if plains[skip : skip + count] == tail[-count:] and (not skip or count > 1):
                return skip + count
    return 0


def _without(event: Partial | Final, first: int) -> Partial | Final:
    """The event from its word ``first`` on."""
    assert event.words is not None
    words = event.words[first:]
    text = _rest(event.text, [word.text for word in event.words[:first]])
    if text is None:
        text = " ".join(word.text for word in words)
    return type(event)(text, words[0].start_ms, event.end_ms, words, event.channel, event.provider)


def _rest(text: str, words: Sequence[str]) -> str | None:
    """The text behind these words, as the provider punctuates it; None: they do not stand in it like that."""
    at = 0
    for word in words:
        found = text.find(word, at)
        if found < 0:
            return None
        at = found + len(word)
    return text[at:].lstrip(" ,.;:!?\u3002\uff0c\uff1f\uff01")


def _texts(final: Final) -> list[str]:
    return [
        plain(text) for text in ([word.text for word in final.words] if final.words else final.text.split())
    ]


def plain(text: str) -> str:
    """A word without case and punctuation."""
    return "".join(letter for letter in text.casefold() if letter.isalnum()) or text
