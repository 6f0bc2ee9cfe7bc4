"""Soniox's messages: one shape for all."""

from typing import Any, Final

import msgspec

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.message import Message
from routeraudio.providers.soniox.request import TITLE
from routeraudio.providers.soniox.transcript import Token

# Wire structs.


class Answer(msgspec.Struct):
    """The one shape there is: tokens, counters, perhaps an error."""

    tokens: list[Token] | msgspec.UnsetType | None = msgspec.UNSET
    final_audio_proc_ms: float | None = None
    total_audio_proc_ms: float | None = None
    finished: bool | None = None
    error_code: int | str | None = None
    """An HTTP status; integrations tolerate it as a string of digits."""
    error_type: str | None = None
    error_message: str | None = None
    type: Any = None
    """No message has one today; a kind of message that is added one day surely has."""

    @property
    def is_error(self) -> bool:
        """Whether the vendor cannot go on."""
        return bool(self.error_code or self.error_type or self.error_message)

    @property
    def is_known(self) -> bool:
        """Whether it says anything that is understood here."""
        has_text = self.tokens is not msgspec.UNSET or self.total_audio_proc_ms is not None
        return has_text or self.is_error or bool(self.finished)

    @property
    def status(self) -> int:
        """The error's code; 0 where it has none that could be one."""
        code = self.error_code
        if isinstance(code, str):
            code = int(code) if len(code) == 3 and code.isdecimal() else 0
        return code if code is not None and 100 <= code <= 599 else 0


class Refusal(msgspec.Struct):
    """The body of an HTTP refusal."""

    error_message: str = ""
    message: str = ""
    """REST errors of the vendor's call it so (SDK `ApiError`)."""


_DECODER: Final = msgspec.json.Decoder(Answer)

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises for broken JSON, broken text and deep nesting."""

NOTHING: Final = Answer()
"""What was said before anything was."""


def read(message: Message) -> Answer | UpstreamFault:
    """A vendor message, or whose fault it is that it cannot be read."""
    if not isinstance(message, str):
        return UpstreamFault(f"{TITLE} sent a binary message where text was expected", is_retryable=True)
    try:
        return _DECODER.decode(message)
    except msgspec.ValidationError as error:
        # msgspec's text names types and the path (`$.tokens…`), never a value.
        return UpstreamFault(f"{TITLE} sent a broken message: {error}", is_retryable=True)
    except _UNREADABLE:
        return UpstreamFault(f"{TITLE} sent a message that is not JSON", is_retryable=True)
