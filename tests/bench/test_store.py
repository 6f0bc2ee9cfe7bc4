"""What the ledger costs, as the bench measures it: shapes only, no figure that depends on speed."""

from pathlib import Path

from bench.store import measure_one, table


def test_the_embedded_store_has_its_price(tmp_path: Path) -> None:
    """One row per store that there is, with a figure in each column."""
    cost = measure_one(f"sqlite://{tmp_path}/store.db", starts=5, marks_s=0.05, share_s=0.5)
    assert cost.name == "sqlite"
    assert 0 < cost.start_p50_ms <= cost.start_p99_ms
    assert cost.marks_per_s > 0
    assert table([cost]).row_count == 1
