"""What a client is told when the ledger says no: whose fault it is, and what to do."""

from routeraudio.model.errors import BudgetUsedUp, Fault, Overloaded, Unavailable, unauthorized
from routeraudio.store.contract import Refusal

RETRY_S = 1.0
"""After a moment's trouble with the store."""


def fault(refusal: Refusal) -> Fault:
    """A refusal as the fault of a session."""
    match refusal.why:
        case "token_used":
            return unauthorized(
                "this token has been used already; each opens one stream, so ask for another one"
            )
        case "unknown":
            return unauthorized("the router key is unknown here; check it, or create one")
        case "disabled":
            return unauthorized("this router key has been disabled; ask the operator, or use another one")
        case "expired":
            return unauthorized("this router key has expired; ask the operator for a new one")
        case "concurrency":
            return Overloaded(
                "as many streams are open as this key allows; end one, or ask the operator for more",
                retry_after_s=refusal.retry_after_s,
            )
        case "rate":
            return Overloaded(
                "more streams per minute than this key allows; open them more slowly",
                retry_after_s=refusal.retry_after_s,
            )
        case "budget":
            return _budget(refusal.retry_after_s)
        case "lease":
            return place_lost()


def unavailable() -> Unavailable:
    """No new stream now."""
    return Unavailable(
        "keys and limits cannot be looked up now; this daemon's store does not answer, try again later",
        retry_after_s=RETRY_S,
    )


def place_lost() -> Overloaded:
    """A running stream that another node may have been given the place of."""
    return Overloaded(
        "this daemon lost touch with its store, and this stream its place; connect again",
        retry_after_s=RETRY_S,
    )


def replaced() -> Overloaded:
    """A running stream that was silent when its key's newest one needed its place."""
    return Overloaded(
        "a newer stream of this key has taken this one's place, since nothing came from it any more"
    )


def out_of_reach(grace_s: float) -> Overloaded:
    """A running stream that cannot be charged any more."""
    return Overloaded(
        f"this daemon's store has not answered for {grace_s:g} s; connect again later", retry_after_s=RETRY_S
    )


def _budget(retry_after_s: float | None) -> BudgetUsedUp:
    renewal = "" if retry_after_s is None else ", or wait for it to be renewed"
    return BudgetUsedUp(
        f"this key's budget is used up; ask the operator for more{renewal}", retry_after_s=retry_after_s
    )
