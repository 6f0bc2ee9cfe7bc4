"""Logs: one line per event on standard error, for people in a terminal and as JSON elsewhere.

Events carry ids, counts and codes. Keys, tokens, audio, transcripts, queries and headers are never passed to a
logger; libraries that print such things are silenced here.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Final

import structlog

from routeraudio.config.schema import Log
from routeraudio.workers.context import NUMBER

_QUIET: Final = ("websockets", "trio-websocket", "hypercorn", "quart", "quart.app", "asyncio")
"""Their debug lines print URLs and headers, their error lines print exception texts."""

_ACCEPTING: Final = "trio.serve_listeners"
"""Where Trio tells, ten times a second, that there is no descriptor left to accept a connection with."""

ACCEPTING_S: Final = 10.0
"""Between two lines about it."""


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


def configure(settings: Log) -> None:
    """Set up logging for the whole process."""
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
    structlog.configure(
        processors=[
            *_worker(os.environ),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        # Loggers are module constants; a reload must reach them too.
        cache_logger_on_first_use=False,
    )
