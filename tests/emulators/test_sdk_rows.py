"""The rows at the end of the test output."""

from pathlib import Path

from routeraudio.emulators.catalog import EMULATORS
from tests.emulators.sdk_rows import SDKS


def test_every_provider_has_a_row() -> None:
    """Each emulator is driven by its vendor's SDK, in a file of its own, and has its row."""
    assert set(SDKS) == set(EMULATORS)
    here = Path(__file__).parent
    assert {path.name for path in here.glob("test_*_sdk.py")} == {f"test_{name}_sdk.py" for name in SDKS}
