"""Faults: each knows whose it is, what the client's connection is closed with, and what to say."""

from typing import get_args

import pytest

from routeraudio.model.errors import (
    BudgetUsedUp,
    ClientFault,
    CloseCode,
    ConfigFault,
    ErrorCode,
    Fault,
    InternalFault,
    Overloaded,
    Unavailable,
    UpstreamFault,
    forbidden,
    invalid_parameter,
    timed_out,
    unauthorized,
)

FAULTS: list[tuple[Fault, type[Fault], str, int]] = [
    (unauthorized("m"), ClientFault, "unauthorized", 3000),
    (forbidden("m"), ClientFault, "forbidden", 3003),
    (invalid_parameter("encoding", "m"), ClientFault, "invalid_parameter", 1003),
    (UpstreamFault("m"), UpstreamFault, "provider_error", 4040),
    (UpstreamFault("m", code="provider_unreachable"), UpstreamFault, "provider_unreachable", 4040),
    (Overloaded("m"), Overloaded, "rate_limited", 1013),
    (BudgetUsedUp("m"), BudgetUsedUp, "budget_exhausted", 1013),
    (Unavailable("m"), Unavailable, "rate_limited", 1013),
    (Overloaded("m", close_code=CloseCode.RESTART), Overloaded, "restart", 1012),
]


@pytest.mark.parametrize(("fault", "kind", "code", "close_code"), FAULTS)
def test_faults(fault: Fault, kind: type[Fault], code: str, close_code: int) -> None:
    """Kind, code and close code of every usual fault (design, section 5)."""
    assert type(fault) is kind
    assert (fault.code, int(fault.close_code), fault.message, str(fault)) == (code, close_code, "m", "m")
    assert fault.code in get_args(ErrorCode)


def test_only_parameters_have_parameters() -> None:
    """The parameter at fault is named where there is one."""
    assert invalid_parameter("encoding", "m").parameter == "encoding"
    assert unauthorized("m").parameter is None
    assert UpstreamFault("m").parameter is None


def test_what_may_be_tried_again() -> None:
    """A provider's refusal is final unless it is said not to be."""
    assert not UpstreamFault("m").is_retryable
    assert UpstreamFault("m", is_retryable=True).is_retryable


def test_our_own_bugs_tell_an_id_and_nothing_else() -> None:
    """The client gets something to quote, not what went wrong inside."""
    fault = InternalFault("request-1")
    assert (fault.code, fault.close_code) == ("internal", CloseCode.INTERNAL)
    assert "request-1" in fault.message


def test_codes_of_the_reference() -> None:
    """The closed list of error codes, and close codes that may travel on the wire."""
    assert get_args(ErrorCode) == (
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
    )
    assert {int(code) for code in CloseCode} == {
        *(1000, 1003, 1008, 1009, 1011, 1012, 1013),
        *(3000, 3003, 3008, 4040, 4402),
    }
    assert not {1004, 1005, 1006, 1015} & {int(code) for code in CloseCode}, "RFC 6455 7.4.1: never sent"


def test_configuration_is_not_a_session() -> None:
    """A broken configuration is no fault of a session's, and is not caught as one."""
    assert not issubclass(ConfigFault, Fault)


@pytest.mark.parametrize("code", get_args(ErrorCode))
def test_every_code_fits_a_close_reason(code: ErrorCode) -> None:
    """The code is the reason of the close frame, which has 123 bytes for it (RFC 6455, 5.5)."""
    assert len(code.encode()) <= 123


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Overloaded("full"), True),
        (Overloaded("full", retry_after_s=5.0), 5.0),
        (BudgetUsedUp("used up"), False),
        (BudgetUsedUp("used up", retry_after_s=3600.0), 3600.0),
        (UpstreamFault("down", is_retryable=True), True),
        (UpstreamFault("bad request"), False),
        (unauthorized("no"), False),
        (timed_out("idle"), True),
        (InternalFault("r1"), False),
    ],
)
def test_whether_to_try_again(fault: Fault, expected: bool | float) -> None:
    """Told with every error."""
    assert fault.retry == expected
