"""Text messages of other vendors' clients: JSON objects that say their type."""

from typing import Final

import msgspec

from routeraudio.model.errors import ClientFault, CloseCode


class _Said(msgspec.Struct):
    type: str


_decode: Final = msgspec.json.Decoder(_Said).decode


def kind(message: str, example: str) -> str:
    """The `type` of a message.

    Args:
        example: a type that means something, for the error.

    Raises:
        ClientFault: it is no JSON object with one.
    """
    try:
        return _decode(message).type
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise ClientFault(
            f'a text message must be a JSON object with a type, like {{"type":"{example}"}}; '
            f"send audio in binary messages",
            code="audio_error",
            close_code=CloseCode.UNSUPPORTED_DATA,
        ) from None
