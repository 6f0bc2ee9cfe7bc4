"""What all tests share: how hard Hypothesis tries, and a place for what daemons keep."""

import os
from pathlib import Path

import hypothesis
import pytest

# A deadline per example measures the machine, not the code.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=5000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemons that are not told where keep their books here, each test's its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
