"""The table of keys and tokens."""

import pytest
from rich.console import Console

from bench import access


def test_every_row_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a rate, and those that are wanted say whether it is reached."""
    monkeypatch.setattr(access, "REPEATS", 2)
    monkeypatch.setattr(access, "ROUNDS", 1)
    rates = access.measure_access()
    assert all(rate.per_s > 0 for rate in rates)
    console = Console(width=120)
    with console.capture() as captured:
        console.print(access.access_table(rates))
    assert all(rate.what in captured.get() for rate in rates)
    assert captured.get().count("✓") + captured.get().count("✗") == 2
