"""Faults: whose fault, what was expected, what came, what to do next.

A fault is raised where something goes wrong, travels to the one error boundary of its session, and is told
to the client there as an error message and a close code. Its text reaches the client, so it never carries
keys, tokens, audio, transcripts or the text of an internal exception.
"""

from enum import IntEnum
from typing import Literal

ErrorCode = Literal[
    "unauthorized",
    "forbidden",
    "invalid_parameter",
    "unsupported_language",
    "provider_error",
    "provider_unreachable",
    "rate_limited",
    "budget_exhausted",
    "restart",
    "timeout",
    "audio_error",
    "internal",
]
"""The closed list of codes in error messages (seed router.audio, 5.4; `budget_exhausted` and `restart` are ours: both
had been `rate_limited`, which says that waiting a little helps)."""


class CloseCode(IntEnum):
    """WebSocket close codes this project sends. 3000, 3003 and 3008 are registered with IANA."""

    NORMAL = 1000
    UNSUPPORTED_DATA = 1003
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    UNAUTHORIZED = 3000
    FORBIDDEN = 3003
    TIMEOUT = 3008
    PROVIDER = 4040
    BUDGET = 4402
    """The gateway's (seed memories.ai, section 2)."""


class Fault(Exception):
    """Base of all declared faults of a session.

    Args:
        message: one sentence for the person who reads the client's log.
        code: machine-readable, from the closed list.
        close_code: how the client's WebSocket is closed.
        parameter: the request parameter at fault, where there is one.
    """

    def __init__(
        self, message: str, *, code: ErrorCode, close_code: CloseCode, parameter: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code: ErrorCode = code
        self.close_code = close_code
        self.parameter = parameter

    @property
    def retry(self) -> bool | float:
        """Whether the same request may succeed later; where it is known, in how many seconds."""
        return False


class ClientFault(Fault):
    """The client must change something: a parameter, a key, its audio, its pace."""

    @property
    def retry(self) -> bool | float:
        """See `Fault`. A stream that was idle, or lasted too long, is one to begin again."""
        return self.code == "timeout"


class UpstreamFault(Fault):
    """The provider failed, refused our stored credential, or cannot be reached.

    Args:
        is_retryable: whether the same request may succeed later (network, overload); false for refusals that
            will not change by themselves (400, 401, 402).
        status: the provider's HTTP status, where that is what it said.
    """

    retry_after_s: float | None = None
    """When the provider wants to be asked again; None: it has not said."""

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode = "provider_error",
        close_code: CloseCode = CloseCode.PROVIDER,
        is_retryable: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message, code=code, close_code=close_code)
        self.is_retryable = is_retryable
        self.status = status

    @property
    def retry(self) -> bool | float:
        """See `Fault`."""
        return self.is_retryable if self.retry_after_s is None else self.retry_after_s


class Overloaded(Fault):
    """The daemon is full, stopping, or the key is over a limit. The same request may succeed later.

    Args:
        retry_after_s: when it may, where that is known.
    """

    def __init__(
        self,
        message: str,
        *,
        close_code: CloseCode = CloseCode.TRY_LATER,
        retry_after_s: float | None = None,
    ) -> None:
        code: ErrorCode = "restart" if close_code is CloseCode.RESTART else "rate_limited"
        super().__init__(message, code=code, close_code=close_code)
        self.retry_after_s = retry_after_s

    @property
    def retry(self) -> bool | float:
        """See `Fault`."""
        return True if self.retry_after_s is None else self.retry_after_s


class BudgetUsedUp(Overloaded):
    """The account has nothing left for the next cycle. The gateway says 402 or 4402, everybody else `TRY_LATER`."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.code = "budget_exhausted"

    @property
    def retry(self) -> bool | float:
        """See `Fault`. Only where the budget is renewed by itself."""
        return False if self.retry_after_s is None else self.retry_after_s


class Unavailable(Overloaded):
    """Keys and limits cannot be looked up now: the store does not answer."""


class InternalFault(Fault):
    """Our own bug. The client gets an id to quote; the log has the rest."""

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"routeraudio has failed; quote request {request_id} to the operator",
            code="internal",
            close_code=CloseCode.INTERNAL,
        )


class ConfigFault(Exception):
    """The configuration cannot be used; names file, key and what is allowed."""


def unauthorized(message: str) -> ClientFault:
    """A key or token that is missing, unknown, expired, or refused by the provider it belongs to."""
    return ClientFault(message, code="unauthorized", close_code=CloseCode.UNAUTHORIZED)


def forbidden(message: str) -> ClientFault:
    """A good key that may not do this."""
    return ClientFault(message, code="forbidden", close_code=CloseCode.FORBIDDEN)


def timed_out(message: str) -> ClientFault:
    """A client that was silent, connected, or did not read for too long."""
    return ClientFault(message, code="timeout", close_code=CloseCode.TIMEOUT)


def invalid_parameter(parameter: str, message: str) -> ClientFault:
    """A parameter that is missing, malformed or impossible; answered before the upgrade."""
    return ClientFault(
        message, code="invalid_parameter", close_code=CloseCode.UNSUPPORTED_DATA, parameter=parameter
    )
