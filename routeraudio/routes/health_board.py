"""How each provider stands, as this process has seen it (`policy.health`).

One record per provider, address and credential; a reload of the configuration begins those anew whose credential was
refused.
"""

import math
from collections.abc import Callable
from typing import Final

import structlog
import trio

from routeraudio.model.errors import Fault, Overloaded, UpstreamFault
from routeraudio.policy import health
from routeraudio.policy.health import GOOD, FailureKind, State

log = structlog.get_logger(__name__)

WARN_S: Final = 60.0
"""Between two warnings about a refused credential."""

Key = tuple[str, str, bytes]
"""Provider, address, digest of the credential."""


class Record:
    """One provider's. Implements `session.candidate.Health`."""

    def __init__(self, title: str, now_s: Callable[[], float]) -> None:
        self._title = title
        self._now_s = now_s
        self._health = GOOD
        self._sessions = 0
        self._warned_s = -math.inf

    @property
    def state(self) -> State:
        """In one word."""
        return health.state(self._health, self._now_ms)

    @property
    def ready_s(self) -> float | None:
        """How long it lately took from the dial until it was ready; None: nobody knows."""
        return self._health.ready_ms / 1000 or None

    @property
    def sessions(self) -> int:
        """Connections to it."""
        return self._sessions

    @property
    def ceiling(self) -> int | None:
        """How many it has been seen to take; None: nobody knows."""
        return self._health.ceiling or None

    def wait_s(self) -> float:
        """See `Health`."""
        wait_ms = health.wait_ms(self._health, self._now_ms, self._sessions)
        return math.inf if wait_ms is None else wait_ms / 1000

    def why(self) -> str:
        """See `Health`."""
        wait_s = self.wait_s()
        if not wait_s:
            return ""
        if math.isinf(wait_s):
            return "has refused the credential stored here"
        if self.state != "closed":
            return f"has failed several times in a row, and is tried again in {math.ceil(wait_s)} s"
        return f"is at its limit of streams, and is asked again in {math.ceil(wait_s)} s"

    def dials(self) -> None:
        """See `Health`."""
        self._health = health.dialled(self._health, self._now_ms, self._sessions)
        self._sessions += 1

    def ready(self, took_s: float) -> None:
        """See `Health`."""
        self._health = health.ready(self._health, round(took_s * 1000))

    def worked(self) -> None:
        """See `Health`."""
        was = self.state
        self._health = health.worked(self._health)
        if was != "closed":
            log.info("provider_back", provider=self._title)

    def failed(self, fault: Fault) -> None:
        """See `Health`."""
        kind = _kind(fault)
        if kind is None:
            return
        was = self.state
        retry_after_s = fault.retry_after_s if isinstance(fault, Overloaded | UpstreamFault) else None
        self._health = health.failed(
            self._health,
            kind,
            self._now_ms,
            sessions=self._sessions,
            retry_after_ms=None if retry_after_s is None else round(retry_after_s * 1000),
        )
        self._tell(was)

    def ended(self) -> None:
        """See `Health`."""
        self._sessions -= 1

    def _tell(self, was: State) -> None:
        now = self.state
        if now == "disabled":
            if self._now_s() - self._warned_s >= WARN_S:
                self._warned_s = self._now_s()
                log.warning("credential_refused", provider=self._title, next="correct it and reload")
        elif now == "open" and was != "open":
            log.warning("provider_failing", provider=self._title, again_s=round(self.wait_s()))

    @property
    def _now_ms(self) -> int:
        return round(self._now_s() * 1000)


class HealthBoard:
    """The records of one process."""

    def __init__(self, now_s: Callable[[], float] = trio.current_time) -> None:
        self._now_s = now_s
        self._records: dict[Key, Record] = {}

    def record(self, title: str, key: Key) -> Record:
        """Of one provider, address and credential."""
        found = self._records.get(key)
        if found is None:
            found = self._records[key] = Record(title, self._now_s)
        return found

    def reloaded(self) -> None:
        """The configuration has been read anew: a credential may have been corrected without being changed."""
        for key in [key for key, record in self._records.items() if record.state == "disabled"]:
            del self._records[key]


def _kind(fault: Fault) -> FailureKind | None:
    if isinstance(fault, Overloaded):
        return "crowded"
    if not isinstance(fault, UpstreamFault):
        return None
    if fault.status in (401, 403):
        return "refused"
    if fault.status == 429 or fault.code == "rate_limited":
        return "crowded"
    return "failed" if fault.is_retryable else None
