"""Whose fault an `Error` of Speechmatics', or a close with one of its codes, is."""

from typing import Final

from routeraudio.model.errors import Fault
from routeraudio.providers.faults import Faults

_RETRYABLE: Final = frozenset(
    {"quota_exceeded", "job_error", "unknown_error", "internal_error", "idle_timeout", "session_timeout"}
)
"""Errors after which a new session may succeed; the vendor asks for 5–10 s in between. The others would come again."""

_RATE_LIMITED: Final = frozenset({"quota_exceeded", "timelimit_exceeded"})
"""Too many sessions at once; the month's hours are used up."""

_KEY_REFUSED: Final = frozenset({"not_authorised", "not_allowed"})

_CLOSES: Final = {
    4001: "not_authorised",
    4003: "not_allowed",
    4004: "invalid_model",
    4005: "quota_exceeded",
    4006: "timelimit_exceeded",
    4013: "job_error",
}
"""The vendor's own close codes, by the error they stand for. Usually an `Error` has told it before."""


def error(faults: Faults, kind: str, reason: str) -> Fault:
    """An `Error`."""
    return faults.reported(
        f"{kind}: {reason}" if reason and reason != kind else kind,
        is_about_key=kind in _KEY_REFUSED,
        code="rate_limited" if kind in _RATE_LIMITED else "provider_error",
        is_retryable=kind in _RETRYABLE,
    )


def close(faults: Faults, code: int | None, reason: str) -> Fault:
    """A close before `EndOfTranscript`."""
    kind = _CLOSES.get(code or 0)
    return faults.closed(code, reason) if kind is None else error(faults, kind, reason)
