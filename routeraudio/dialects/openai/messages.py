"""What travels in OpenAI's protocol. Objects are plain: clients read what they know of them and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from routeraudio.dialects.base import StreamRequest
from routeraudio.dialects.openai.settings import Settings
from routeraudio.model.errors import ClientFault, CloseCode, Fault, Overloaded, UpstreamFault
from routeraudio.model.message import Message

UPDATES: Final = ("session.update", "transcription_session.update")

TRANSCRIPTION: Final = "conversation.item.input_audio_transcription."


NO_KEY: Final = "no key; send one as Authorization: Bearer KEY"


class Said(msgspec.Struct):
    """A client's message."""

    type: str
    event_id: str | None = None
    audio: bytes = b""
    """Base64 in the message."""
    session: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def is_beta(self) -> bool:
        """Whether its name is the beta's."""
        return self.type.startswith("transcription_session.")


class NotUnderstood(Exception):
    """A message that is none of the protocol's; the sentence tells why."""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Said).decode


def text(message: Mapping[str, Any]) -> str:
    """As it is sent."""
    return _encode(message).decode()


def read(message: Message) -> Said:
    """A client's message.

    Raises:
        NotUnderstood: telling what was expected.
    """
    if isinstance(message, bytes):
        raise NotUnderstood(
            'send audio as base64 in text messages: {"type":"input_audio_buffer.append","audio":"…"}'
        )
    try:
        return _decode(message)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise NotUnderstood(
            "a message must be a JSON object with a type, and audio in it base64, as in "
            '{"type":"input_audio_buffer.append","audio":"AAAA"}'
        ) from None


def session(request_id: str, settings: Settings, *, is_beta: bool) -> dict[str, Any]:
    """The session as clients see it."""
    head = {"id": f"sess_{request_id}", "object": "realtime.transcription_session"}
    return head | (settings.shown_beta() if is_beta else {"type": "transcription", **settings.shown()})


def close_code(fault: Fault) -> CloseCode:
    """In codes of the standard: 1008 for what the client did, 1013 for limits, 1011 for everybody else."""
    match fault.close_code:
        case CloseCode.UNAUTHORIZED | CloseCode.FORBIDDEN | CloseCode.UNSUPPORTED_DATA:
            return CloseCode.POLICY
        case CloseCode.BUDGET:
            return CloseCode.TRY_LATER
        case CloseCode.PROVIDER:
            return CloseCode.INTERNAL
        case CloseCode.TIMEOUT:
            return CloseCode.POLICY if isinstance(fault, ClientFault) else CloseCode.INTERNAL
        case code:
            return code


def details(fault: Fault) -> dict[str, Any]:
    """`error`, of messages and HTTP answers."""
    if isinstance(fault, Overloaded):
        return error(fault.message, "rate_limit_error", "rate_limit_exceeded")
    if isinstance(fault, ClientFault):
        name = "invalid_api_key" if fault.code == "unauthorized" else fault.code
        return error(fault.message, "invalid_request_error", name, fault.parameter)
    code = "provider_error" if isinstance(fault, UpstreamFault) else "internal_error"
    return error(fault.message, "server_error", code)


def error(message: str, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """The members that the vendor's errors have."""
    return {"type": kind, "code": code, "message": message, "param": param}


def fault(fault_: Fault, event_id: str) -> Sequence[Message]:
    """What is told before the close. A restart is no error: its close code says all."""
    if fault_.close_code is CloseCode.RESTART:
        return ()
    return (text({"type": "error", "event_id": event_id, "error": details(fault_) | {"event_id": None}}),)


def bad_request(faults: Sequence[ClientFault]) -> bytes:
    """The body of an HTTP 400, naming every fault."""
    sentence = "; ".join(fault_.message for fault_ in faults)
    param = faults[0].parameter if len(faults) == 1 else None
    return _encode({"error": error(sentence, "invalid_request_error", "invalid_value", param)})


def refusal(wish: StreamRequest, fault_: Fault) -> bytes:
    """The body of an HTTP 401 or 403."""
    if fault_.code == "unauthorized" and wish.key is None and wish.token is None:
        # Our usual sentence names the header of another protocol.
        return _encode({"error": error(NO_KEY, "invalid_request_error", "invalid_api_key")})
    return _encode({"error": details(fault_)})
