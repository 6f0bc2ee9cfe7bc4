"""`Retry-After`, as servers write it."""

from datetime import UTC, datetime

import pytest

from routeraudio.transport.retry_after import RETRY_S_MAX, retry_after_s

NOW = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("9" * 400, RETRY_S_MAX),
        ("Tue, 01 Dec 2026 12:00:30 GMT", 30.0),
        ("Tue, 01 Dec 2026 13:00:30 +0100", 30.0),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0),
        ("Tue, 01 Dec 2099 11:00:00 GMT", RETRY_S_MAX),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Tue, 99 Dec 2026 11:00:00 GMT", None),
    ],
)
def test_what_servers_say(text: str, expected: float | None) -> None:
    """Seconds, dates, and what is neither."""
    assert retry_after_s(text, NOW) == expected
