"""OpenAI's input buffer, as far as it can be known from here: what is committed, and which commits are unanswered.

Positions are on the connection's own timeline. Live models commit nothing themselves, so a commit that was sent
counts at once. The others do, in between; what they say counts.
"""

from collections import deque
from typing import Final

import msgspec

from routeraudio.providers.openai.transcript import Item

_COMMIT_MS_MIN: Final = 101
"""The vendor wants 100 ms; counted in whole milliseconds it might be one short."""

_SLACK_MS: Final = 200
"""A turn that the vendor ended this close to a commit of ours has left nothing for the commit."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of ours."""

    id: str
    """The message's `event_id`."""
    start_ms: int
    end_ms: int
    """Of the speech in it."""
    at_ms: int
    """Everything before this is in it."""
    ends_turn: bool


class Buffer:
    """What was committed of the audio sent.

    Args:
        is_ours: only we commit.
    """

    def __init__(self, *, is_ours: bool) -> None:
        self._is_ours = is_ours
        self._unanswered: deque[Commit] = deque()
        self._count = 0
        self.committed_ms = 0
        """What lies before this belongs to some turn already."""

    @property
    def first(self) -> Commit | None:
        """The commit that the vendor answers next."""
        return self._unanswered[0] if self._unanswered else None

    def takes(self, sent_ms: int) -> bool:
        """Whether there is enough to commit that is not on its way already."""
        is_new = not self._unanswered or self._unanswered[-1].at_ms < sent_ms
        return is_new and sent_ms - self.committed_ms >= _COMMIT_MS_MIN

    def commit(self, start_ms: int, end_ms: int, *, at_ms: int, ends_turn: bool) -> Commit:
        """A new commit, to be sent."""
        self._count += 1
        commit = Commit(
            id=f"commit-{self._count}",
            start_ms=max(start_ms, self.committed_ms),
            end_ms=end_ms,
            at_ms=at_ms,
            ends_turn=ends_turn,
        )
        self._unanswered.append(commit)
        if self._is_ours:
            self.committed_ms = at_ms
        return commit

    def place(self, item: Item, sent_ms: int) -> None:
        """Where a committed turn lies: as the vendor says, else as the commit says that it answers."""
        first = self.first
        if item.end_ms is not None:
            # The vendor ended it. Our commit is still to be answered, unless nothing was left for it.
            at_ms = item.end_ms
            if first is not None and at_ms >= first.at_ms - _SLACK_MS:
                self._unanswered.popleft()
        elif first is not None:
            at_ms = first.at_ms
            item.end_ms, item.ends_turn = first.end_ms, first.ends_turn
            item.start_ms = first.start_ms if item.start_ms is None else item.start_ms
            self._unanswered.popleft()
        else:
            at_ms = item.end_ms = sent_ms
            item.start_ms = self.committed_ms if item.start_ms is None else item.start_ms
        self.committed_ms = max(self.committed_ms, at_ms)

    def withdraw(self, id: str | None) -> None:
        """The vendor had less than 100 ms for this commit; without an id it was the oldest."""
        refused = next((commit for commit in self._unanswered if id in (None, commit.id)), None)
        if refused is not None:
            self._unanswered.remove(refused)
            self.committed_ms = max(self.committed_ms, refused.at_ms)
