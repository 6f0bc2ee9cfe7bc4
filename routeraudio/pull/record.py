"""What is known of a task: kept in a file while it matters, shown to its owner, and told in its last callback.

starting ──▶ running ──▶ stopping ──▶ stopped      its owner stopped it                  14
    │           ├────────────────────▶ ended        the source is over                    13
    └───────────┴────────────────────▶ failed       anything else, a restart included     15, 17
"""

from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from routeraudio.policy.pricing import CYCLE_S

State = Literal["starting", "running", "stopping", "stopped", "ended", "failed"]

OVER: Final = frozenset({"stopped", "ended", "failed"})


class Status(IntEnum):
    """The numbers of the stream product (seed memories.ai audio stream, section 4)."""

    RUNNING = 0
    SOURCE_ENDED = 13
    STOPPED = 14
    FAILED = 15
    CAPACITY = 16
    BALANCE = 17


class Ending(msgspec.Struct, frozen=True):
    """How a task ended."""

    state: State
    status: Status
    message: str
    """One sentence for the last callback."""
    error: str | None = None
    """What went wrong, where something did."""


STOPPED: Final = Ending("stopped", Status.STOPPED, "Stream stopped by user")
SOURCE_ENDED: Final = Ending("ended", Status.SOURCE_ENDED, "Stream source ended")
BALANCE_USED_UP: Final = Ending("failed", Status.BALANCE, "Balance used up", "the balance is used up")


def failed(why: str) -> Ending:
    """The ending for what went wrong."""
    return Ending("failed", Status.FAILED, "Stream failed", why)


class Record(msgspec.Struct, kw_only=True):
    """One task."""

    task_id: str
    account: str
    key_id: str
    provider: str
    model: str | None
    audio_url: str
    """Without credentials and query."""
    callback_url: str
    is_raw: bool
    price_per_hour_usd: Decimal
    started_at_s: float
    """Unix time."""
    state: State = "starting"
    status: Status = Status.RUNNING
    message: str = ""
    ended_at_s: float | None = None
    audio_ms: int = 0
    """That the provider was sent."""
    cycles: int = 0
    callbacks: int = 0
    """Made so far; each has its number."""
    numbers_reserved: int = 0
    """Numbers up to this one may have been used, also by a process that died before it could say so."""
    callbacks_sent: int = 0
    callbacks_failed: int = 0
    callbacks_dropped: int = 0
    """Partials that a slow webhook was spared."""
    last_error: str | None = None
    is_final_due: bool = True
    """The last callback has neither been delivered nor been given up."""

    @property
    def is_over(self) -> bool:
        """Whether the task has ended."""
        return self.state in OVER

    def ends(self, ending: Ending, now_s: float) -> None:
        """Note how the task ended."""
        self.state, self.status, self.message = ending.state, ending.status, ending.message
        self.ended_at_s = now_s
        self.last_error = ending.error or self.last_error

    def shown(self) -> dict[str, object]:
        """The task as its owner sees it."""
        return {
            "task_id": self.task_id,
            "provider": self.provider,
            "model": self.model,
            "audio_url": self.audio_url,
            "state": self.state,
            "status": int(self.status),
            "started_at": _iso(self.started_at_s),
            "ended_at": None if self.ended_at_s is None else _iso(self.ended_at_s),
            "audio_seconds": self.audio_ms / 1000,
            "cycles": self.cycles,
            "cost": float(round(cost_usd(self.cycles, self.price_per_hour_usd), 6)),
            "callbacks_sent": self.callbacks_sent,
            "callbacks_failed": self.callbacks_failed,
            "callbacks_dropped": self.callbacks_dropped,
            "last_error": self.last_error,
        }


def cost_usd(cycles: int, price_per_hour_usd: Decimal) -> Decimal:
    """What so many cycles cost, exactly."""
    return cycles * CYCLE_S * price_per_hour_usd / 3600


def hidden(url: str) -> str:
    """A URL without what may be secret in it: credentials and query. Stream keys in a path are shown."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=place, query="", fragment="").geturl()


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
