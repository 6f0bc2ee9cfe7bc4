"""The adapters' prices are those of the same work: counts and contents only, no figure that depends on speed."""

import json

import pytest

from bench.adapters import answers, measure, table
from bench.vendors import VENDORS
from routeraudio.providers.catalog import PROVIDERS


def test_every_adapter_that_is_compared_has_its_price() -> None:
    """One row per provider that has a plain reader, with a figure in each column."""
    costs = measure(rounds=1, repeats=1)
    assert [cost.provider for cost in costs] == list(VENDORS)
    assert set(VENDORS) <= set(PROVIDERS)
    for cost in costs:
        assert min(cost.result_us, cost.plain_us, cost.chunk_us, cost.plain_chunk_us) > 0
    assert table(costs).row_count == len(VENDORS)


@pytest.mark.parametrize("name", VENDORS)
def test_both_ways_give_the_client_the_same(name: str) -> None:
    """The plain reader tells what adapter and dialect tell, so their prices can be compared."""
    told, plainly = answers(name, number=3)
    messages = [json.loads(message) for message in told]
    expected = [json.loads(message) for message in plainly]
    assert [message["type"] for message in messages] == [message["type"] for message in expected]
    assert messages[0]["transcript"] == expected[0]["transcript"]
    assert messages[0].keys() >= expected[0].keys()
    spoken = [word["text"] for word in messages[0]["words"] or ()]
    assert spoken == [word["text"] for word in expected[0]["words"] or ()]
