"""Tasks' records as files, so that a task whose daemon died still gets its last callback.

Each process has a folder of its own under the state folder and holds a lock in it, which the kernel lets go of when
the process ends, however it ends. Whoever starts later and can take the lock inherits what lies there. A record is
replaced as a whole: write beside, flush to the disk, rename, flush the folder.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from routeraudio.pull.record import Record

LOCK: Final = "lock"
RECORD: Final = ".json"
STOP: Final = ".stop"
"""Beside a record: another process was asked to stop the task."""

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode
_decode: Final = msgspec.json.Decoder(Record).decode


class Records:
    """One process's records. Every method blocks on the disk: call it in a thread.

    Args:
        state: the folder that all processes of this machine share.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._own = state / uuid4().hex
        self._own.mkdir(mode=0o700)
        lock = _locked(self._own)
        assert lock is not None
        self._lock: int = lock

    def save(self, record: Record) -> None:
        """Replace the record of this task, durably."""
        path = self._own / (record.task_id + RECORD)
        beside = path.with_suffix(".new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_encode(record))
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
        _flush(self._own)

    def forget(self, task_id: str) -> None:
        """Remove a task's record."""
        for suffix in (RECORD, STOP):
            (self._own / (task_id + suffix)).unlink(missing_ok=True)

    def inherit(self) -> list[Record]:
        """The records of processes that have ended; they are this process's from now on."""
        found: list[Record] = []
        for folder in self._others():
            lock = _locked(folder)
            if lock is None:
                continue
            try:
                for record in _read(folder):
                    self.save(record)
                    found.append(record)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
        return found

    def elsewhere(self) -> list[Record]:
        """What other processes of this machine have written down about their tasks."""
        return [record for folder in self._others() for record in _read(folder)]

    def ask_to_stop(self, task_id: str) -> bool:
        """Ask whichever other process has the task to stop it; False: none has, or it has been asked already."""
        for folder in self._others():
            if (folder / (task_id + RECORD)).exists():
                try:
                    (folder / (task_id + STOP)).touch(mode=0o600, exist_ok=False)
                except FileExistsError:
                    return False
                return True
        return False

    def asked_to_stop(self) -> list[str]:
        """Tasks of this process that another one was asked to stop."""
        return [path.stem for path in self._own.glob("*" + STOP)]

    def close(self) -> None:
        """Let go of the lock: whoever starts next inherits. What is left of no task is removed."""
        if not any(self._own.glob("*" + RECORD)):
            shutil.rmtree(self._own, ignore_errors=True)
        os.close(self._lock)

    def _others(self) -> list[Path]:
        try:
            return [folder for folder in self._state.iterdir() if folder.is_dir() and folder != self._own]
        except OSError:
            return []  # the disk has gone: what is known here is all that is known


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None: somebody else does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # somebody has just inherited it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _read(folder: Path) -> Iterator[Record]:
    for path in folder.glob("*" + RECORD):
        try:
            yield _decode(path.read_bytes())
        except (OSError, msgspec.MsgspecError):
            continue  # gone meanwhile, or of a version that wrote other records


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
