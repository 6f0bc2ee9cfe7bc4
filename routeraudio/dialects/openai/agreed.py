"""Text that only grows, made of partials that replace each other.

A word goes out once two successive partials agree on it and on everything before it: the last word of a partial is
often half a word, and is corrected by the next one.
"""

from typing import Final

_MARKS: Final = ".,;:!?…"


class Agreed:
    """What the client has been told of one item."""

    def __init__(self) -> None:
        self._told = ""
        self._last: list[str] = []

    def partial(self, text: str) -> str:
        """The open text, all of it; what goes out now, or nothing."""
        words = text.split()
        count = 0
        for word, before in zip(words, self._last, strict=False):
            if word != before:
                break
            count += 1
        self._last = words
        # A comma behind the last word may be gone when the sentence goes on.
        return self._grown(" ".join(words[:count]).rstrip(_MARKS), is_whole_words=True)

    def final(self, text: str) -> str:
        """Text that will not change; what is left to tell. Nothing where it is not what was told."""
        return self._grown(text, is_whole_words=False)

    def _grown(self, text: str, *, is_whole_words: bool) -> str:
        told = self._told
        rest = text[len(told) :]
        if not rest or not text.startswith(told) or (is_whole_words and told and rest[0].isalnum()):
            return ""
        self._told = text
        return rest
