"""Records of keys: how old they may be, and what holds while the store does not answer."""

import threading

import pytest
import trio
import trio.testing

from routeraudio.auth.key_cache import FRESH_S, RECORDS_MAX, REST_S, KeyCache
from routeraudio.model.errors import Unavailable
from tests.auth.keystore import KeyStore

GRACE_S = 60.0


@pytest.fixture
def store() -> KeyStore:
    return KeyStore()


@pytest.fixture
def records(store: KeyStore) -> KeyCache:
    return KeyCache(store, read_s=3.0, grace_s=GRACE_S)


async def test_read_once_in_three_seconds(
    store: KeyStore, records: KeyCache, mock_clock: trio.testing.MockClock
) -> None:
    """A change by another node is seen when the record is three seconds old, not later."""
    key, _ = store.make()
    for _ in range(10):
        assert await records.find(key.id) == store.records[key.id]
    assert store.reads == 1
    changed = store.change(key, is_disabled=True)
    mock_clock.jump(FRESH_S - 0.01)
    assert await records.find(key.id) == (key, store.records[key.id][1])
    mock_clock.jump(0.01)
    found = await records.find(key.id)
    assert found is not None
    assert found[0] == changed
    assert store.reads == 2


async def test_a_record_is_as_old_as_the_read_that_brought_it(store: KeyStore, records: KeyCache) -> None:
    """A read that takes long brings what was true when it began."""
    key, _ = store.make()
    store.gate = threading.Event()
    clock_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(records.find, key.id)
        await trio.to_thread.run_sync(store.reading.wait)
        asked_s = trio.current_time()
        store.gate.set()
    assert clock_s <= records._kept[key.id].read_at_s <= asked_s


async def test_a_missing_key_is_not_remembered(store: KeyStore, records: KeyCache) -> None:
    """One that has just been made is good at once."""
    key, _ = store.make()
    record = store.records.pop(key.id)
    assert await records.find(key.id) is None
    assert not records.is_kept(key.id)
    store.records[key.id] = record
    assert await records.find(key.id) == record
    assert records.is_kept(key.id)


async def test_a_key_that_is_gone_is_forgotten(
    store: KeyStore, records: KeyCache, mock_clock: trio.testing.MockClock
) -> None:
    """What the store does not have any more is not served from memory."""
    key, _ = store.make()
    await records.find(key.id)
    store.records.clear()
    mock_clock.jump(FRESH_S)
    assert await records.find(key.id) is None
    assert not records.is_kept(key.id)


async def test_forgetting_makes_a_change_act_at_once(store: KeyStore, records: KeyCache) -> None:
    """For changes made through this process."""
    key, _ = store.make()
    await records.find(key.id)
    changed = store.change(key, is_disabled=True)
    records.forget(key.id)
    found = await records.find(key.id)
    assert found is not None
    assert found[0] == changed


async def test_a_hundred_at_once_ask_once(store: KeyStore, records: KeyCache) -> None:
    """One read serves everybody who came while it ran."""
    key, _ = store.make()
    store.gate = threading.Event()
    found: list[object] = []

    async def look() -> None:
        found.append(await records.find(key.id))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(look)
        await trio.to_thread.run_sync(store.reading.wait)
        store.gate.set()
    assert found == [store.records[key.id]] * 100
    assert store.reads == 1


async def test_who_waits_survives_who_reads(store: KeyStore, records: KeyCache) -> None:
    """When the one who asked the store is cancelled, another one asks."""
    key, _ = store.make()
    store.gate = threading.Event()
    found: list[object] = []

    async def look() -> None:
        found.append(await records.find(key.id))

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as first:
            async with trio.open_nursery() as inner:
                inner.start_soon(records.find, key.id)
                await trio.to_thread.run_sync(store.reading.wait)
                nursery.start_soon(look)
                await trio.testing.wait_all_tasks_blocked(0.01)
                first.cancel()
        store.gate.set()
    assert found == [store.records[key.id]]
    assert store.reads == 2


async def test_an_outage(store: KeyStore, records: KeyCache, mock_clock: trio.testing.MockClock) -> None:
    """A known key is good for the grace time, an unknown one cannot be told, and recovery is noticed."""
    key, _ = store.make()
    other, _ = store.make()
    record = await records.find(key.id)
    store.is_down = True
    mock_clock.jump(FRESH_S)
    assert await records.find(key.id) == record
    with pytest.raises(Unavailable) as raised:
        await records.find(other.id)
    assert raised.value.retry_after_s is not None
    mock_clock.jump(GRACE_S - 0.01)
    assert await records.find(key.id) == record
    mock_clock.jump(0.01)
    with pytest.raises(Unavailable):
        await records.find(key.id)
    store.is_down = False
    mock_clock.jump(REST_S)
    assert await records.find(key.id) == record


async def test_a_store_that_is_down_is_left_alone(
    store: KeyStore, records: KeyCache, mock_clock: trio.testing.MockClock
) -> None:
    """It is asked once a second, however many clients come."""
    store.is_down = True
    for _ in range(50):
        with pytest.raises(Unavailable):
            await records.find("x")
    assert store.reads == 1
    mock_clock.jump(REST_S)
    with pytest.raises(Unavailable):
        await records.find("x")
    assert store.reads == 2


async def test_a_store_that_says_nothing(store: KeyStore) -> None:
    """Is waited for so long and no longer."""
    records = KeyCache(store, read_s=0.05, grace_s=GRACE_S)
    store.gate = threading.Event()
    with pytest.raises(Unavailable):
        await records.find("x")
    store.gate.set()


async def test_an_outage_is_told(store: KeyStore) -> None:
    """Whoever must know hears of it at the first question without an answer, and of none while it is left alone."""
    told: list[None] = []
    records = KeyCache(store, read_s=3.0, grace_s=GRACE_S, on_away=lambda: told.append(None))
    store.make()
    assert await records.has_any()
    assert not told
    store.is_down = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            await records.find("x")
    assert len(told) == 1


async def test_whether_there_are_keys(
    store: KeyStore, records: KeyCache, mock_clock: trio.testing.MockClock
) -> None:
    """No is asked again, yes is for ever; an outage changes nothing for the grace time."""
    assert not await records.has_any()
    assert not await records.has_any()
    assert store.reads == 1
    store.is_down = True
    mock_clock.jump(FRESH_S)
    assert not await records.has_any()
    mock_clock.jump(GRACE_S)
    with pytest.raises(Unavailable):
        await records.has_any()
    store.is_down = False
    store.make()
    mock_clock.jump(REST_S)
    assert await records.has_any()
    store.is_down = True
    mock_clock.jump(10 * GRACE_S)
    assert await records.has_any()


async def test_what_is_kept_is_bounded(store: KeyStore, records: KeyCache) -> None:
    """Beyond the bound the key used longest ago is read again."""
    key, _ = store.make()
    record = store.records[key.id]
    for number in range(RECORDS_MAX + 1):
        records._keep(str(number), record, trio.current_time())
    assert not records.is_kept("0")
    assert records.is_kept("1")
    assert len(records._kept) == RECORDS_MAX
