"""Items, one per utterance or commit: their ids, and the messages about them in the order that clients need.

speech_started · speech_stopped · committed · added · done · delta… · completed
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from routeraudio.dialects.openai import messages
from routeraudio.dialects.openai.messages import TRANSCRIPTION
from routeraudio.model.errors import Fault
from routeraudio.model.events import Word


class Items:
    """Of one session.

    Args:
        request_id: its id, which its items' ids hold.
    """

    def __init__(self, request_id: str, *, is_beta: bool) -> None:
        self.is_beta = is_beta
        self._prefix = request_id[:12]
        self._items = 0
        self._events = 0
        self._segments = 0
        self._previous: str | None = None

    def new(self) -> str:
        """The id of a new item."""
        self._items += 1
        return f"item_{self._prefix}_{self._items}"

    def event_id(self) -> str:
        """Of a message. The greeting has had one."""
        self._events += 1
        return f"event_{self._events}"

    def told(self, kind: str, **members: Any) -> str:
        """Any message."""
        return messages.text({"type": kind, "event_id": self.event_id(), **members})

    def started(self, item_id: str, at_ms: int) -> str:
        return self.told("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=item_id)

    def stopped(self, item_id: str, at_ms: int) -> str:
        return self.told("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=item_id)

    def committed(self, item_id: str) -> list[str]:
        """The audio is complete, and the item stands in the conversation."""
        previous, self._previous = self._previous, item_id
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        names = ("created",) if self.is_beta else ("added", "done")
        return [
            self.told("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous),
            *(self.told(f"conversation.item.{name}", previous_item_id=previous, item=item) for name in names),
        ]

    def delta(self, item_id: str, text: str) -> list[str]:
        """Nothing for no text."""
        return (
            [self.told(f"{TRANSCRIPTION}delta", item_id=item_id, content_index=0, delta=text)] if text else []
        )

    def speakers(self, item_id: str, words: Sequence[Word]) -> list[str]:
        """One segment for each speaker's run of words."""
        told = []
        for speaker, run in groupby(words, key=lambda word: word.speaker):
            its = list(run)
            self._segments += 1
            told.append(
                self.told(
                    f"{TRANSCRIPTION}segment",
                    item_id=item_id,
                    content_index=0,
                    id=f"seg_{self._segments}",
                    text=" ".join(word.text for word in its),
                    speaker=speaker or "",
                    start=its[0].start_ms / 1000,
                    end=its[-1].end_ms / 1000,
                )
            )
        return told

    def completed(self, item_id: str, text: str, duration_ms: int) -> str:
        usage = {"type": "duration", "seconds": duration_ms / 1000}
        return self.told(
            f"{TRANSCRIPTION}completed", item_id=item_id, content_index=0, transcript=text, usage=usage
        )

    def failed(self, item_id: str, fault: Fault) -> str:
        error = messages.details(fault)
        return self.told(f"{TRANSCRIPTION}failed", item_id=item_id, content_index=0, error=error)
