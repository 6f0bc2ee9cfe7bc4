"""What a recogniser may not say: neural ones invent text where nobody speaks, and repeat themselves without end."""

import unicodedata
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from routeraudio.engine.backend import Decoded
from routeraudio.engine.wire import HeardWord

LATIN_MAX: Final = 0x24F
"""Last code point of Latin Extended-B; what follows is other scripts."""

NGRAM_MAX: Final = 24
REPEATS: Final = 4
REPEATS_OF_ONE: Final = 6
"""So often in a row nobody says the same: several words, one word."""

Item = TypeVar("Item")


def guarded(decoded: Decoded, *, is_latin: bool) -> Decoded:
    """The same without what cannot have been said; empty where nothing is left."""
    text = decoded.text
    if not any(character.isalnum() for character in text):
        return Decoded("")
    if is_latin and any(character.isalpha() and ord(character) > LATIN_MAX for character in text):
        return Decoded("")
    words = text.split()
    kept = _kept(words)
    if len(kept) == len(words):
        return decoded
    times = decoded.words
    return Decoded(
        " ".join(words[index] for index in kept),
        None if times is None else tuple(times[index] for index in kept),
        decoded.tokens,
    )


def plain(decoded: Decoded) -> Decoded:
    """The same in lower case and without punctuation; what is inside a word stays: `o'clock`, `3.5`."""
    if decoded.words is None:
        bare = (_bare(word) for word in decoded.text.split())
        return Decoded(" ".join(word for word in bare if word), None, decoded.tokens)
    words = tuple(
        HeardWord(text, word.start_ms, word.end_ms) for word in decoded.words if (text := _bare(word.text))
    )
    return Decoded(" ".join(word.text for word in words), words, decoded.tokens)


def placed(decoded: Decoded, start_ms: int, length_ms: int, onset_ms: int = 0) -> Decoded:
    """The same with times on the stream's timeline: in order, inside their utterance, none before `onset_ms`."""
    if decoded.words is None:
        return decoded
    floor_ms, end_ms = max(start_ms, onset_ms), start_ms + length_ms
    words: list[HeardWord] = []
    for word in decoded.words:
        begin_ms = min(max(floor_ms, start_ms + word.start_ms), end_ms)
        floor_ms = min(max(begin_ms, start_ms + word.end_ms), end_ms)
        words.append(HeardWord(word.text, begin_ms, floor_ms))
    return msgspec.structs.replace(decoded, words=tuple(words))


def _bare(word: str) -> str:
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while start < end and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end].lower()


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def _kept(words: Sequence[str]) -> list[int]:
    """Positions that stay when each run of repeats is cut to its first."""
    said = [_bare(word) for word in words]
    kept: list[int] = []
    position = 0
    while position < len(said):
        size, repeats = _run(said, position)
        kept += range(position, position + size)
        position += size * repeats
    return kept


def _run(said: Sequence[Item], position: int) -> tuple[int, int]:
    """How long a piece that begins here is, and how often it is said in a row; (1, 1) where that is no loop."""
    for size in range(1, NGRAM_MAX + 1):
        piece = said[position : position + size]
        repeats = 1
        while said[position + repeats * size : position + (repeats + 1) * size] == piece:
            repeats += 1
        if repeats >= (REPEATS_OF_ONE if size == 1 else REPEATS):
            return size, repeats
    return 1, 1
