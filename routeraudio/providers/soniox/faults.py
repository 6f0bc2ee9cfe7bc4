"""Whose fault an error message of Soniox's is."""

from typing import Final

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault
from routeraudio.providers.decoding import colon_joined
from routeraudio.providers.faults import Faults
from routeraudio.providers.soniox.messages import Answer

_ERRORS_RETRYABLE: Final = frozenset({408, 413, 429})
"""With 5xx: timeouts, the longest stream, too many at once. The JS SDK retries all but 400, 401, 402, 429; waiting
before the latter is the caller's business."""


def error(faults: Faults, answer: Answer, untouched: AudioFormat | None) -> Fault:
    """Whose fault an error message is.

    Args:
        untouched: the client's own format, where its audio goes through as it came; None: it is converted here.
    """
    status, said = answer.status, answer.error_message or ""
    if (
        "decode" in said.lower() and untouched is not None
    ):  # "Audio decode error", "Audio data decode timeout"
        return faults.undecodable(untouched)
    number = str(status) if status else ""
    return faults.reported(
        colon_joined(number, answer.error_type or "", said),
        is_about_key=status in (401, 403),
        is_retryable=status in _ERRORS_RETRYABLE or status >= 500,
    )
