"""Log lines on their way to standard error, without ever waiting for whoever reads them.

A pipe that nobody reads is full after 64 KiB, and a write to it blocks: in the event loop's thread that stops every
session. So a thread of its own writes; lines wait for it up to a bound, and beyond that are dropped and counted. The
next line that finds room says how many.
"""

import threading
from collections import deque
from typing import Final, TextIO

WAITING_BYTES_MAX: Final = 1_048_576
"""Some 4,000 lines: a reader that stops for a second or two loses nothing."""

CLOSE_S: Final = 1.0
"""For what waits at the end of the process; a reader that does not read gets no more time."""


class LogWriter:
    """A stream in the place of ``stream``. Starts its thread at once; `close` ends it."""

    def __init__(self, stream: TextIO, *, waiting_bytes_max: int = WAITING_BYTES_MAX) -> None:
        self.dropped = 0
        """Lines, since the start."""
        self._stream = stream
        self._waiting_bytes_max = waiting_bytes_max
        self._lines: deque[str] = deque()
        self._waiting_bytes = 0
        self._told = 0
        self._is_closing = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> int:
        """Take a whole line, or drop it where too many wait. Never blocks."""
        with self._news:
            if self._waiting_bytes + len(line) > self._waiting_bytes_max:
                self.dropped += 1
            else:
                self._lines.append(line)
                self._waiting_bytes += len(line)
                self._news.notify()
        return len(line)

    def flush(self) -> None:
        """Nothing: the thread flushes."""

    def untold(self) -> int:
        """Lines dropped that no line has told of yet; 0 while there is no room for one that does."""
        with self._news:
            if self._waiting_bytes > self._waiting_bytes_max // 2:
                return 0
            untold, self._told = self.dropped - self._told, self.dropped
            return untold

    def close(self) -> None:
        """Write what waits, within `CLOSE_S`."""
        with self._news:
            self._is_closing = True
            self._news.notify()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while True:
            with self._news:
                while not (self._lines or self._is_closing):
                    self._news.wait()
                lines = list(self._lines)
                self._lines.clear()
            if not lines:
                return
            text = "".join(lines)
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                pass  # nobody reads any more; there is no other place to say so
            with self._news:
                # Counted until it is written: what the thread holds waits too.
                self._waiting_bytes -= len(text)
