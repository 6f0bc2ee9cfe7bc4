"""Marks that the store could not take, on the local disk until it can.

One JSON object per line, synced before anybody goes on. A file belongs to one process, which holds a lock on it as long
as it lives; a file that nobody holds was left by one that was killed, and is replayed by whoever comes next. Replaying
twice changes nothing, so a file is removed only after its marks have been settled. The directory is made when it is
needed.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from routeraudio.store.contract import Mark, Node

SUFFIX: Final = ".spool"

_decoder: Final = msgspec.json.Decoder(Mark)
_encoder: Final = msgspec.json.Encoder()


class Journal:
    """The file of one process. Blocking: call it in a thread, one call at a time."""

    def __init__(self, directory: Path, node: Node) -> None:
        self._directory = directory
        self._path = directory / f"{quote(f'{node.id}-{node.epoch}', safe='')}{SUFFIX}"
        self._fd: int | None = None
        self._size_bytes = 0

    def append(self, marks: Iterable[Mark]) -> None:
        """Write down, durably.

        Raises:
            OSError: the disk is full, or the directory cannot be written to. What was written before stays whole.
        """
        fd = self._open()
        data = b"".join(_encoder.encode(mark) + b"\n" for mark in marks)
        try:
            _write(fd, data)
            os.fdatasync(fd)
        except OSError:
            os.ftruncate(fd, self._size_bytes)
            raise
        self._size_bytes += len(data)

    def marks(self) -> list[Mark]:
        """What is written down."""
        return [] if self._fd is None else _read(self._path)

    def clear(self) -> None:
        """It has been settled."""
        if self._fd is not None:
            os.unlink(self._path)
            os.close(self._fd)
            self._fd = None

    @contextlib.contextmanager
    def left_behind(self) -> Iterator[dict[Path, list[Mark]]]:
        """The marks of processes that are gone, by file; the files are removed when the block ends well."""
        with contextlib.ExitStack() as held:
            found: dict[Path, list[Mark]] = {}
            for path in sorted(self._directory.glob(f"*{SUFFIX}")):
                if path != self._path and _take(path, held):
                    found[path] = _read(path)
            yield found
            for path in found:
                path.unlink()

    def _open(self) -> int:
        if self._fd is None:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            # Before the first byte: nobody takes an empty file.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sync(self._directory)
            self._fd, self._size_bytes = fd, os.fstat(fd).st_size
        return self._fd


def _take(path: Path, held: contextlib.ExitStack) -> bool:
    """Lock a file that nobody holds, until ``held`` ends."""
    try:
        file = held.enter_context(path.open("rb"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    # Somebody else may have settled and removed it between the two calls.
    return path.exists() and os.fstat(file.fileno()).st_size > 0


def _read(path: Path) -> list[Mark]:
    """Every whole mark. A line cut off by a crash was not promised to anybody."""
    marks = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            marks.append(_decoder.decode(line))
    return marks


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sync(directory: Path) -> None:
    """A new file's name is durable only when its directory is."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
