"""Whose fault it is when OpenAI says no: in an HTTP answer, an `error` event, or a close.

Sources: guide "Error codes", SDK 3.52 (`RECOVERABLE_CLOSE_CODES`), recorded messages (2026-11). A bad key is refused
after the upgrade: close 3000 with the reason `invalid_request_error.invalid_api_key`, sometimes after an `error`.
"""

from typing import Final

from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.providers.faults import Faults
from routeraudio.providers.openai import messages as vendor

COMMIT_EMPTY: Final = "input_audio_buffer_commit_empty"
"""The one error that does no harm: less than 100 ms to commit."""

_KEY_REFUSED_CLOSE: Final = 3000
_KEY_REFUSED: Final = frozenset({"invalid_api_key", "authentication_error"})
_MODEL_REFUSED: Final = frozenset({"invalid_model", "model_not_found"})
_QUOTA: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_RETRYABLE: Final = frozenset({"session_expired", "rate_limit_exceeded", "server_error", "rate_limit_error"})
"""Codes and types. `authentication_error` and `rate_limit_error` are known from REST (INFERRED for the socket)."""

_FATAL: Final = _KEY_REFUSED | _MODEL_REFUSED | _QUOTA | _RETRYABLE


def is_fatal(problem: vendor.Problem) -> bool:
    """Whether nothing more can be expected after this error, although the socket may stay open.

    An error that names a message of ours is about the session's settings or a commit: only these have an id.
    """
    return problem.event_id is not None or bool({problem.code, problem.type} & _FATAL)


def http(faults: Faults, status: int, body: bytes) -> Fault:
    """An HTTP answer other than 101."""
    problem = vendor.refusal(body)
    fault = faults.refused(status, problem.message or "")
    if isinstance(fault, UpstreamFault) and problem.code in _QUOTA:
        fault.is_retryable = False  # a 429 like any other, but waiting brings no credit
    return fault


def error(faults: Faults, problem: vendor.Problem) -> Fault:
    """A fatal `error` event."""
    kinds = {problem.code, problem.type}
    return faults.reported(
        problem.message or problem.code or "",
        is_about_key=bool(kinds & _KEY_REFUSED),
        is_retryable=bool(kinds & _RETRYABLE) and not kinds & (_QUOTA | _KEY_REFUSED),
    )


def close(faults: Faults, code: int | None, reason: str) -> Fault:
    """A close before all was said."""
    if code == _KEY_REFUSED_CLOSE:
        return faults.reported(reason, is_about_key=True)
    return faults.closed(code, reason)
