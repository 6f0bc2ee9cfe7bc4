"""Logs: one line per event on standard error, for people in a terminal and as JSON elsewhere.

Events carry ids, counts and codes. Keys, tokens, audio, transcripts, queries and headers are never passed to a
logger; libraries that print such things are silenced here.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

import structlog

from routeraudio.config.schema import Log
from routeraudio.observability.log_writer import LogWriter
from routeraudio.observability.summary import Summary
from routeraudio.workers.context import NUMBER

_QUIET: Final = ("websockets", "trio-websocket", "hypercorn", "quart", "quart.app", "asyncio")
"""Their debug lines print URLs and headers, their error lines print exception texts."""

_ACCEPTING: Final = "trio.serve_listeners"
"""Where Trio tells, ten times a second, that there is no descriptor left to accept a connection with."""

ACCEPTING_S: Final = 10.0
"""Between two lines about it."""

PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Of syslog(3), by structlog's levels."""

_writer: LogWriter | None = None
"""None: the caller writes."""


class _NoDescriptors(logging.Handler):
    """One plain line now and then instead of a traceback for every attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at_s = -ACCEPTING_S

    def emit(self, record: logging.LogRecord) -> None:
        if record.created - self._said_at_s < ACCEPTING_S:
            return
        self._said_at_s = record.created
        error = record.exc_info[1] if record.exc_info else None
        why = error.strerror if isinstance(error, OSError) else None
        structlog.get_logger(__name__).error("cannot_accept", why=(why or "unknown").lower())


def _worker(environ: Mapping[str, str]) -> tuple[structlog.typing.Processor, ...]:
    """Lines of one of several processes say which."""
    number = environ.get(NUMBER)
    if number is None:
        return ()

    def name_worker(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event.setdefault("worker", int(number))
        return event

    return (name_worker,)


@contextmanager
def in_background() -> Iterator[None]:
    """Lines are written by a thread from here on: for processes in which nothing may wait for whoever reads them."""
    global _writer
    _writer = LogWriter(sys.stderr)
    try:
        yield
    finally:
        _writer.close()
        _writer = None


def dropped() -> int:
    """Lines that nobody read in time, since the start."""
    return 0 if _writer is None else _writer.dropped


def _tell_dropped(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if _writer is not None and (untold := _writer.untold()):
        event["lines_dropped"] = untold
    return event


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream leads straight into systemd's journal (systemd.exec(5), `$JOURNAL_STREAM`)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False  # closed, or no file
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def prioritised(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """Begin every line with its priority, as sd-daemon(3) has it, for `journalctl --priority`."""

    def with_priority(logger: Any, method: str, event: structlog.typing.EventDict) -> str:
        prefix = f"<{PRIORITIES.get(event['level'], PRIORITIES['info'])}>"
        return prefix + str(render(logger, method, event)).replace("\n", f"\n{prefix}")

    return with_priority


def configure(settings: Log) -> None:
    """Set up logging for the whole process. `in_background` decides who writes."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    accepting = logging.getLogger(_ACCEPTING)
    accepting.handlers, accepting.propagate = [_NoDescriptors()], False
    is_console = settings.format == "console" or (settings.format is None and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_console
        else structlog.processors.JSONRenderer()
    )
    if is_journal(sys.stderr, os.environ):
        renderer = prioritised(renderer)
    structlog.configure(
        processors=[
            *_worker(os.environ),
            Summary(),
            _tell_dropped,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        # Whole lines in one call: one that is dropped leaves nothing behind.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _writer or sys.stderr)),
        # Loggers are module constants; a reload must reach them too.
        cache_logger_on_first_use=False,
    )
