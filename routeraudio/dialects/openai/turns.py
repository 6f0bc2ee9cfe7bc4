"""Which text makes an item: by the ends of utterances (`SilenceTurns`), or by the client's commits (`CommitTurns`)."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from routeraudio.dialects.base import Clock
from routeraudio.dialects.openai.agreed import Agreed
from routeraudio.dialects.openai.items import Items
from routeraudio.dialects.segments import Done, Segment, Segments
from routeraudio.model.events import Final as FinalText
from routeraudio.model.events import Partial

EMPTY_S: Final = 3.0
"""How long a commit waits for any text: programs wait for its answer."""


class Turns(Protocol):
    """Makes items. Each call returns what the client is told."""

    @property
    def open_id(self) -> str | None:
        """The item that text is expected for."""

    def partial(self, partial: Partial) -> Sequence[str]: ...

    def final(self, final: FinalText) -> Sequence[str]: ...

    def commit(self, at_ms: int) -> Sequence[str]:
        """The client says that an utterance is over, after so much audio."""

    def clear(self, at_ms: int) -> None:
        """The client gives up what it has sent since the last item."""

    def tick(self) -> Sequence[str]:
        """Time has passed."""

    def finish(self) -> Sequence[str]:
        """The provider has said its last word."""


class SilenceTurns:
    """Every final ends an item, and its first partial begins it."""

    def __init__(self, items: Items, now: Clock, *, is_diarized: bool) -> None:
        self.open_id: str | None = None
        self._items = items
        self._now = now
        self._is_diarized = is_diarized
        self._agreed = Agreed()
        self._span_ms = (0, 0)
        self._asked_s: float | None = None
        """When the client last committed, where no final has come since."""

    def partial(self, partial: Partial) -> Sequence[str]:
        self._span_ms = partial.start_ms, partial.end_ms
        told = self._opened(partial.start_ms)
        assert self.open_id is not None
        return [*told, *self._items.delta(self.open_id, self._agreed.partial(partial.text))]

    def final(self, final: FinalText) -> Sequence[str]:
        if not final.text and self.open_id is None:
            return ()
        self._span_ms = final.start_ms, final.end_ms
        return self._closed(final)

    def commit(self, at_ms: int) -> Sequence[str]:  # noqa: ARG002 - an utterance ends where it ends
        self._asked_s = self._now()
        return ()

    def clear(self, at_ms: int) -> None:
        """Nothing: what was said becomes an item by itself."""

    def tick(self) -> Sequence[str]:
        is_due = self._asked_s is not None and self._now() - self._asked_s >= EMPTY_S
        if not is_due or self.open_id is not None:
            return ()
        self._asked_s = None
        item_id = self._items.new()
        return [*self._items.committed(item_id), self._items.completed(item_id, "", 0)]

    def finish(self) -> Sequence[str]:
        return () if self.open_id is None else self._closed(FinalText("", *self._span_ms))

    def _opened(self, at_ms: int) -> list[str]:
        if self.open_id is not None:
            return []
        self.open_id = self._items.new()
        return [self._items.started(self.open_id, at_ms)]

    def _closed(self, final: FinalText) -> list[str]:
        items = self._items
        told = self._opened(final.start_ms)
        item_id = self.open_id
        assert item_id is not None
        told += [items.stopped(item_id, final.end_ms), *items.committed(item_id)]
        told += items.delta(item_id, self._agreed.final(final.text))
        if self._is_diarized and final.words:
            told += items.speakers(item_id, final.words)
        told.append(items.completed(item_id, final.text, final.end_ms - final.start_ms))
        self.open_id = self._asked_s = None
        self._agreed = Agreed()
        return told


class CommitTurns:
    """The client's commits make items; whose text is whose the times of the provider's finals tell (`Segments`)."""

    def __init__(self, items: Items, now: Clock, *, has_positions: bool) -> None:
        self._items = items
        self._segments = Segments(now, has_positions=has_positions, empty_s=EMPTY_S)
        self._segments.began(0)
        self._began_ms = 0
        """Where the last item ended."""
        self._cleared_ms = 0
        self._waiting: deque[str] = deque()
        """Committed, and without their text."""
        self._uncommitted: str | None = None
        self._agreed = Agreed()
        """Of `open_id`: no other item has deltas."""

    @property
    def open_id(self) -> str | None:
        return self._waiting[0] if self._waiting else self._uncommitted

    def heard(self) -> None:
        """Audio has come."""
        self._segments.heard()

    def partial(self, partial: Partial) -> Sequence[str]:
        if self._is_cleared(partial) or (self._waiting and partial.start_ms >= self._began_ms):
            return ()  # of an item behind the one that waits
        return self._grown(self._agreed.partial(f"{self._segments.so_far} {partial.text}"))

    def final(self, final: FinalText) -> Sequence[str]:
        if not final.text or self._is_cleared(final):
            return ()
        told = self._told(self._segments.final(final))
        return [*told, *self._grown(self._agreed.final(self._segments.so_far))]

    def commit(self, at_ms: int) -> Sequence[str]:
        items = self._items
        item_id = self._uncommitted or items.new()
        self._uncommitted = None
        told = items.committed(item_id)
        if at_ms == self._began_ms:
            return [*told, items.completed(item_id, "", 0)]
        self._waiting.append(item_id)
        done = self._segments.closed(Segment(self._began_ms, at_ms, at_ms))
        self._segments.began(at_ms)
        self._began_ms = at_ms
        return [*told, *self._told(done)]

    def clear(self, at_ms: int) -> None:
        self._segments.forget()
        self._segments.began(at_ms)
        self._began_ms = self._cleared_ms = at_ms
        self._uncommitted = None
        if not self._waiting:
            self._agreed = Agreed()

    def tick(self) -> Sequence[str]:
        return self._told(self._segments.overdue())

    def finish(self) -> Sequence[str]:
        return self._told(self._segments.rest(is_heard_out=True))

    def _is_cleared(self, said: Partial | FinalText) -> bool:
        return not self._waiting and said.start_ms + said.end_ms < 2 * self._cleared_ms

    def _grown(self, text: str) -> list[str]:
        if not text:
            return []
        if self.open_id is None:
            self._uncommitted = self._items.new()
        assert self.open_id is not None
        return self._items.delta(self.open_id, text)

    def _told(self, segments: Iterable[Done]) -> list[str]:
        told: list[str] = []
        for done in segments:
            if done.is_announced:
                item_id = self._waiting.popleft()
                told += self._items.delta(item_id, self._agreed.final(done.text))
                self._agreed = Agreed()
            else:
                item_id = self._items.new()
                told += self._items.committed(item_id)
            told.append(self._items.completed(item_id, done.text, done.duration_ms))
        return told
