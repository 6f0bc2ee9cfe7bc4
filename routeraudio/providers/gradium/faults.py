"""Whose fault it is when Gradium says no, in a message or a close."""

import re
from typing import Final

from routeraudio.model.errors import CloseCode, Fault
from routeraudio.providers.faults import Faults

_LIFE_S: Final = 290.0
"""A session that dies with 1008 at this age died of it. INFERRED; live it dies at 300 s sharp."""

_LIFE_WORDS: Final = "maximum duration"
"""What it says then (observed live)."""

_KEY_WORDS: Final = re.compile(r"\b(api[ _-]?)?key\b|auth|credential|\btoken\b|revoked", re.IGNORECASE)
"""What an `error` before `ready` says about a key. INFERRED: the vendor documents the code, not the words."""


def error(faults: Faults, said: str, code: int | None, *, is_ready: bool, age_s: float) -> Fault:
    """An `error`.

    Args:
        is_ready: whether the vendor had taken the key.
        age_s: how long the connection had been open.
    """
    return faults.reported(
        said,
        is_about_key=_is_about_key(said, code, is_ready),
        is_retryable=code == CloseCode.INTERNAL or _is_expired(said, code, age_s),
    )


def close(faults: Faults, code: int | None, reason: str, *, is_ready: bool, age_s: float) -> Fault:
    """A close before `end_of_stream`."""
    if _is_about_key(reason, code, is_ready) and faults.is_key_clients_own:
        return error(faults, reason, code, is_ready=is_ready, age_s=age_s)
    usual = faults.closed(code, reason)
    usual.is_retryable = usual.is_retryable or _is_expired(reason, code, age_s)
    return usual


def _is_about_key(said: str, code: int | None, is_ready: bool) -> bool:
    return not is_ready and code == CloseCode.POLICY and bool(_KEY_WORDS.search(said))


def _is_expired(said: str, code: int | None, age_s: float) -> bool:
    """Whether the session died of its age: the one policy error that a new connection heals."""
    return code == CloseCode.POLICY and (age_s >= _LIFE_S or _LIFE_WORDS in said.lower())
