"""The rows at the end of the test output."""

from importlib.metadata import version
from pathlib import Path

from tests.emulators.sdk_rows import sdks


def test_every_sdk_has_a_row() -> None:
    """Each file that drives an SDK is found, belongs to an emulator, and names a distribution that is installed."""
    here = Path(__file__).parent
    assert {f"test_{name}_sdk.py" for name in sdks()} == {path.name for path in here.glob("test_*_sdk.py")}
    assert all(version(distribution) for distribution in sdks().values())
