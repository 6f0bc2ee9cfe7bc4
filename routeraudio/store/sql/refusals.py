"""Refusals that openings and settlings share."""

from routeraudio.policy.keys import Period
from routeraudio.store.contract import Refusal
from routeraudio.store.sql.spending import seconds_left


def key_refusal(is_disabled: bool, expires_at_s: int | None, now_s: float) -> Refusal | None:
    """What a key's record says about its use."""
    if is_disabled:
        return Refusal("disabled")
    if expires_at_s is not None and expires_at_s <= now_s:
        return Refusal("expired")
    return None


def budget_refusal(period: Period, now_s: float) -> Refusal:
    """Nothing is left; a new day or month may change that."""
    return Refusal("budget", seconds_left(period, now_s))
