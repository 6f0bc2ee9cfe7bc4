"""How each provider stands (`policy.health`).

One record per provider, address and credential of the operator's, shared by all workers of the machine. Of clients' own
keys none is kept: what a vendor makes of them says nothing to others, and anybody could fill a table with them. A
reload of the configuration begins those anew whose credential was refused.
"""

import math
from collections.abc import Callable
from typing import Final

import structlog

from routeraudio.model.errors import Fault, Overloaded, UpstreamFault
from routeraudio.policy import health
from routeraudio.policy.health import GOOD, FailureKind, Standing, State
from routeraudio.workers.shared_health import SharedHealth, SharedRecord
from routeraudio.workers.shared_state import now_ms

log = structlog.get_logger(__name__)

WARN_S: Final = 60.0
"""Between two warnings about a refused credential."""


class Record:
    """One provider's. Implements `session.candidate.Health`."""

    def __init__(self, title: str, memory: SharedRecord, clock_ms: Callable[[], int]) -> None:
        self._title = title
        self._memory = memory
        self._clock_ms = clock_ms
        self._warned_ms = -math.inf

    @property
    def state(self) -> State:
        """In one word."""
        return health.state(self._memory.health, self._clock_ms())

    def standing(self) -> Standing:
        """All of it, for operators."""
        now, wait_s = self._memory.health, self.wait_s()
        return Standing(
            state=self.state,
            sessions=self._memory.sessions,
            sessions_max=now.ceiling or None,
            failures=now.failures,
            wait_s=None if math.isinf(wait_s) else wait_s,
            ready_s=self.ready_s,
        )

    @property
    def ready_s(self) -> float | None:
        """How long it lately took from the dial until it was ready; None: nobody knows."""
        return self._memory.health.ready_ms / 1000 or None

    def wait_s(self) -> float:
        """See `Health`."""
        wait_ms = health.wait_ms(self._memory.health, self._clock_ms(), self._memory.sessions)
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
        now_ms, sessions = self._clock_ms(), self._memory.sessions
        self._memory.change(lambda one: health.dialled(one, now_ms, sessions))
        self._memory.count(1)

    def ready(self, took_s: float) -> None:
        """See `Health`."""
        self._memory.change(lambda one: health.ready(one, round(took_s * 1000)))

    def worked(self) -> None:
        """See `Health`."""
        was = self.state
        if self._memory.health.failures or was != "closed":
            self._memory.change(health.worked)
        if was != "closed":
            log.info("provider_back", provider=self._title)

    def failed(self, fault: Fault) -> None:
        """See `Health`."""
        kind = _kind(fault)
        if kind is None:
            return
        was = self.state
        retry_after_s = fault.retry_after_s if isinstance(fault, Overloaded | UpstreamFault) else None
        retry_after_ms = None if retry_after_s is None else round(retry_after_s * 1000)
        now_ms, sessions = self._clock_ms(), self._memory.sessions
        self._memory.change(
            lambda one: health.failed(one, kind, now_ms, sessions=sessions, retry_after_ms=retry_after_ms)
        )
        self._tell(was)

    def ended(self) -> None:
        """See `Health`."""
        self._memory.count(-1)

    def _tell(self, was: State) -> None:
        now = self.state
        if now == "disabled":
            if self._clock_ms() - self._warned_ms >= WARN_S * 1000:
                self._warned_ms = self._clock_ms()
                log.warning("credential_refused", provider=self._title, next="correct it and reload")
        elif now == "open" and was != "open":
            log.warning("provider_failing", provider=self._title, again_s=round(self.wait_s()))

    def begin_anew(self) -> None:
        """Its credential may have been corrected."""
        self._memory.change(lambda one: GOOD if one.disabled else one)


class HealthBoard:
    """The records as one process uses them.

    Args:
        shared: with whom; None: nobody.
        clock_ms: the same for all who share.
    """

    def __init__(self, shared: SharedHealth | None = None, clock_ms: Callable[[], int] = now_ms) -> None:
        self._shared = SharedHealth.alone() if shared is None else shared
        self._clock_ms = clock_ms
        self._records: dict[bytes, Record] = {}

    def record(self, title: str, name: bytes) -> Record | None:
        """Of one provider, address and credential; None: there are too many.

        Args:
            name: of these three, `workers.shared_health.NAME_BYTES` long.
        """
        found = self._records.get(name)
        if found is None:
            memory = self._shared.record(name)
            if memory is None:
                return None
            found = self._records[name] = Record(title, memory, self._clock_ms)
        return found

    def reloaded(self) -> None:
        """The configuration has been read anew: a credential may have been corrected without being changed."""
        for record in self._records.values():
            record.begin_anew()


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
