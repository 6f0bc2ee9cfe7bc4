"""One incident: from the loss of a connection, or a session's beginning, until one carries the session again.

Attempts and time are an incident's, whichever providers they go to (`policy.routing`). Here is what has been tried,
what came of it, and what the client is told when nothing is left.
"""

from collections.abc import Sequence

from routeraudio.model.errors import ClientFault, Fault, UpstreamFault
from routeraudio.policy.routing import Budget, Next, Standing, next_candidate
from routeraudio.session.candidate import Candidate


class Incident:
    """What has been tried since ``began_s``.

    Args:
        candidates: of the session, best first.
        gone: those that are of no use to the session any more; added to here.
        lost: the one whose connection was lost; None: it is the session's first dial.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        budget: Budget,
        gone: set[int],
        began_s: float,
        lost: int | None,
    ) -> None:
        self._candidates = candidates
        self._budget = budget
        self._gone = gone
        self.until_s = began_s + budget.within_s
        """Nothing is tried after that."""
        self._tries = [0] * len(candidates)
        self._attempts = 0
        self._faults: dict[int, Fault] = {}
        if lost is not None and len(candidates) > 1:
            self._tries[lost] = 1

    def next(self, now_s: float) -> Next | None:
        """The next dial; None: the budget is used up, or nobody is left."""
        standings = [
            Standing(
                tries=self._tries[at],
                wait_s=candidate.health.wait_s(),
                is_out=at in self._gone,
            )
            for at, candidate in enumerate(self._candidates)
        ]
        return next_candidate(
            standings,
            attempts_left=self._budget.attempts - self._attempts,
            left_s=self.until_s - now_s,
        )

    def dials(self, at: int) -> None:
        """It is dialled now."""
        self._attempts += 1
        self._tries[at] += 1

    def failed(self, at: int, fault: Fault) -> None:
        """Its connection was lost, or could not be had."""
        self._faults[at] = fault
        if isinstance(fault, UpstreamFault) and not fault.is_retryable:
            self._gone.add(at)

    def fault(self) -> Fault:
        """What the client is told at the end: the last reason of each provider tried."""
        faults = list(self._faults.values())
        if len(faults) == 1:
            return faults[0]
        reasons = dict.fromkeys(fault.message for fault in faults)
        if not reasons:
            waits = ", ".join(
                f"{one.title} {one.health.why() or 'is not dialled'}" for one in self._candidates
            )
            return UpstreamFault(f"no provider can be dialled now: {waits}", code="provider_unreachable")
        return UpstreamFault(
            f"no provider could go on: {'; '.join(reasons)}", code="provider_unreachable", is_retryable=True
        )


def may_be_survived(fault: Fault) -> bool:
    """Whether another connection may help: not where it is the client's to change something."""
    return not isinstance(fault, ClientFault)
