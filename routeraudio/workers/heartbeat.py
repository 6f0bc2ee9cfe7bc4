"""The heartbeat: ten times a second a process publishes its state; once a second it samples metrics.

One task for everything periodic, so that an idle daemon wakes up for one reason only.
"""

import os
from typing import Final, NoReturn

import trio

from routeraudio.edge.admission import Admission
from routeraudio.observability.metrics import Metrics
from routeraudio.store.ledger.service import Ledger
from routeraudio.workers import sd_notify
from routeraudio.workers.load import Load
from routeraudio.workers.shared_state import SharedState, State

BEAT_S: Final = 0.1
"""Often enough to see who is busy; costs less than a thousandth of a core."""

BEATS_PER_LOOK: Final = 10


class Heartbeat:
    """Publishes one process's state."""

    def __init__(
        self, admission: Admission, shared: SharedState, metrics: Metrics, load: Load, ledger: Ledger
    ) -> None:
        self._admission = admission
        self._shared = shared
        self._metrics = metrics
        self._load = load
        self._ledger = ledger
        self._watchdog_s = sd_notify.watchdog_s(os.environ)
        """How long our manager waits for a sign of life; None: it does not watch."""

    async def run(self) -> NoReturn:
        """Beat until cancelled."""
        beats = 0
        alive_at_s = 0.0
        while True:
            self.tell()
            now_s = trio.current_time()
            if self._watchdog_s is not None and now_s >= alive_at_s:
                sd_notify.notify(sd_notify.ALIVE)
                alive_at_s = now_s + self._watchdog_s / 2
            due_s = now_s + BEAT_S
            await trio.sleep_until(due_s)
            self._load.lag.add(trio.current_time() - due_s)
            beats += 1
            if beats % BEATS_PER_LOOK == 0:
                self._look()

    def standing(self) -> State:
        """The state of the daemon as a whole: that of its best worker, this one's computed now."""
        return min(self._state(), self._shared.best_other())

    def _look(self) -> None:
        self._load.look(self._admission.sessions)
        self._admission.strain = self._load.strain
        self._metrics.store(is_available=self._ledger.is_available, marks_waiting=self._ledger.marks_waiting)
        self._metrics.sample(
            lag_p99_s=self._load.lag_p99_s,
            memory_share=self._load.memory_share,
            resident_bytes=self._load.resident_bytes,
            connections=self._admission.connections,
        )

    def tell(self) -> None:
        """Write our row of the shared state."""
        admission = self._admission
        self._shared.tell(
            self._state(),
            connections=admission.connections,
            sessions=admission.sessions,
            places=admission.sessions_max,
        )

    def _state(self) -> State:
        if self._admission.is_leaving:
            return State.LEAVING
        if not self._ledger.is_available:
            return State.CUT_OFF
        if self._admission.sessions >= self._admission.sessions_max:
            return State.FULL
        return State.READY if self._load.strain is None else State.STRAINED
