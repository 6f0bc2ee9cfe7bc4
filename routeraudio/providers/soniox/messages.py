"""Soniox's messages: what they are, and whose fault it is when one is an error."""

from typing import Any, Final

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, Fault, UpstreamFault, unauthorized
from routeraudio.model.message import Message
from routeraudio.providers import decoding
from routeraudio.providers.base import Credential
from routeraudio.providers.soniox.transcript import Token

TITLE: Final = "Soniox"

_ERRORS_RETRYABLE: Final = frozenset({408, 413, 429})
"""With 5xx: timeouts, the longest stream, too many at once. The JS SDK retries all but 400, 401, 402, 429; waiting
before the latter is the caller's business."""


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


class _Refusal(msgspec.Struct):
    error_message: str = ""
    message: str = ""
    """REST errors of the vendor's call it so (SDK `ApiError`)."""


_DECODER: Final = msgspec.json.Decoder(Answer)
_REFUSAL_DECODER: Final = msgspec.json.Decoder(_Refusal)

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


def fault(answer: Answer, credential: Credential | None, untouched: AudioFormat | None) -> Fault:
    """Whose fault an error message is.

    Args:
        untouched: the client's own format, where its audio goes through as it came; None: it is converted here.
    """
    status, said = answer.status, answer.error_message or ""
    about = f"error {status}" if status else "error"
    words = decoding.words(": ".join(part for part in (answer.error_type or "", said) if part), credential)
    words = words or "no reason given"
    if status in (401, 403) and credential is not None and credential.is_clients_own:
        return unauthorized(
            f"{TITLE} refused the API key you sent ({about}): {words.rstrip('.')}; check the key"
        )
    if (
        "decode" in said.lower() and untouched is not None
    ):  # "Audio decode error", "Audio data decode timeout"
        return ClientFault(
            f"{TITLE} cannot decode the audio as {untouched}; check `encoding`",
            code="audio_error",
            close_code=CloseCode.UNSUPPORTED_DATA,
            parameter="encoding",
        )
    is_retryable = status in _ERRORS_RETRYABLE or status >= 500
    return UpstreamFault(f"{TITLE} reported an {about}: {words}", is_retryable=is_retryable)


def refusal_words(body: bytes, credential: Credential | None) -> str:
    """What the body of an HTTP refusal says; empty if it cannot be read."""
    try:
        refusal = _REFUSAL_DECODER.decode(body)
    except _UNREADABLE:
        return ""  # a proxy's HTML page, for example: the HTTP status says enough
    return decoding.words(refusal.error_message or refusal.message, credential)
