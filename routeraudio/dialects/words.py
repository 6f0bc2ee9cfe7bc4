"""Words as other vendors' protocols want them: always some, in their bare form, with speakers in numbers."""

from collections.abc import Sequence

from routeraudio.model.events import Final, Partial, Word


def words_of(said: Partial | Final) -> Sequence[Word]:
    """The words; where the provider tells none, the text's, spread evenly over its time."""
    if said.words is not None:
        return said.words
    texts = said.text.split()
    length_ms = said.end_ms - said.start_ms
    return [
        Word(
            text,
            said.start_ms + length_ms * place // len(texts),
            said.start_ms + length_ms * (place + 1) // len(texts),
        )
        for place, text in enumerate(texts)
    ]


def bare(text: str) -> str:
    """A word without the punctuation around it, in lower case; what is nothing else stays."""
    start, end = 0, len(text)
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return text[start:end].lower() or text


def confidence_of(words: Sequence[Word]) -> float:
    """Of a transcript: the mean of its words'; 1.0 where nobody tells."""
    told = [word.confidence for word in words if word.confidence is not None]
    return sum(told) / len(told) if told else 1.0


class Speakers:
    """Numbers speakers from 0 in the order of their appearance, as long as the session lasts."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, label: str | None) -> int | None:
        """Of a provider's label; None: nobody knows who it was."""
        return None if label is None else self._numbers.setdefault(label, len(self._numbers))
