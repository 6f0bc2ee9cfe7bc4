"""Which text belongs to which segment, and when a segment's text is complete: one transcript per segment, in order.

The client's voice activity decides what a segment is; the provider is asked for its finals at the end of each and may
have ideas of its own about where to cut. Its finals have times, so each piece of text finds its segment:

    client    ──[═══ 1 ═══]────────[═ 2 ═]──────────
    provider     aaaa  bbb          cc               a and b are joined

- A final over two segments is divided by the times of its words; without words it goes where its middle is.
- Text of a segment that is still open waits for its end.
- Text for no segment (the detector missed it, or its segment was given up) is never thrown away: it becomes a segment
  of its own.

A segment is complete when a piece reaches its end, or when text of a later one comes, since finals come in order. Where
neither happens, because nothing was understood or a last word ended early, a deadline decides. It is counted from when
the audio would have been spoken: a provider that was sent a minute in a second is not late before the minute is over.

Of a provider whose messages have no positions only the order is known: where audio comes faster than it was spoken, its
adapter's guess is behind by all that was sent meanwhile. Its texts and the segments are taken one by one.
"""

from collections import deque
from collections.abc import Iterator
from itertools import groupby
from typing import Final

import msgspec

from routeraudio.dialects.base import Clock
from routeraudio.model.events import Final as FinalText
from routeraudio.model.events import Word

SLACK_MS: Final = 350
"""How much earlier than a segment its text may end: the detector hears speech for some 100 ms more, and recognisers
place the ends of words as early as they like. No word fits in between."""

LEAD_MS: Final = 300
"""How much earlier than a segment its text may begin."""

GRACE_S: Final = 0.8
"""For further text of a segment whose text ends too early. The vendor's clients leave 1 s after their last frame."""

EMPTY_S: Final = 10.0
"""For any text of a segment: as long as a session waits for a provider's last words."""


class Segment(msgspec.Struct, frozen=True):
    """A stretch of audio that is over, on the session's timeline."""

    start_ms: int
    end_ms: int
    """Of the speech in it."""
    closed_ms: int
    """Where it was clear that it is over."""


class Piece(msgspec.Struct, frozen=True):
    """Text that belongs together."""

    text: str
    start_ms: int
    end_ms: int

    @property
    def middle_ms(self) -> int:
        """Tells whose it is."""
        return (self.start_ms + self.end_ms) // 2


class Done(msgspec.Struct, frozen=True):
    """A segment whose text is complete."""

    text: str
    """Empty: nothing was understood."""
    duration_ms: int
    waited_s: float
    """Since the segment was over."""
    is_announced: bool
    """Whether the client has been told that the segment is over."""


class _Pending:
    """A segment that is over and waits for its text."""

    def __init__(self, segment: Segment, pieces: list[Piece], now_s: float, due_s: float) -> None:
        self.segment = segment
        self.pieces = pieces
        self.closed_s = now_s
        self.due_s = due_s

    @property
    def is_complete(self) -> bool:
        """Whether its text reaches its end."""
        return bool(self.pieces) and self.pieces[-1].end_ms >= self.segment.end_ms - SLACK_MS

    def done(self, now_s: float) -> Done:
        segment = self.segment
        waited_s = max(now_s - self.closed_s, 0.0)
        return Done(_joined(self.pieces), segment.end_ms - segment.start_ms, waited_s, is_announced=True)


class Segments:
    """The segments of one session.

    Args:
        has_positions: whether the provider says where its text stands.
        empty_s: how long a segment that is over waits for any text.
    """

    def __init__(self, now: Clock, *, has_positions: bool = True, empty_s: float = EMPTY_S) -> None:
        self._now = now
        self._empty_s = empty_s
        self._has_positions = has_positions
        self._origin_s: float | None = None
        """When the first audio came."""
        self._open_ms: int | None = None
        """Where the segment began that is not over."""
        self._early: list[Piece] = []
        """Text of the open segment."""
        self._pending: deque[_Pending] = deque()

    @property
    def waiting(self) -> int:
        """Segments that are over and whose text is not complete."""
        return len(self._pending)

    @property
    def so_far(self) -> str:
        """Text of the first segment that is not complete."""
        return _joined(self._pending[0].pieces if self._pending else self._early)

    def heard(self) -> None:
        """Audio has come."""
        if self._origin_s is None:
            self._origin_s = self._now()

    def began(self, start_ms: int) -> None:
        """A segment has begun."""
        self._open_ms = start_ms

    def forget(self) -> None:
        """Nobody wants the text of the open segment any more."""
        self._early = []

    def closed(self, segment: Segment) -> list[Done]:
        """The open segment is over."""
        self._open_ms = None
        its = [piece for piece in self._early if piece.middle_ms <= segment.closed_ms]
        self._early = [piece for piece in self._early if piece not in its]
        due_s = self._spoken_s(segment) + (GRACE_S if its else self._empty_s)
        pending = _Pending(segment, its, self._now(), due_s)
        self._pending.append(pending)
        return self._done_up_to(pending) if pending.is_complete else []

    def final(self, final: FinalText) -> list[Done]:
        """The provider's text."""
        return [done for piece in self._pieces(final) for done in self._take(piece)]

    def overdue(self) -> list[Done]:
        """Segments that have waited long enough."""
        done: list[Done] = []
        now_s = self._now()
        while self._pending and self._pending[0].due_s <= now_s:
            done.append(self._pending.popleft().done(now_s))
        return done

    def rest(self, *, is_heard_out: bool) -> list[Done]:
        """The session is over. Unless the provider has heard everything, segments without text have none to tell."""
        now_s = self._now()
        done = [pending.done(now_s) for pending in self._pending if pending.pieces or is_heard_out]
        self._pending.clear()
        early, self._early = self._early, []
        return done + ([_unannounced(early)] if early else [])

    def _take(self, piece: Piece) -> list[Done]:
        owner = self._owner(piece.middle_ms)
        if owner is not None:
            owner.pieces.append(piece)
            owner.due_s = self._spoken_s(owner.segment) + GRACE_S
            done = self._done_before(owner)
            is_complete = owner.is_complete or not self._has_positions
            return done + (self._done_up_to(owner) if is_complete else [])
        if self._is_open_at(piece.middle_ms):
            self._early.append(piece)
            return self._done_up_to(None)
        return [_unannounced([piece])]

    def _owner(self, position_ms: int) -> _Pending | None:
        """The segment that waits for text at ``position_ms``; the last one also for what seems to come after it."""
        if not self._has_positions:
            # A guess is never too early: what was said before the first segment was said before it.
            first = self._pending[0] if self._pending else None
            return first if first and first.segment.start_ms - LEAD_MS <= position_ms else None
        for pending in reversed(self._pending):
            if pending.segment.start_ms - LEAD_MS <= position_ms:
                is_behind = position_ms > pending.segment.closed_ms
                return None if is_behind and self._is_open_at(position_ms) else pending
        return None

    def _is_open_at(self, position_ms: int) -> bool:
        return self._open_ms is not None and self._open_ms - LEAD_MS <= position_ms

    def _pieces(self, final: FinalText) -> Iterator[Piece]:
        """The text as the provider wrote it, unless its words belong to different segments."""
        runs = [list(run) for _, run in groupby(final.words or (), key=self._whose)]
        if len(runs) < 2:
            if final.text.strip():
                yield Piece(final.text.strip(), final.start_ms, final.end_ms)
            return
        for run in runs:
            yield Piece(" ".join(word.text for word in run), run[0].start_ms, run[-1].end_ms)

    def _whose(self, word: Word) -> int:
        """Equal for words of the same segment."""
        middle_ms = (word.start_ms + word.end_ms) // 2
        owner = self._owner(middle_ms)
        if owner is not None:
            return owner.segment.start_ms
        return -1 if self._is_open_at(middle_ms) else -2

    def _done_before(self, owner: _Pending) -> list[Done]:
        done: list[Done] = []
        while self._pending[0] is not owner:
            done.append(self._pending.popleft().done(self._now()))
        return done

    def _done_up_to(self, owner: _Pending | None) -> list[Done]:
        """This segment and those before it; None: all that are over."""
        done: list[Done] = []
        while self._pending:
            pending = self._pending.popleft()
            done.append(pending.done(self._now()))
            if pending is owner:
                break
        return done

    def _spoken_s(self, segment: Segment) -> float:
        """When a segment was over, or would have been if its audio had come as it was spoken."""
        now_s = self._now()
        return now_s if self._origin_s is None else max(now_s, self._origin_s + segment.closed_ms / 1000)


def _joined(pieces: list[Piece]) -> str:
    return " ".join(piece.text for piece in pieces)


def _unannounced(pieces: list[Piece]) -> Done:
    return Done(_joined(pieces), pieces[-1].end_ms - pieces[0].start_ms, 0.0, is_announced=False)
