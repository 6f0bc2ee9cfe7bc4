"""What one worker learns about a provider all know."""

import os
from collections.abc import Iterator

import msgspec
import pytest

from routeraudio.policy.health import GOOD, Health
from routeraudio.workers.shared_health import RECORDS_MAX, SharedHealth, SharedRecord, new_health_descriptor

NAME, OTHER = b"0123456789abcdef", b"0123456789abcdeg"


@pytest.fixture
def workers() -> Iterator[tuple[SharedHealth, SharedHealth, SharedHealth]]:
    """The parent's view of two workers, and theirs."""
    descriptor = new_health_descriptor(2)
    yield SharedHealth.at(descriptor), SharedHealth.at(descriptor, 1), SharedHealth.at(descriptor, 2)
    os.close(descriptor)


def record(worker: SharedHealth, name: bytes = NAME) -> SharedRecord:
    found = worker.record(name)
    assert found is not None
    return found


def test_all_see_what_one_changes(workers: tuple[SharedHealth, SharedHealth, SharedHealth]) -> None:
    """Every field, by name; another name is another record."""
    _, one, two = workers
    told = Health(**{field.name: at for at, field in enumerate(msgspec.structs.fields(Health), 1)})
    record(one).change(lambda _: told)
    assert record(two).health == told
    assert record(two, OTHER).health == GOOD


def test_sessions_are_everybodys_and_end_with_their_worker(
    workers: tuple[SharedHealth, SharedHealth, SharedHealth],
) -> None:
    parent, one, two = workers
    record(one).count(3)
    record(two).count(2)
    record(two).count(-1)
    assert record(one).sessions == record(two).sessions == 4
    parent.died(1)
    assert record(two).sessions == 1


def test_there_are_only_so_many(workers: tuple[SharedHealth, SharedHealth, SharedHealth]) -> None:
    """The next one gets none, and those that are there stay."""
    _, one, two = workers
    for number in range(RECORDS_MAX):
        record(one, b"%016d" % number).count(1)
    assert two.record(NAME) is None
    assert record(two, b"%016d" % 7).sessions == 1


def test_a_daemon_of_one_process_needs_no_others() -> None:
    alone = SharedHealth.alone()
    record(alone).count(1)
    assert record(alone).sessions == 1


def test_no_change_is_lost_between_processes() -> None:
    """Two processes count failures of the same record at the same time."""
    descriptor = new_health_descriptor(2)
    children = []
    for number in (1, 2):
        child = os.fork()
        if not child:
            own = record(SharedHealth.at(descriptor, number))
            for _ in range(2_000):
                own.change(lambda one: msgspec.structs.replace(one, failures=one.failures + 1))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert record(SharedHealth.at(descriptor)).health.failures == 4_000
    os.close(descriptor)
