"""Whose fault it is when Vachana says no: only its words tell."""

import re
from typing import Final

from routeraudio.model.errors import Fault
from routeraudio.providers.decoding import colon_joined, refusal_reader
from routeraudio.providers.faults import Faults
from routeraudio.providers.vachana.messages import Detail, Refusal

_KEY_WORDS: Final = re.compile(r"\bapi[ _-]?key\b|auth|credential|forbidden|revoked", re.IGNORECASE)
"""What an `error` says about a key. INFERRED from the REST interface's codes (`UNAUTHORIZED`, `MISSING_API_KEY`)."""

_PASSING_WORDS: Final = re.compile(
    r"internal|unavailable|overload|timed?.?out|try again|rate.?limit|too many", re.IGNORECASE
)
"""What it says when the same may succeed later. INFERRED likewise (`RATE_LIMITED`, `SERVICE_UNAVAILABLE`)."""


def error(faults: Faults, said: str) -> Fault:
    """An `error`."""
    return faults.reported(
        said,
        is_about_key=bool(_KEY_WORDS.search(said)),
        is_retryable=bool(_PASSING_WORDS.search(said)),
    )


def close(faults: Faults, code: int | None, reason: str) -> Fault:
    """A close before all was said."""
    if _KEY_WORDS.search(reason) and faults.is_key_clients_own:
        return error(faults, reason)
    return faults.closed(code, reason)


def _words(refused: Refusal) -> str:
    """`UNAUTHORIZED: Invalid API key`, for example."""
    said = refused.detail or refused.error
    return colon_joined(said.error_code or said.type, said.message) if isinstance(said, Detail) else said


refusal_words: Final = refusal_reader(Refusal, _words)
"""What the body of a refusal says."""
