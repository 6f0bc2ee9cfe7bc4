"""Floor 11: the command line. Commands are imported when they are called, so that each starts fast."""

import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError
from rich.console import Console
from rich.text import Text

from routeraudio import __version__
from routeraudio.commands.errors import DONE, FAILED, USAGE, Trouble, leaves

INTERRUPTED: Final = 130
"""What shells report for a command that Ctrl-C ended."""

COMMANDS: Final = {
    "init": "Write a configuration to start from.",
    "serve": "Run the daemon.",
    "demo": "Start a daemon, stream speech through it, show what comes back and how fast.",
    "stream": "Send audio to a daemon and show the transcripts.\n\nCtrl-C ends the audio and waits for the last "
    "words; a second one stops at once. The exit code is 0 when the stream ended well, 1 when the other side "
    "failed, 2 when an argument is wrong.",
    "pull": "Fetch a stream, send it to a daemon and show the transcripts.\n\nCtrl-C ends the audio and waits for the "
    "last words; a second one stops at once. The exit code is 0 when the stream ended well, 1 when the source or the "
    "other side failed, 2 when an argument is wrong.",
    "emulate": "Run a stand-in for a provider.",
    "languages": "Show which providers and models speak a language.",
    "check-config": "Check a configuration file.",
    "token": "Make a token for a router key.",
    "usage": "Show what was used and what it costs.",
    "backup": "Save the embedded store and the server's secret into one file, while the daemon runs or not.",
    "restore": "Put back what a backup has saved.",
    "version": "Show versions.",
}
"""Each is a function of its name in a module of its name."""

KEYS: Final = {
    "create": ("create", "Make a router key and show it, once."),
    "list": ("list_keys", "List router keys, without the keys themselves."),
    "show": ("show", "Show a router key's record, without the key itself."),
    "update": ("update", "Change a router key. It acts within five seconds."),
    "disable": (
        "disable",
        "Let a router key open nothing any more; routeraudio keys update ID --enabled takes it back.",
    ),
    "rotate": (
        "rotate",
        "Make another key with the same id and limits, and show it, once. The old one opens nothing any more.",
    ),
    "webhook-secret": (
        "webhook_secret",
        "Show what callbacks of stream pull to this key's account are signed with, for their receiver to check them.",
    ),
}
"""Commands of `routeraudio keys`: their functions, and what they do."""

ENGINE: Final = "routeraudio.engine.command:run_engine"
"""Also a program of its own: the daemon's supervisor runs it so."""

app = App(
    name="routeraudio",
    help="One WebSocket endpoint in front of every real-time speech-to-text provider.",
    version=__version__,
    result_action="return_value",
    exit_on_error=False,
    error_console=Console(stderr=True),
)
for _name, _help in COMMANDS.items():
    _place = _name.replace("-", "_")
    app.command(f"routeraudio.commands.{_place}:{_place}", name=_name, help=_help)
_keys = App(name="keys", help="Make router keys, change them and end them, while the daemon runs or not.")
for _name, (_function, _help) in KEYS.items():
    _keys.command(f"routeraudio.commands.keys:{_function}", name=_name, help=_help)
app.command(_keys)
app.command(ENGINE, name="engine", help="Run the local recogniser by itself.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None: the process's own.

    Returns:
        The exit code: 0 success, 1 the other side failed, 2 the caller must change something.
    """
    code = FAILED
    try:
        code = _run(arguments)
    except* Trouble as group:
        code = max(_told(error) for error in leaves(group))
    except* KeyboardInterrupt:
        code = INTERRUPTED
    except* BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not stumble over it again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = app(arguments)
    except CycloptsError:
        return USAGE  # told already, with the usage
    return code if isinstance(code, int) else DONE


def _told(error: BaseException) -> int:
    assert isinstance(error, Trouble)
    Console(stderr=True).print(Text.assemble(("routeraudio: ", "bold red"), str(error)), soft_wrap=True)
    return error.exit_code
