"""What is posted to a webhook: the product's envelope around the provider's message, and the signature over both.

The message stands in the envelope as it came, byte for byte, where it is JSON; a message that is not is a JSON string,
and a binary one is base64.
"""

import base64
import hmac
from hashlib import sha256
from typing import Final

import msgspec

from routeraudio import __version__
from routeraudio.model.message import Message
from routeraudio.policy.pricing import CYCLE_S
from routeraudio.pull.outbox import Callback
from routeraudio.pull.record import Ending, Record, Status

JSON: Final = "application/json"

CODES: Final = {
    Status.SOURCE_ENDED: (200, "SUCCESS"),
    Status.STOPPED: (200, "SUCCESS"),
    Status.FAILED: (500, "FAILED"),
    Status.BALANCE: (402, "FAILED"),
}
"""Of a last callback."""

_encode: Final = msgspec.json.Encoder().encode


class _Data(msgspec.Struct, kw_only=True):
    segment_index: int
    segment_start_time: str
    """Seconds of audio, as text: so does the product."""
    segment_end_time: str
    status: int
    provider: str
    message: str
    transcript: msgspec.Raw | str | None
    error: str | msgspec.UnsetType
    """Only in a last callback, where something went wrong."""


class _Envelope(msgspec.Struct, kw_only=True):
    code: int
    message: str
    task_id: str
    data: _Data


def body(record: Record, callback: Callback) -> bytes:
    """The body of one callback."""
    if callback.ending is not None:
        return _last(record, callback, callback.ending)
    if record.is_raw:
        return _bytes(callback.message)
    data = _data(record, callback, Status.RUNNING, "transcript", embedded(callback.message), msgspec.UNSET)
    return _encode(_Envelope(code=200, message="SUCCESS", task_id=record.task_id, data=data))


def headers(record: Record, callback: Callback, content: bytes, secret: bytes, now_s: int) -> dict[str, str]:
    """What goes with it, the signature included.

    Args:
        now_s: Unix time.
    """
    is_binary = record.is_raw and callback.ending is None and isinstance(callback.message, bytes)
    return {
        "content-type": "application/octet-stream" if is_binary else JSON,
        "user-agent": f"routeraudio/{__version__}",
        "x-routeraudio-task-id": record.task_id,
        "x-routeraudio-event": "message" if callback.ending is None else "final",
        "x-routeraudio-number": str(callback.number),
        "x-routeraudio-timestamp": str(now_s),
        "x-routeraudio-signature": signature(secret, now_s, content),
    }


def signature(secret: bytes, now_s: int, content: bytes) -> str:
    """HMAC-SHA256, in hexadecimal digits, over the timestamp, a dot and the body."""
    return hmac.new(secret, str(now_s).encode() + b"." + content, sha256).hexdigest()


def embedded(message: Message) -> msgspec.Raw | str:
    """The provider's message as a JSON value: itself, where it is one."""
    if isinstance(message, bytes):
        return base64.b64encode(message).decode()
    try:
        msgspec.json.decode(message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return message
    return msgspec.Raw(message.encode())


def _last(record: Record, callback: Callback, ending: Ending) -> bytes:
    code, message = CODES[ending.status]
    data = _data(record, callback, ending.status, ending.message, None, ending.error or msgspec.UNSET)
    return _encode(_Envelope(code=code, message=message, task_id=record.task_id, data=data))


def _data(
    record: Record,
    callback: Callback,
    status: Status,
    message: str,
    transcript: msgspec.Raw | str | None,
    error: str | msgspec.UnsetType,
) -> _Data:
    # The segments of the product's first edition: they count 5-second cycles of audio.
    index = callback.position_ms // (CYCLE_S * 1000)
    return _Data(
        segment_index=index,
        segment_start_time=f"{index * CYCLE_S:.1f}",
        segment_end_time=f"{(index + 1) * CYCLE_S:.1f}",
        status=int(status),
        provider=record.provider,
        message=message,
        transcript=transcript,
        error=error,
    )


def _bytes(message: Message) -> bytes:
    return message if isinstance(message, bytes) else message.encode()
