"""router.audio's protocol at `/v1/listen`: parameters in the query, audio in binary messages, JSON in text messages.

    client → {"type": "end_of_stream"}   no more audio, say your last words    (also CloseStream, Terminate)
             {"type": "finalize"}        finals now                            (also Finalize)
             {"type": "keepalive"}       still here                            (also KeepAlive)
    server → {"type": "transcript", …}   a final, or a partial that replaces the one before
             {"type": "turn_end", …}     after the final of a turn, where the provider says so
             {"type": "notice", …}       of a stretch of audio no text will come: the provider has failed at it
             {"type": "error", …}        then the connection closes
             {"type": "summary", …}      with `summary=true`: the last message, what became of the audio
             {"type": "session", …}      with `resume=30`: every connection's first message; all others have a `seq`
             {"type": "ack", …}          with `acks=true` beside it, every second: how much audio has arrived

A text message with another `type` is ignored, so that newer clients work with older daemons. A text message that is
no such object at all is audio in the wrong place, and refused: ignored audio would look like silence.

With `parse_json=false` the client gets the provider's messages as they came, and only errors from us.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, cast
from typing import Final as Constant

import msgspec

from routeraudio.dialects.base import (
    BadRequest,
    Comeback,
    Command,
    Control,
    DialectEntry,
    DialectEvent,
    Opening,
    Position,
    Request,
    Resumption,
    StreamRequest,
)
from routeraudio.dialects.parameters import (
    LANGUAGE,
    MODEL,
    Given,
    boolean,
    ignored,
    matching,
    number,
    query_pairs,
    sample_rate,
)
from routeraudio.model.audio import (
    CHANNELS_MAX,
    ENCODINGS,
    PCM_16K_MONO,
    AudioFormat,
    Encoding,
)
from routeraudio.model.errors import ClientFault, CloseCode, ErrorCode, Fault, invalid_parameter
from routeraudio.model.events import Event, Final, Lost, Partial, Raw, Served, Summary, TurnEnd
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.compatibility import warnings

ENDPOINTING_MS_MAX: Constant = 10_000
RESUME_S_MAX: Constant = 3600
"""What can be asked for; `limits.resume_s` says what is given."""

CONTROLS: Constant[dict[str, Control]] = {
    "end_of_stream": Control.FINISH,
    "CloseStream": Control.FINISH,
    "Terminate": Control.FINISH,
    "finalize": Control.FINALIZE,
    "Finalize": Control.FINALIZE,
    "keepalive": Control.KEEPALIVE,
    "KeepAlive": Control.KEEPALIVE,
}

_ENCODING_ALIASES: Constant = {"mulaw": "pcm_mulaw"}


# What travels.


class WordMessage(msgspec.Struct, gc=False):
    text: str
    start_time: float
    end_time: float
    speaker: str | None


class Transcript(msgspec.Struct, tag_field="type", tag="transcript"):
    provider: str
    transcript: str
    start_time: float
    end_time: float
    is_partial: bool
    words: list[WordMessage] | None
    channel: int | msgspec.UnsetType = msgspec.UNSET
    """From 0; only there with `multichannel=true`."""


class TurnEndMessage(msgspec.Struct, tag_field="type", tag="turn_end"):
    provider: str
    end_time: float
    channel: int | msgspec.UnsetType = msgspec.UNSET


class NoticeMessage(msgspec.Struct, tag_field="type", tag="notice"):
    code: Literal["audio_lost"]
    message: str
    provider: str
    start_time: float
    end_time: float


class ErrorMessage(msgspec.Struct, tag_field="type", tag="error"):
    error: str
    code: ErrorCode
    provider: str
    request_id: str
    retry: bool | float
    """Whether the same request may succeed later; a number: in so many seconds."""


class ServedMessage(msgspec.Struct):
    provider: str
    start_time: float
    end_time: float
    ending: str
    """`ok`, `rotated` (replaced in time), or the code of what the connection was lost with."""


class SummaryMessage(msgspec.Struct, tag_field="type", tag="summary"):
    provider: str
    seconds_received: float
    seconds_sent: float
    seconds_finalised: float
    seconds_lost: float
    upstream_connections: int
    connections: tuple[ServedMessage, ...]
    """Who had which part; of very many the last ones."""
    warnings: tuple[str, ...]
    """What was asked for and has no effect with this provider, and what was found in the audio."""


class SessionMessage(msgspec.Struct, tag_field="type", tag="session"):
    id: str
    resume_token: str
    """For the next connection; the one before holds until a message of the client's has come over this one."""
    resume_s: float
    """How long the client may be away."""
    received_bytes: int
    """Audio that has arrived, over all connections: the client goes on behind it."""
    received_s: float | msgspec.UnsetType
    """The same in seconds, of raw audio."""
    last_seq: int
    """Of the messages so far; those behind the one that the client named follow."""


class AckMessage(msgspec.Struct, tag_field="type", tag="ack"):
    received_bytes: int
    received_s: float | msgspec.UnsetType


class _WrongParameter(msgspec.Struct):
    error: str
    parameter: str | None


class _BadRequestBody(msgspec.Struct):
    """`error` and `parameter` tell the first problem, as the API reference shows; `errors` tells all."""

    error: str
    parameter: str | None
    code: ErrorCode
    errors: list[_WrongParameter]


class _FromClient(msgspec.Struct):
    type: str


_encode: Constant = msgspec.json.Encoder().encode
_decode_control: Constant = msgspec.json.Decoder(_FromClient).decode


def schema() -> dict[str, Any]:
    """The JSON schema of every message to a client; messages of the provider's own, with `parse_json=false`, aside."""
    told = Transcript | TurnEndMessage | NoticeMessage | ErrorMessage | SummaryMessage
    return msgspec.json.schema(told | SessionMessage | AckMessage)


UNKNOWN_CHARACTERS_MAX: Constant = 512
"""A message of a type that nobody knows may be a newer client's; a longer one is audio in the wrong place."""

ADVICE_MAX: Constant = 32

_BASE64: Constant = re.compile(r"[A-Za-z0-9+/_-]{64}")
"""48 bytes of anything: 1.5 ms of sound. No name or number in a message of ours is as long."""


class Listen:
    """One client's side of a session."""

    def __init__(self, options: Options, request_id: str, advice: tuple[str, ...] = ()) -> None:
        self._provider = options.provider
        self._audio = options.audio
        self._partials = options.partial_results
        self._is_raw = not options.parse_json
        self._wants_summary = options.summary
        self._advice = advice
        self._request_id = request_id

    def received(self, message: Message) -> Sequence[Command]:
        """See `Dialect.received`."""
        if isinstance(message, bytes):
            return (message,)
        try:
            kind = _decode_control(message).type
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise ClientFault(
                'a text message must be a JSON object with a type, like {"type":"end_of_stream"}; '
                "send audio in binary messages",
                code="audio_error",
                close_code=CloseCode.UNSUPPORTED_DATA,
            ) from None
        control = CONTROLS.get(kind)
        if control is not None:
            return (control,)
        if len(message) > UNKNOWN_CHARACTERS_MAX or _BASE64.search(message) is not None:
            raise ClientFault(
                f"a text message of type {_shown(kind)} is none of this protocol's, and seems to hold audio; "
                "send audio as binary messages, the samples themselves without JSON and base64",
                code="audio_error",
                close_code=CloseCode.UNSUPPORTED_DATA,
            )
        self._note_unknown(kind)
        return ()

    def _note_unknown(self, kind: str) -> None:
        """A newer client's message, perhaps: named in the summary, with a bound."""
        advice = f"messages of type {_shown(kind)} are unknown and had no effect"
        if advice not in self._advice and len(self._advice) < ADVICE_MAX:
            self._advice = (*self._advice, advice)

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect.event`."""
        if isinstance(event, Summary):
            return (_encode(self._summary(event)).decode(),) if self._wants_summary else ()
        if self._is_raw:
            return (event.message,) if isinstance(event, Raw) else ()
        if isinstance(event, Final):
            return (self._transcript(event, is_partial=False),) if event.text else ()
        if isinstance(event, Partial):
            return (self._transcript(event, is_partial=True),) if self._partials else ()
        if isinstance(event, TurnEnd):
            provider = event.provider or self._provider
            return (_encode(TurnEndMessage(provider, event.end_ms / 1000, _channel(event))).decode(),)
        if isinstance(event, Lost):
            return (_encode(self._notice(event)).decode(),)
        return ()

    def session(self, position: Position, token: str, resume_s: float) -> Message:
        """See `CanBeResumed`."""
        received_s = self._received_s(position)
        message = SessionMessage(
            self._request_id, token, resume_s, position.received_bytes, received_s, position.seq
        )
        return _encode(message).decode()

    def ack(self, position: Position) -> Message:
        """See `CanBeResumed`."""
        return _encode(AckMessage(position.received_bytes, self._received_s(position))).decode()

    def is_passing(self, message: Message) -> bool:
        """See `CanBeResumed`. No text can hold this: its quotes are escaped."""
        return isinstance(message, str) and '"is_partial":true' in message

    def _received_s(self, position: Position) -> float | msgspec.UnsetType:
        if not self._audio.is_raw:
            return msgspec.UNSET
        return self._audio.duration_ms(position.received_bytes) / 1000

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`. A restart is no error: its close code says all."""
        if fault.close_code is CloseCode.RESTART:
            return ()
        return (_encode(self._error(fault)).decode(),)

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""
        return fault.close_code

    def _error(self, fault: Fault) -> ErrorMessage:
        return ErrorMessage(fault.message, fault.code, self._provider, self._request_id, fault.retry)

    def _notice(self, event: Lost) -> NoticeMessage:
        start_s, end_s = event.start_ms / 1000, event.end_ms / 1000
        message = (
            f"no text will come of the audio from {start_s:g} to {end_s:g} s: the provider has failed at it"
        )
        return NoticeMessage("audio_lost", message, self._provider, start_s, end_s)

    def _summary(self, event: Summary) -> SummaryMessage:
        return SummaryMessage(
            self._provider,
            event.received_ms / 1000,
            event.sent_ms / 1000,
            event.finalised_ms / 1000,
            (event.received_ms - event.finalised_ms) / 1000,
            event.connections,
            tuple(map(_served, event.served)),
            (*self._advice, *event.warnings),
        )

    def _transcript(self, event: Final | Partial, *, is_partial: bool) -> str:
        words = None
        if event.words is not None:
            words = [
                WordMessage(word.text, word.start_ms / 1000, word.end_ms / 1000, word.speaker)
                for word in event.words
            ]
        return _encode(
            Transcript(
                event.provider or self._provider,
                event.text,
                event.start_ms / 1000,
                event.end_ms / 1000,
                is_partial,
                words,
                _channel(event),
            )
        ).decode()


def _channel(event: Final | Partial | TurnEnd) -> int | msgspec.UnsetType:
    return msgspec.UNSET if event.channel is None else event.channel


# Parameters.


def parse(request: Request) -> StreamRequest:
    """Read the query.

    Raises:
        BadRequest: with every parameter that is missing or wrong.
    """
    pairs = query_pairs(request.query)
    if any(name == "resume_token" for name, _ in pairs):
        return _comeback(request, Given(pairs))
    given = Given(pairs)
    options = Options(
        provider=given.take("provider", _providers, required=True, default=""),
        audio=AudioFormat(
            encoding=given.take("encoding", _encoding, required=True, default="pcm_s16le"),
            sample_rate=given.take("sample_rate", sample_rate, required=True, default=16000),
            channels=given.take("channels", number(1, CHANNELS_MAX), default=1),
        ),
        model=given.take("model", matching(MODEL, "a model name"), default=None),
        language=given.take("language", matching(LANGUAGE, "a language code like en or pt-BR"), default="en"),
        diarize=given.take("diarize", boolean, default=False),
        punctuate=given.take("punctuate", boolean, default=True),
        partial_results=given.take("partial_results", boolean, default=False),
        multichannel=given.take("multichannel", boolean, default=False),
        endpointing_ms=given.take("endpointing", number(0, ENDPOINTING_MS_MAX), default=500),
        summary=given.take("summary", boolean, default=False),
        parse_json=given.take("parse_json", boolean, default=True),
    )
    if given.faults and re.fullmatch(r"[^,/]+", options.provider) and options.provider not in PROVIDERS:
        # It may be a route of the configuration; if not, all that is wrong is told at once.
        expected = f"parameter provider: expected {_providers.__doc__}"
        given.faults.insert(0, invalid_parameter("provider", expected))
    resume_s: int | None = given.take("resume", number(1, RESUME_S_MAX), default=None)
    acks = given.take("acks", boolean, default=False)
    if resume_s is not None and not options.parse_json:
        needs = "parameter resume: needs parse_json=true: a provider's own messages cannot be numbered"
        given.faults.append(invalid_parameter("resume", needs))
    if acks and resume_s is None:
        given.faults.append(invalid_parameter("acks", "parameter acks: needs resume"))
    key, token = _shown_to_be_let_in(request, given)
    if given.faults:
        raise BadRequest(given.faults)
    resumption = None if resume_s is None else Resumption(resume_s, acks)
    return StreamRequest(options, key, token, given.unknown, resumption=resumption)


def _comeback(request: Request, given: Given) -> StreamRequest:
    """Of a session that goes on everything else is known."""
    token = given.take("resume_token", str, default="")
    after = given.take("after", number(0, 2**53), required=True, default=0)
    key, jwt_token = _shown_to_be_let_in(request, given)
    if given.faults:
        raise BadRequest(given.faults)
    nothing = Options(provider="", audio=PCM_16K_MONO)
    return StreamRequest(nothing, key, jwt_token, given.unknown, comeback=Comeback(token, after))


def _shown_to_be_let_in(request: Request, given: Given) -> tuple[str | None, str | None]:
    query_key = given.take("api_key", str, default=None)
    token = given.take("jwt_token", str, default=None)
    return request.headers.get("x-api-key") or query_key or None, token or None


def bad_request(faults: Sequence[ClientFault]) -> bytes:
    """The JSON body of an HTTP 400."""
    return _encode(
        _BadRequestBody(
            faults[0].message,
            faults[0].parameter,
            faults[0].code,
            [_WrongParameter(fault.message, fault.parameter) for fault in faults],
        )
    )


def _providers(text: str) -> str:
    if _PROVIDERS.fullmatch(text) is None:
        raise ValueError
    return text


_providers.__doc__ = f"one of {', '.join(PROVIDERS)}, several of them with commas between, auto, or a route"

_PROVIDERS: Constant = re.compile(r"[a-z][A-Za-z0-9._:/-]{0,99}(?:,[a-z][A-Za-z0-9._:/-]{0,99}){0,15}")


def _encoding(text: str) -> Encoding:
    name = _ENCODING_ALIASES.get(text, text)
    if name not in ENCODINGS:
        raise ValueError
    return cast(Literal["pcm_s16le"], name)


_encoding.__doc__ = "one of " + ", ".join((*ENCODINGS, *_ENCODING_ALIASES))


def _dialect(opening: Opening) -> Listen:
    options = opening.options
    advice = (*warnings(options), *ignored(opening.wish.unknown)) if options.summary else ()
    return Listen(options, opening.request_id, advice)


ENTRY: Constant = DialectEntry(
    name="listen", paths=("/v1/listen",), parse=parse, dialect=_dialect, bad_request=bad_request
)


def _shown(kind: str) -> str:
    """A client's word as an error may repeat it."""
    return repr(kind) if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", kind) else "that"


def _served(part: Served) -> ServedMessage:
    return ServedMessage(part.provider, part.start_ms / 1000, part.end_ms / 1000, part.ending)
