"""One row per provider at the end of the test output: did its own SDK take the emulator for the service?"""

from collections import Counter
from importlib.metadata import version
from typing import Final

import pytest

SDKS: Final = {
    "assemblyai": "assemblyai",
    "deepgram": "deepgram-sdk",
    "elevenlabs": "elevenlabs",
    "gradium": "gradium",
    "openai": "openai",
    "soniox": "soniox",
    "speechmatics": "speechmatics-rt",
    "vachana": "gnani-vachana",
}
"""Distributions, by provider; `test_<provider>_sdk.py` drives one."""

OUTCOMES: Final = ("passed", "failed", "error", "skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows, where any of these tests ran."""
    outcomes = {provider: _outcomes(terminalreporter, provider) for provider in SDKS}
    if not any(outcomes.values()):
        return
    terminalreporter.section("official SDK × emulator")
    for provider, sdk in SDKS.items():
        told = outcomes[provider]
        words = ", ".join(f"{count} {outcome}" for outcome, count in told.items()) or "not run"
        is_green = set(told) == {"passed"}
        terminalreporter.write_line(
            f"{provider:<14}{sdk + ' ' + version(sdk):<26}{words}", green=is_green, red=not is_green
        )


def _outcomes(terminalreporter: pytest.TerminalReporter, provider: str) -> Counter[str]:
    """How many of the provider's SDK tests ended how."""
    file = f"emulators/test_{provider}_sdk.py::"
    return Counter(
        outcome
        for outcome in OUTCOMES
        for report in terminalreporter.stats.get(outcome, ())
        if file in report.nodeid
    )
