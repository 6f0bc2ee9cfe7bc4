"""One row per provider at the end of the test output: did its own SDK take the emulator for the service?"""

import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from routeraudio.emulators.catalog import EMULATORS

_SDK_LINE: Final = re.compile(r'^SDK = "(.+)"$', re.MULTILINE)


def sdks() -> dict[str, str]:
    """Distributions by provider: each `test_<provider>_sdk.py` says which one it drives."""
    files = {name: Path(__file__).parent / f"test_{name}_sdk.py" for name in EMULATORS}
    return {name: _SDK_LINE.findall(file.read_text())[0] for name, file in files.items() if file.is_file()}


OUTCOMES: Final = ("passed", "failed", "error", "skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows, where any of these tests ran."""
    known = sdks()
    outcomes = {provider: _outcomes(terminalreporter, provider) for provider in known}
    if not any(outcomes.values()):
        return
    terminalreporter.section("official SDK × emulator")
    for provider in EMULATORS:
        if provider not in known:
            terminalreporter.write_line(f"{provider:<14}the vendor has none that is driven here")
    for provider, sdk in known.items():
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
