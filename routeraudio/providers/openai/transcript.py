"""The order of OpenAI's items: each is a turn, told in the order of the commits whatever order they are ready in.

    speech_started / first delta ──▶ open ──committed──▶ committed ──completed or failed──▶ settled ──▶ told

Committed items stand before the open one. The vendor sends `committed` in the order of its chain of
`previous_item_id`, so the order of arrival is the chain's.
"""

from typing import Final

_TOLD_MAX: Final = 256
"""Items remembered after they were told, so that nothing late reopens them: hours of turns."""


class Item:
    """A turn that has not been told yet."""

    def __init__(self, id: str) -> None:
        self.id: Final = id
        self.text = ""
        """All deltas so far."""
        self.final: str | None = None
        """The text that will not change, possibly empty; None: still to come."""
        self.settled_ms = 0
        """How much audio had been sent when `final` came."""
        self.start_ms: int | None = None
        self.end_ms: int | None = None
        self.is_failed = False
        """The vendor gave it up: `final` is what was heard before."""
        self.is_committed = False
        self.ends_turn = True


class Items:
    """All turns that have not been told yet, in order.

    Args:
        patience_ms: how much audio may be sent while a settled item waits for one before it.
    """

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._items: dict[str, Item] = {}
        self._told: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> Item | None:
        """The turn whose text is due next."""
        return next(iter(self._items.values()), None)

    @property
    def open(self) -> Item | None:
        """The turn that is in the buffer."""
        return next((item for item in self._items.values() if not item.is_committed), None)

    @property
    def is_owed(self) -> bool:
        """Whether a committed turn has not been transcribed yet."""
        return any(item.is_committed and item.final is None for item in self._items.values())

    def unsettled(self) -> list[Item]:
        """The items without their final text."""
        return [item for item in self._items.values() if item.final is None]

    def find(self, id: str) -> Item | None:
        """The item of this id, a new one where it was never mentioned; None when it has been told."""
        if id in self._told:
            return None
        return self._items.setdefault(id, Item(id))

    def commit(self, item: Item) -> None:
        """Put ``item`` behind all that were committed before it."""
        item.is_committed = True
        committed = {id: each for id, each in self._items.items() if each.is_committed and each is not item}
        self._items = committed | {item.id: item} | self._items

    def settle(self, item: Item, text: str, sent_ms: int) -> None:
        """The item's text is final."""
        item.final = text.strip()
        item.settled_ms = sent_ms

    def take(self, sent_ms: int) -> list[Item]:
        """The settled items whose turn it is; those that waited too long pass the ones before them."""
        settled = [item for item in self._items.values() if item.final is not None]
        is_overdue = any(sent_ms - item.settled_ms >= self._patience_ms for item in settled)
        due = []
        for item in self._items.values():
            if item.final is not None:
                due.append(item)
            elif not is_overdue:
                break
        return self._told_now(due)

    def take_settled(self) -> list[Item]:
        """All settled items, whatever is missing before them: nothing else will come."""
        return self._told_now([item for item in self._items.values() if item.final is not None])

    def _told_now(self, items: list[Item]) -> list[Item]:
        for item in items:
            del self._items[item.id]
            self._told[item.id] = None
        while len(self._told) > _TOLD_MAX:
            del self._told[next(iter(self._told))]
        return items
