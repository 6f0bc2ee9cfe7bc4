"""What `stream` shows: JSON lines for programs, plain lines for pipes, a live view for people."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from routeraudio.commands import wire


class Display(AbstractContextManager["Display"], Protocol):
    """Shows a stream while it runs."""

    def sent(self, position_s: float, /) -> None:
        """Audio up to here is on its way."""

    def message(self, text: str | bytes, message: wire.Message | None, arrived_s: float, /) -> None:
        """A message, as it came and decoded, ``arrived_s`` after the first audio could be spoken."""


class JsonLines:
    """Each server message on a line of standard output, and nothing else."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def sent(self, _position_s: float, /) -> None:
        """Not told."""

    def message(self, text: str | bytes, _message: wire.Message | None, _arrived_s: float, /) -> None:
        line = text if isinstance(text, str) else text.decode()
        print(" ".join(line.splitlines()), flush=True)


class PlainLines:
    """One line per transcript, for pipes and logs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def sent(self, _position_s: float, /) -> None:
        """Not told."""

    def message(self, _text: str | bytes, message: wire.Message | None, _arrived_s: float, /) -> None:
        if isinstance(message, wire.Transcript):
            mark = "~" if message.is_partial else "="
            print(f"{mark} {span(message)} {plain(message.transcript)}", flush=True)
            if message.words and not message.is_partial:
                print("    " + "  ".join(word_times(message.words)), flush=True)


class Terminal:
    """A progress bar, the partial as it grows, finals with their words above."""

    def __init__(self, console: Console, duration_s: float | None) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._duration_s = duration_s
        self._position_s = 0.0
        self._partial = ""

    def __enter__(self) -> Self:
        self._live.start()
        self._refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def sent(self, position_s: float, /) -> None:
        self._position_s = position_s
        self._refresh()

    def message(self, _text: str | bytes, message: wire.Message | None, _arrived_s: float, /) -> None:
        if isinstance(message, wire.Transcript) and message.is_partial:
            self._partial = plain(message.transcript)
        elif isinstance(message, wire.Transcript):
            self._partial = ""
            self._live.console.print(final(message))
        self._refresh()

    def _refresh(self) -> None:
        self._live.update(Group(self._progress(), Text(self._partial, style="italic cyan")), refresh=True)

    def _bar(self) -> RenderableType:
        if self._duration_s is None:
            return Text("")
        return ProgressBar(
            total=self._duration_s,
            completed=self._position_s,
            width=40,
            complete_style="cyan",
            finished_style="green",
        )

    def _progress(self) -> RenderableType:
        known = "" if self._duration_s is None else f" / {self._duration_s:.1f}"
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text("sent", style="dim"),
            self._bar(),
            Text(f"{self._position_s:.1f}{known} s", style="dim"),
        )
        return row


def final(message: wire.Transcript) -> Text:
    """A final for people: when, what, and its words with their times."""
    text = Text.assemble((f"{span(message)}  ", "dim"), (plain(message.transcript), "bold"))
    if message.words:
        text.append("\n    " + "  ".join(word_times(message.words)), style="dim")
    return text


def span(message: wire.Transcript) -> str:
    """Start and end in seconds."""
    return f"{message.start_time:.2f}-{message.end_time:.2f}"


def word_times(words: Sequence[wire.Word]) -> list[str]:
    """Each word with its start and end in seconds, and its speaker where one is known."""
    return [
        f"{plain(word.text)} {word.start_time:.2f}-{word.end_time:.2f}"
        + (f" ({plain(word.speaker)})" if word.speaker else "")
        for word in words
    ]


def plain(text: str) -> str:
    """Text that cannot steer a terminal: a provider's words are not ours."""
    return "".join(character if character.isprintable() else " " for character in text)


def chosen(*, is_json: bool, duration_s: float | None) -> Display:
    """The display that fits standard output."""
    if is_json:
        return JsonLines()
    if sys.stdout.isatty():
        return Terminal(Console(), duration_s)
    return PlainLines()
