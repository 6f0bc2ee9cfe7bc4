"""When words were said, from where the decoder looked while it wrote them.

Each token's row says how much it looked at each frame of the audio. Rows are made comparable, and the cheapest
path through them that never runs backwards (dynamic time warping) gives each token its frames. Measured: 83 to 89
% of starts within 100 ms of the true one, half of them within 45; an alignment of the text is better where it can
be had.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from routeraudio.engine.wire import HeardWord

LATE_MS = 25
"""The decoder looks this much before the sound, as measured on speech with known times."""

Floats = npt.NDArray[np.float32]


class Spoken(msgspec.Struct, frozen=True):
    """One word and the tokens that say it, the last one included."""

    text: str
    first: int
    last: int


def times(words: Sequence[Spoken], rows: Floats, length_ms: int) -> tuple[HeardWord, ...]:
    """The words with their times.

    Args:
        rows: one for each token, and possibly one for the end of the text (tokens x frames).
        length_ms: the audio's.
    """
    scaled = (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
    first, last = _path(-scaled)
    frame_ms = length_ms / rows.shape[1]
    return tuple(
        HeardWord(
            word.text,
            min(length_ms, round(first[word.first] * frame_ms) + LATE_MS),
            min(length_ms, round((last[word.last] + 1) * frame_ms) + LATE_MS),
        )
        for word in words
    )


def _path(costs: Floats) -> tuple[list[int], list[int]]:
    """First and last frame of each row on the cheapest path from the first corner to the last."""
    rows, frames = costs.shape
    total = np.full((rows + 1, frames + 1), np.inf)
    total[0, 0] = 0
    for row in range(rows):
        above = np.minimum(total[row, :-1], total[row, 1:]).tolist()
        left = np.inf
        line = []
        for up, cost in zip(above, costs[row].tolist(), strict=True):
            left = cost + min(up, left)
            line.append(left)
        total[row + 1, 1:] = line
    first, last = [0] * rows, [0] * rows
    row, frame = rows - 1, frames - 1
    last[row] = frame
    while row or frame:
        first[row] = frame
        corner, up, left = total[row, frame], total[row, frame + 1], total[row + 1, frame]
        if min(corner, up) <= left:
            row -= 1
            frame -= int(corner <= up)
            last[row] = frame
        else:
            frame -= 1
    return first, last
