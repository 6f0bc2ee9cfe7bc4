"""router.audio's protocol at `/v1/listen`: parameters in the query, audio in binary messages, JSON in text messages.

    client → {"type": "end_of_stream"}   no more audio, say your last words    (also CloseStream, Terminate)
             {"type": "finalize"}        finals now                            (also Finalize)
             {"type": "keepalive"}       still here                            (also KeepAlive)
    server → {"type": "transcript", …}   a final, or a partial that replaces the one before
             {"type": "turn_end", …}     after the final of a turn, where the provider says so
             {"type": "error", …}        then the connection closes
             {"type": "summary", …}      with `summary=true`: the last message, what became of the audio

A text message with another `type` is ignored, so that newer clients work with older daemons. A text message that is
no such object at all is audio in the wrong place, and refused: ignored audio would look like silence.

With `parse_json=false` the client gets the provider's messages as they came, and only errors from us.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, cast
from typing import Final as Constant
from urllib.parse import parse_qsl

import msgspec

from routeraudio.dialects.base import BadRequest, Command, Control, DialectEntry, Request, Wish
from routeraudio.model.audio import CHANNELS_MAX, ENCODINGS, SAMPLE_RATES_HZ, AudioFormat, Encoding
from routeraudio.model.errors import ClientFault, CloseCode, ErrorCode, Fault, invalid_parameter
from routeraudio.model.events import Event, Final, Partial, Raw, Summary, TurnEnd
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers.catalog import PROVIDERS

T = TypeVar("T")

PARAMETERS_MAX: Constant = 64
"""Query parameters; the protocol knows thirteen."""

ENDPOINTING_MS_MAX: Constant = 10_000

CONTROLS: Constant[dict[str, Control]] = {
    "end_of_stream": Control.FINISH,
    "CloseStream": Control.FINISH,
    "Terminate": Control.FINISH,
    "finalize": Control.FINALIZE,
    "Finalize": Control.FINALIZE,
    "keepalive": Control.KEEPALIVE,
    "KeepAlive": Control.KEEPALIVE,
}

_BOOLEANS: Constant = {"true": True, "1": True, "false": False, "0": False}
_ENCODING_ALIASES: Constant = {"mulaw": "pcm_mulaw"}
_NAME: Constant = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,23}")
"""A parameter's name as it may be logged; shorter than any key."""
_MODEL: Constant = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_LANGUAGE: Constant = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")


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


class TurnEndMessage(msgspec.Struct, tag_field="type", tag="turn_end"):
    provider: str
    end_time: float


class ErrorMessage(msgspec.Struct, tag_field="type", tag="error"):
    error: str
    code: ErrorCode
    provider: str
    request_id: str


class SummaryMessage(msgspec.Struct, tag_field="type", tag="summary"):
    provider: str
    seconds_received: float
    seconds_sent: float
    seconds_finalised: float
    seconds_lost: float
    upstream_connections: int


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
    return msgspec.json.schema(Transcript | TurnEndMessage | ErrorMessage | SummaryMessage)


class Listen:
    """One client's side of a session."""

    def __init__(self, options: Options, request_id: str) -> None:
        self._provider = options.provider
        self._partials = options.partial_results
        self._is_raw = not options.parse_json
        self._wants_summary = options.summary
        self._request_id = request_id

    def received(self, message: Message) -> Sequence[Command]:
        """See `Dialect.received`."""
        if isinstance(message, bytes):
            return (message,)
        try:
            control = CONTROLS.get(_decode_control(message).type)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            raise ClientFault(
                'a text message must be a JSON object with a type, like {"type":"end_of_stream"}; '
                "send audio in binary messages",
                code="audio_error",
                close_code=CloseCode.UNSUPPORTED_DATA,
            ) from None
        return () if control is None else (control,)

    def event(self, event: Event) -> Sequence[Message]:
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
            return (_encode(TurnEndMessage(self._provider, event.end_ms / 1000)).decode(),)
        return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`. A restart is no error: its close code says all."""
        if fault.close_code is CloseCode.RESTART:
            return ()
        return (_encode(ErrorMessage(fault.message, fault.code, self._provider, self._request_id)).decode(),)

    def _summary(self, event: Summary) -> SummaryMessage:
        return SummaryMessage(
            self._provider,
            event.received_ms / 1000,
            event.sent_ms / 1000,
            event.finalised_ms / 1000,
            (event.received_ms - event.finalised_ms) / 1000,
            event.connections,
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
                self._provider, event.text, event.start_ms / 1000, event.end_ms / 1000, is_partial, words
            )
        ).decode()


# Parameters.


def parse(request: Request) -> Wish:
    """Read the query.

    Raises:
        BadRequest: with every parameter that is missing or wrong.
    """
    try:
        pairs = parse_qsl(
            request.query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX, errors="strict"
        )
    except ValueError as exc:
        raise BadRequest(
            [
                invalid_parameter(
                    "query", f"the query must be UTF-8 and have at most {PARAMETERS_MAX} parameters"
                )
            ]
        ) from exc
    given = _Given(pairs)
    options = Options(
        provider=given.take("provider", _choice(tuple(PROVIDERS)), required=True, default=""),
        audio=AudioFormat(
            encoding=given.take("encoding", _encoding, required=True, default="pcm_s16le"),
            sample_rate=given.take("sample_rate", _sample_rate, required=True, default=16000),
            channels=given.take("channels", _number(1, CHANNELS_MAX), default=1),
        ),
        model=given.take("model", _matching(_MODEL, "a model name"), default=None),
        language=given.take(
            "language", _matching(_LANGUAGE, "a language code like en or pt-BR"), default="en"
        ),
        diarize=given.take("diarize", _boolean, default=False),
        punctuate=given.take("punctuate", _boolean, default=True),
        partial_results=given.take("partial_results", _boolean, default=False),
        endpointing_ms=given.take("endpointing", _number(0, ENDPOINTING_MS_MAX), default=500),
        summary=given.take("summary", _boolean, default=False),
        parse_json=given.take("parse_json", _boolean, default=True),
    )
    query_key = given.take("api_key", str, default=None)
    token = given.take("jwt_token", str, default=None)
    if given.faults:
        raise BadRequest(given.faults)
    return Wish(options, request.headers.get("x-api-key") or query_key or None, token or None, given.unknown)


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


class _Given:
    """The parameters that came, and what was wrong with those taken so far."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.faults: list[ClientFault] = []
        self._rest = dict(pairs)
        counts = Counter(name for name, _ in pairs)
        self._repeated = {name for name, count in counts.items() if count > 1}

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that were not taken. What looks like none, a key without its `api_key=` perhaps, is left out."""
        return tuple(name if _NAME.fullmatch(name) else "…" for name in self._rest)

    def take(self, name: str, read: Callable[[str], T], *, default: Any, required: bool = False) -> T:
        """The value of ``name``; ``default`` where it is missing or wrong."""
        text = self._rest.pop(name, None)
        if name in self._repeated:
            # Whichever we took, and front proxies differ, half of all clients would have meant the other one.
            self._complain(name, "given more than once")
            return cast(T, default)
        if text is None:
            if required:
                self._complain(name, f"missing; expected {_expected(read)}")
            return cast(T, default)
        try:
            return read(text)
        except (ValueError, KeyError):
            self._complain(name, f"expected {_expected(read)}")
            return cast(T, default)

    def _complain(self, name: str, what: str) -> None:
        self.faults.append(invalid_parameter(name, f"parameter {name}: {what}"))


def _expected(read: Callable[[str], object]) -> str:
    return read.__doc__ or "text"


def _choice(names: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    read.__doc__ = "one of " + ", ".join(names)
    return read


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = _integer(text)
        if not low <= number <= high:
            raise ValueError
        return number

    read.__doc__ = f"a whole number from {low} to {high}"
    return read


def _integer(text: str) -> int:
    """Plain digits only: Python's `int` also takes blanks, signs, underscores and other scripts."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError
        return text

    read.__doc__ = what
    return read


def _encoding(text: str) -> Encoding:
    name = _ENCODING_ALIASES.get(text, text)
    if name not in ENCODINGS:
        raise ValueError
    return cast(Literal["pcm_s16le"], name)


_encoding.__doc__ = "one of " + ", ".join((*ENCODINGS, *_ENCODING_ALIASES))


def _sample_rate(text: str) -> int:
    rate = _integer(text)
    if rate not in SAMPLE_RATES_HZ:
        raise ValueError
    return rate


_sample_rate.__doc__ = "one of " + ", ".join(map(str, SAMPLE_RATES_HZ)) + " (Hz)"


def _boolean(text: str) -> bool:
    """true or false"""
    return _BOOLEANS[text.lower()]


ENTRY: Constant = DialectEntry(
    name="listen", paths=("/v1/listen",), parse=parse, dialect=Listen, bad_request=bad_request
)
