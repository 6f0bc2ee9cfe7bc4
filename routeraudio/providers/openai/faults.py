"""Whose fault it is when OpenAI says no: in an HTTP answer, an `error` event, or a close.

Sources: guide "Error codes", SDK 3.52 (`RECOVERABLE_CLOSE_CODES`), recorded messages (2026-11). A bad key is refused
after the upgrade: close 3000 with the reason `invalid_request_error.invalid_api_key`, sometimes after an `error`.
"""

from typing import Final

from routeraudio.model.errors import Fault, UpstreamFault, unauthorized
from routeraudio.providers import decoding
from routeraudio.providers.base import Credential, refusal
from routeraudio.providers.openai import messages as vendor
from routeraudio.providers.openai.request import TITLE

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


def http(status: int, body: bytes, credential: Credential | None) -> Fault:
    """An HTTP answer other than 101."""
    problem = vendor.refusal(body)
    fault = refusal(
        TITLE, status, credential=credential, words=decoding.words(problem.message or "", credential)
    )
    if isinstance(fault, UpstreamFault) and problem.code in _QUOTA:
        fault.is_retryable = False  # a 429 like any other, but waiting brings no credit
    return fault


def error(problem: vendor.Problem, credential: Credential | None) -> Fault:
    """A fatal `error` event."""
    kinds = {problem.code, problem.type}
    if kinds & _KEY_REFUSED:
        return _key_refused(problem.message or "", credential)
    words = decoding.words(problem.message or problem.code or "no reason given", credential)
    is_retryable = bool(kinds & _RETRYABLE) and not kinds & _QUOTA
    return UpstreamFault(f"{TITLE} reported an error: {words}", is_retryable=is_retryable)


def close(code: int | None, reason: str, credential: Credential | None) -> Fault:
    """A close before all was said."""
    if code == _KEY_REFUSED_CLOSE:
        return _key_refused(reason, credential)
    return decoding.closing(TITLE, code, reason, credential=credential)


def _key_refused(reason: str, credential: Credential | None) -> Fault:
    words = decoding.words(reason, credential).rstrip(".")
    refused = f"{TITLE} refused the API key" + (f": {words}" if words else "")
    if credential is not None and credential.is_clients_own:
        return unauthorized(f"{refused}; check the key you sent")
    return UpstreamFault(refused)
