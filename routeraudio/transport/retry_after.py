"""The header `Retry-After`: seconds, or a date (RFC 9110, 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

RETRY_S_MAX: Final = 3600.0
"""Nobody is sent away for longer."""


def retry_after_s(text: str, now: datetime | None = None) -> float | None:
    """In how many seconds a peer wants to be asked again; None: it does not say, or not so that it is understood."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_S_MAX)
    try:
        until = parsedate_to_datetime(text)
        left = until.astimezone(UTC) - (datetime.now(UTC) if now is None else now)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, left.total_seconds()), RETRY_S_MAX)
