"""An opening, and that nobody may be waiting for its answer any more."""

import threading

import msgspec

from routeraudio.policy.access import Principal
from routeraudio.store.contract import Mark, Opened, Opening, Refusal, Store, StoreUnavailable
from routeraudio.store.ledger.marks import LineId


def limited(opening: Opening, principal: Principal) -> Opening:
    """With the limits of whoever opens it."""
    terms, token = principal.terms, principal.restriction
    return msgspec.structs.replace(
        opening,
        concurrency_max=terms.concurrency_max,
        sessions_per_minute_max=terms.sessions_per_minute_max,
        budget=terms.budget,
        # A token opens one stream, of as many legs as it takes.
        token_jti=token.jti if token and opening.leg == 1 else None,
        token_expires_at_s=token.expires_at_s if token else None,
        token_concurrent_max=token.max_concurrent if token else None,
    )


class Attempt:
    """An opening in a thread, which may be given up while its thread goes on."""

    def __init__(self, store: Store, opening: Opening) -> None:
        self._store = store
        self._opening = opening
        self._lock = threading.Lock()
        self._is_abandoned = False
        self.is_running = False
        """Whether the thread may still begin the line."""

    @property
    def line_id(self) -> LineId:
        """Of the line that may have begun."""
        return self._opening.session_id, self._opening.leg

    def open(self) -> Opened | Refusal:
        """`Store.open`, in the thread."""
        with self._lock:
            if self._is_abandoned:
                raise StoreUnavailable("given up before its turn came")
            self.is_running = True
        try:
            return self._store.open(self._opening)
        finally:
            self.is_running = False

    def abandon(self) -> None:
        """From now on it does not begin, if it has not yet."""
        with self._lock:
            self._is_abandoned = True

    def end(self) -> Mark:
        """Ends the line, if there is one."""
        session_id, leg = self.line_id
        return Mark(session_id=session_id, leg=leg, cycles=0, wanted=0, ended="unavailable")
