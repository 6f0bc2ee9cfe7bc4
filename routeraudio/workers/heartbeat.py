"""The pulse: ten times a second a process looks at itself and tells the others; once a second it counts.

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
    """One process's pulse."""

    def __init__(
        self, admission: Admission, board: SharedState, metrics: Metrics, health: Load, ledger: Ledger
    ) -> None:
        self._admission = admission
        self._board = board
        self._metrics = metrics
        self._health = health
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
            self._health.lag.add(trio.current_time() - due_s)
            beats += 1
            if beats % BEATS_PER_LOOK == 0:
                self._look()

    def standing(self) -> State:
        """What the daemon as a whole is: what the best of its workers is. Of this one fresh from the source."""
        return min(self._state(), self._board.best_other())

    def _look(self) -> None:
        self._health.look(self._admission.sessions)
        self._admission.strain = self._health.strain
        self._metrics.store(is_available=self._ledger.is_available, marks_waiting=self._ledger.marks_waiting)
        self._metrics.sample(
            lag_p99_s=self._health.lag_p99_s,
            memory_share=self._health.memory_share,
            resident_bytes=self._health.resident_bytes,
            connections=self._admission.connections,
        )

    def tell(self) -> None:
        """Write our row on the board."""
        admission = self._admission
        self._board.tell(
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
        return State.READY if self._health.strain is None else State.STRAINED
