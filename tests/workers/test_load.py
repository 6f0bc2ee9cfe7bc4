"""How a process sees itself, from numbers and files that are written here."""

import os
from pathlib import Path

import pytest

from routeraudio.workers.load import (
    LAG_S_MAX,
    LAG_SAMPLES,
    PAGE_BYTES,
    SESSIONS_MIN,
    TRIM_LOOKS,
    Lag,
    Load,
    Memory,
)

MIB = 1024 * 1024


def test_lag_is_the_99th_of_100() -> None:
    """Single hiccups do not show, a trend does, and old ones are forgotten."""
    lag = Lag()
    for _ in range(LAG_SAMPLES - 2):
        lag.add(0.001)
    lag.add(5.0)
    lag.add(5.0)
    assert lag.p99_s == 0.001
    lag.add(4.0)
    assert lag.p99_s == 4.0
    for _ in range(LAG_SAMPLES):
        lag.add(0.002)
    assert lag.p99_s == 0.002


def test_a_few_samples_say_nothing() -> None:
    """A process that has just started has had other things to do."""
    lag = Lag()
    lag.add(9.0)
    assert lag.p99_s == 0.0


class Trimmed(Memory):
    """Counts how often memory is given back."""

    trims = 0

    def trim(self) -> None:
        self.trims += 1


def machine(root: Path, group: str = "/system.slice/routeraudio.service") -> Path:
    """A root with this process in a control group; 100 pages of it are resident."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/statm").write_text("900 100 50 1 0 60 0\n")
    (root / "proc/self/cgroup").write_text(f"0::{group}\n")
    folder = root / "sys/fs/cgroup" / group.lstrip("/")
    folder.mkdir(parents=True)
    return folder


def limited(group: Path, limit: str, *, current: int = 0, cache: int = 0) -> None:
    (group / "memory.max").write_text(f"{limit}\n")
    (group / "memory.current").write_text(f"{current}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {cache}\nactive_file 7\n")


def test_memory_of_a_limited_group(tmp_path: Path) -> None:
    """The group's working set counts, without the cache that the kernel would give back."""
    limited(machine(tmp_path), str(100 * MIB), current=90 * MIB, cache=40 * MIB)
    memory = Memory(workers=4, root=tmp_path)
    assert memory.share == 0.5
    assert memory.resident_bytes == 100 * PAGE_BYTES


def test_memory_of_a_group_inside_a_limited_one(tmp_path: Path) -> None:
    """A slice's or container's limit holds for what is inside."""
    group = machine(tmp_path)
    limited(group, "max", current=1)
    limited(group.parent, str(10 * MIB), current=9 * MIB)
    assert Memory(root=tmp_path).share == 0.9


@pytest.mark.parametrize("group", ["/", "/user.slice"])
def test_memory_without_a_limit(tmp_path: Path, group: str) -> None:
    """The machine's memory is what there is, and other workers use as much as this one."""
    machine(tmp_path, group)
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    assert Memory(workers=3, root=tmp_path).share == 3 * 100 * PAGE_BYTES / machine_bytes


def test_short_of_memory(tmp_path: Path) -> None:
    """New sessions are turned away until there is room again."""
    group = machine(tmp_path)
    limited(group, "100", current=86)
    load = Load(Memory(root=tmp_path))
    assert load.strain is None
    load.look(sessions=1)
    assert load.strain is not None
    assert "memory" in load.strain
    limited(group, "100", current=85)
    load.look(sessions=1)
    assert load.strain is None


def test_short_of_memory_without_sessions(tmp_path: Path) -> None:
    """What nobody here uses does not keep everybody out for ever."""
    limited(machine(tmp_path), "100", current=99)
    load = Load(Memory(root=tmp_path))
    load.look(sessions=0)
    assert load.strain is None


def test_freed_memory_goes_back(tmp_path: Path) -> None:
    """When a crowd has left, and while memory is short; not every second, and not for a few sessions."""
    group = machine(tmp_path)
    limited(group, "100", current=50)
    memory = Trimmed(root=tmp_path)
    load = Load(memory)
    for _ in range(TRIM_LOOKS):
        load.look(SESSIONS_MIN)
    assert memory.trims == 0
    load.look(SESSIONS_MIN // 2 - 1)
    assert memory.trims == 1
    for _ in range(TRIM_LOOKS * 3):
        load.look(0)
    assert memory.trims == 1
    limited(group, "100", current=99)
    for _ in range(TRIM_LOOKS * 2):
        load.look(1)
    assert memory.trims == 3


def test_memory_comes_back() -> None:
    """Most of what was used and freed between pieces that stay in use."""
    memory = Memory()
    pieces = [bytes(1000) for _ in range(200_000)]
    used_bytes = memory.resident_bytes
    kept = pieces[::2000]
    del pieces
    memory.trim()
    assert memory.resident_bytes < used_bytes - 100 * MIB
    assert len(kept) == 100


def test_behind_with_its_work(tmp_path: Path) -> None:
    """A late loop turns clients away, unless so few are there that they cannot be the reason."""
    limited(machine(tmp_path), "100", current=1)
    load = Load(Memory(root=tmp_path))
    for _ in range(LAG_SAMPLES):
        load.lag.add(LAG_S_MAX * 2)
    load.look(SESSIONS_MIN - 1)
    assert load.strain is None
    load.look(SESSIONS_MIN)
    assert load.strain is not None
    assert "behind" in load.strain
