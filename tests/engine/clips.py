"""Real speech with reference text, and what the tests make of it."""

import wave
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

AUDIO = Path(__file__).parents[1] / "assets" / "audio"

REFERENCES = {
    "goforward": "go forward ten meters",
    "austen-0870": "and mister john dashwood had then leisure to consider how much there might be prudently in his"
    " power to do for them",
    "austen-0920": "had he married a more amiable woman he might have been made still more respectable than he was",
    "austen-0930": "he might even have been made amiable himself",
}

GO = "Go forward ten meters."
"""What the default model makes of the clip `goforward`."""

MS_BYTES = 32
"""16 kHz, 16 bit, mono."""


def pcm(name: str) -> bytes:
    """A clip's samples."""
    with wave.open(str(AUDIO / f"{name}.wav")) as file:
        samples: bytes = file.readframes(file.getnframes())
        return samples


def silence(duration_ms: int) -> bytes:
    """Digital silence."""
    return bytes(duration_ms * MS_BYTES)


def split(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """The data in pieces of these sizes, over and over."""
    position = 0
    for size in cycle(sizes):
        if position >= len(data):
            return
        yield data[position : position + size]
        position += size


def normalised(text: str) -> list[str]:
    """The words, case and punctuation aside, and one way to write what is said alike."""
    bare = (word.strip(".,?!;:\"'").lower() for word in text.replace("-", " ").split())
    return [{"mr": "mister", "10": "ten", "metres": "meters"}.get(word, word) for word in bare if word]


def word_errors(reference: str, heard: str) -> int:
    """Substitutions, deletions and insertions (Levenshtein over words)."""
    words = normalised(heard)
    row = list(range(len(words) + 1))
    for number, wanted in enumerate(normalised(reference), 1):
        corner, row[0] = row[0], number
        for column, word in enumerate(words, 1):
            best = min(row[column] + 1, row[column - 1] + 1, corner + (wanted != word))
            corner, row[column] = row[column], best
    return row[-1]
