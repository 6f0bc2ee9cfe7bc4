"""What all tests share: how hard Hypothesis tries, and a place for what daemons keep."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from routeraudio.providers import models
from tests.emulators.sdk_rows import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
"""A hook, which stands here because the process that shares out the tests reads no other file."""

# A deadline per example measures the machine, not the code.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=5000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

LONG: Final = ("fleet", "workers", "end_to_end", "emulators", "bench", "engine")
"""Folders whose files take longest."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: processes that share the tests (`make test`) get done at about the same time."""
    order = {folder: place for place, folder in enumerate(LONG)}
    here = Path(__file__).parent
    items.sort(key=lambda item: order.get(item.path.relative_to(here).parts[0], len(LONG)))


@pytest.fixture(autouse=True, scope="session")
def shared_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for daemons that several tests share: none of them touches the state of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemons that are not told where keep their books here, each test's its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def packaged_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon in the test's process says which models its engine has; the next test begins with all there might be."""
    monkeypatch.setattr(models, "_INSTALLED", {})
