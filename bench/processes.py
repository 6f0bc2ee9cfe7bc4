"""Child processes: starting them on a core, hearing from them, ending them; what a process has used.

Processor time comes from the process's own CPU clock (`clock_getcpuclockid`): nanoseconds, user and system,
all threads, ended ones too. `/proc/PID/stat` counts in steps of 10 ms, `/proc/PID/schedstat` covers one
thread.

Memory is the anonymous part of the proportional set (`Pss_Anon` in `/proc/PID/smaps_rollup`). Resident
and unique set sizes also count pages of shared libraries, which come and go with whatever else on the machine
maps the same files; sessions live in anonymous memory.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

_ROOT: Final = Path(__file__).parent.parent
_TERM_S: Final = 5.0
"""From SIGTERM to SIGKILL; every client has left by then."""
_CPUCLOCK_SCHED: Final = 2
"""Linux `include/linux/posix-timers_types.h`: the precise clock of a whole process."""

T = TypeVar("T", bound=msgspec.Struct)


class ChildFailed(Exception):
    """A child did not say what it should in time."""


class ProcessGone(ChildFailed):
    """A process ended while it was being measured."""


def cpu_ns(pids: Iterable[int]) -> int:
    """Processor time used so far by these processes together."""
    try:
        return sum(time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED) for pid in pids)
    except OSError as error:
        raise ProcessGone(f"a measured process has ended: {error}") from error


def anonymous_kib(pids: Iterable[int]) -> int:
    """Memory these processes hold for themselves."""
    return sum(_field(f"/proc/{pid}/smaps_rollup", "Pss_Anon:") for pid in pids)


def resident_peak_kib(pids: Iterable[int]) -> int:
    """Most memory resident since `forget_peak`, each process at its own worst moment."""
    return sum(_field(f"/proc/{pid}/status", "VmHWM:") for pid in pids)


def forget_peak(pids: Iterable[int]) -> None:
    """Lets `resident_peak_kib` begin at what is resident now (proc(5), clear_refs)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def tree(pid: int) -> tuple[int, ...]:
    """A process and everything it started."""
    return (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))


def cores_total() -> int:
    """Of the machine, whether or not we may use them all."""
    return psutil.cpu_count() or 1


def machine_busy_s() -> float:
    """Processor seconds used by everything on this machine, and by other guests of its host."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - times.iowait)  # the two fields behind are parts of the first


def _field(path: str, name: str) -> int:
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise ProcessGone(f"a measured process has ended: {error}") from error
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise ChildFailed(f"{path} has no {name}; this needs Linux 5.4 or newer")


class Cores:
    """Which cores the proxy and the measuring processes run on.

    The last core is the proxy's, all others are the load's. With one core, or on request, nothing is pinned.
    """

    def __init__(self, *, pinned: bool) -> None:
        self._all = os.sched_getaffinity(0)
        last = max(self._all)
        self.is_pinned = pinned and len(self._all) > 1
        self.proxy = {last} if self.is_pinned else self._all
        self.load = self._all - {last} if self.is_pinned else self._all


class Child:
    """A process that is always ended: a context manager.

    It leads a process group of its own, so that Ctrl-C in a terminal reaches the harness alone, which then
    ends its children in order.

    Args:
        log: gets its standard error, and its standard output unless it talks.
        talks: `say` and `hear` use its standard input and output.
    """

    def __init__(self, command: Sequence[str], cores: set[int], log: Path, *, talks: bool = False) -> None:
        self._log = log
        self._heard = b""
        self._name = " ".join(command[:4])
        environment = os.environ | {"PYTHONPATH": str(_ROOT)}
        # The child must be born on its cores: threads keep the affinity they started with.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            with log.open("ab") as errors:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if talks else errors,
                    stderr=errors,
                    cwd=log.parent,
                    env=environment,
                    process_group=0,
                )
        finally:
            os.sched_setaffinity(0, before)

    @property
    def pid(self) -> int:
        """For signals and /proc."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def say(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, kind: type[T], within_s: float) -> T:
        """Its next line.

        Raises:
            ChildFailed: the line did not come in time, or the child ended.
        """
        line = self.hear_line(within_s)
        try:
            return msgspec.json.decode(line, type=kind)
        except msgspec.DecodeError as error:
            raise self.failed(f"said something else than {kind.__name__} ({error})") from error

    def hear_line(self, within_s: float) -> bytes:
        """Its next line, undecoded; see `hear`."""
        deadline_s = time.monotonic() + within_s
        while b"\n" not in self._heard:
            self._heard += self._read(max(0.0, deadline_s - time.monotonic()))
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def has_said(self, within_s: float) -> bool:
        """Waits a moment; true as soon as there is something to hear."""
        assert self._process.stdout
        return bool(self._heard or select.select([self._process.stdout], [], [], within_s)[0])

    def failed(self, what: str) -> ChildFailed:
        """An exception with the end of what the child logged."""
        return ChildFailed("\n    ".join([f"{self._name}: {what}", *self.last_words()]))

    def last_words(self) -> list[str]:
        """The end of what it logged."""
        return self._log.read_text(errors="replace").strip().splitlines()[-8:]

    def stop(self) -> None:
        """SIGTERM, patience, SIGKILL, for the process and everything it started."""
        if not self.is_running:
            self._close()
            return
        family = [psutil.Process(pid) for pid in _still(tree(self.pid))]
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_TERM_S)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self._process.wait()
        self._close()

    def hang_up(self, within_s: float) -> None:
        """Ends its standard input and waits until it has ended itself, but not longer than ``within_s``."""
        self._close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)

    def signal(self, number: signal.Signals) -> None:
        """Any other signal."""
        self._process.send_signal(number)

    def _read(self, within_s: float) -> bytes:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], within_s)[0]:
            raise self.failed("said nothing in time")
        data = os.read(self._process.stdout.fileno(), 65_536)
        if not data:
            raise self.failed("ended early")
        return data

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _still(pids: Iterable[int]) -> Iterator[int]:
    return (pid for pid in pids if psutil.pid_exists(pid))


def python_module(module: str, *arguments: str) -> list[str]:
    """Command line of a module of this environment."""
    return [sys.executable, "-m", module, *arguments]
