"""Fixed answers: a file that says what is sent when.

A script replaces hearing. It is one JSON object:

    {"steps": [
      {"after_ms": 0,    "send": {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.1}},
      {"after_ms": 1200, "send": {"type": "Results", …}},
      {"after_ms": 1500, "send_text": "exactly these characters"},
      {"on": "finalize", "send": {"type": "Results", …, "from_finalize": true}},
      {"on": "finish",   "send": {"type": "Results", …}},
      {"after_ms": 9000, "close": {"code": 1011, "reason": "NET-0000"}}
    ]}

Each step has one *when* and one *what*:

* `after_ms` — as soon as that many milliseconds of **audio** have arrived (0: with the first audio);
  `on` — `open` (the upgrade is done), `finalize` or `finish` (the client's message of that meaning came;
  `finalize` steps are sent each time). Steps of the same moment are sent in the file's order.
* `send` — a message as a JSON object; `send_text` — the text message, verbatim; `close` — a close frame,
  `code` null for one without a code.

What the service says of its own accord around the answers (greetings, closing messages) is still sent.
"""

from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from routeraudio.model.errors import ConfigFault

SCRIPT_BYTES_MAX: Final = 16_777_216
"""A long recorded session is some megabytes."""

Moment = Literal["open", "finalize", "finish"]


class Close(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A close frame."""

    code: int | None = 1000
    reason: str = ""

    def __post_init__(self) -> None:
        if self.code is None and self.reason:
            raise ValueError("a close without a code has no reason")
        if self.code is not None and not (1000 <= self.code <= 4999 and self.code not in (1004, 1005, 1006)):
            raise ValueError("`code` must be 1000 to 4999, and not 1004, 1005 or 1006")
        if len(self.reason.encode()) > 123:
            raise ValueError("`reason` must be at most 123 bytes (RFC 6455, 5.5)")


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer and its moment."""

    after_ms: int | None = None
    on: Moment | None = None
    send: dict[str, Any] | None = None
    send_text: str | None = None
    close: Close | None = None

    def __post_init__(self) -> None:
        if (self.after_ms is None) == (self.on is None):
            raise ValueError("a step needs exactly one of `after_ms` and `on`")
        if sum(what is not None for what in (self.send, self.send_text, self.close)) != 1:
            raise ValueError("a step needs exactly one of `send`, `send_text` and `close`")
        if self.after_ms is not None and self.after_ms < 0:
            raise ValueError("`after_ms` must not be negative")


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All answers of every connection of an emulator."""

    steps: tuple[Step, ...]

    def on(self, moment: Moment) -> list[Step]:
        """The steps of a moment, in order."""
        return [step for step in self.steps if step.on == moment]

    def timed(self) -> list[Step]:
        """The steps on the audio clock, earliest first; equal times keep the file's order."""
        return sorted((step for step in self.steps if step.after_ms is not None), key=_after_ms)


def _after_ms(step: Step) -> int:
    assert step.after_ms is not None
    return step.after_ms


def parse_script(data: bytes, origin: str) -> Script:
    """Read a script; ``origin`` names it in errors.

    Raises:
        ConfigFault: not JSON, or not a script; names the place (`$.steps[3]`) and what is allowed.
    """
    try:
        return msgspec.json.decode(data, type=Script)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec lets the last two pass (jcrist/msgspec: deep nesting, text that is not UTF-8).
        raise ConfigFault(f"{origin}: {error}") from None


def load_script(path: Path) -> Script:
    """Read a script from a file.

    Raises:
        ConfigFault: unreadable, too big, or not a script.
    """
    try:
        with path.open("rb") as file:
            data = file.read(SCRIPT_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigFault(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > SCRIPT_BYTES_MAX:
        raise ConfigFault(f"{path}: larger than {SCRIPT_BYTES_MAX} bytes")
    return parse_script(data, str(path))
