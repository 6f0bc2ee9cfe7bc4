"""The engine's WebSocket protocol.

    ws://127.0.0.1:7071/v1/recognise?model=moonshine-tiny-en&language=en&sample_rate=16000&partials=true&punctuate=true
        &endpointing_ms=500

All parameters may be left out: the model is the engine's first then, the language the model's own or the one it
hears, partials are off, the others as above. In: binary messages of 16 kHz mono `pcm_s16le`, of any length, and
as text

    {"type": "finalize"}    close the open utterance now
    {"type": "finish"}      no more audio: the last final, `done`, close 1000

Out: text, one of the structs below. `partial` is the whole open utterance so far and replaces the one before it;
`final` closes the utterance; none has empty text. Times are milliseconds on the connection's own audio timeline;
`words` is null where nobody knows when they were said. `endpointing_ms` is the silence that closes an utterance,
0–10000; less than 210 means 210.

    HTTP 400, 404   the request's parameters, its path
    close 1003      after an `error`: a message that is none of the above
    close 1008      after an `error`: no message for ten minutes
    close 1011      after an `error`: the recogniser died or hung
    close 1013      after an `error`: all recognisers are busy

A connection that sends no audio for a minute gives its recogniser back and gets one again with the next audio.

    ws://127.0.0.1:7071/v1/status

sends one `status` and closes.

Who sends faster than the engine decodes is slowed down by TCP; what is heard stays the same.
"""

from typing import Annotated, Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from routeraudio.engine.endpointing import ENDPOINTING_MS_MAX, SAMPLE_RATE
from routeraudio.engine.wire import Heard, HeardWord, Wish

PATH: Final = "/v1/recognise"
STATUS_PATH: Final = "/v1/status"

ErrorCode = Literal["bad_message", "idle", "engine_failed", "engine_full"]


class Finalize(msgspec.Struct, frozen=True, tag="finalize"):
    """Close the open utterance now."""


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """No more audio."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """First message: audio is welcome."""

    id: str


class Partial(msgspec.Struct, frozen=True, tag="partial"):
    """The whole open utterance so far."""

    text: str
    start_ms: int
    end_ms: int
    words: tuple[HeardWord, ...] | None


class FinalText(msgspec.Struct, frozen=True, tag="final"):
    """Text that will not change."""

    text: str
    start_ms: int
    end_ms: int
    words: tuple[HeardWord, ...] | None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Last message after `finish`."""

    audio_ms: int


class Status(msgspec.Struct, frozen=True, tag="status"):
    """What an engine is doing."""

    is_loaded: bool
    """Whether its models are; until then recognitions wait."""
    models: tuple[str, ...]
    """The first is for those who name none."""
    workers: int
    """Recognisers in use."""
    workers_max: int


class Error(msgspec.Struct, frozen=True, tag="error"):
    """Last message before a close that is not 1000."""

    code: ErrorCode
    message: str


Answer = Ready | Partial | FinalText | Done | Status | Error


class BadRequest(Exception):
    """An upgrade request that cannot be served.

    Args:
        status: the HTTP status to answer with.
        message: what was wrong and what is allowed.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class BadMessage(Exception):
    """A text message that is none of the protocol's."""


class _Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str | None = None
    language: str | None = None
    sample_rate: int = SAMPLE_RATE
    punctuate: bool = True
    partials: bool = False
    endpointing_ms: Annotated[int, msgspec.Meta(ge=0, le=ENDPOINTING_MS_MAX)] = 500


_CONTROL: Final = msgspec.json.Decoder(Finalize | Finish)
_ENCODER: Final = msgspec.json.Encoder()


def read_target(target: str) -> Wish:
    """A request's path and query.

    Raises:
        BadRequest: a path or parameters this server does not have.
    """
    parts = urlsplit(target)
    if parts.path != PATH:
        raise BadRequest(404, f"this is the local engine; recognition is at {PATH}")
    query = _read_query(parts.query)
    if query.sample_rate != SAMPLE_RATE:
        raise BadRequest(400, f"sample_rate must be {SAMPLE_RATE}")
    return Wish(
        model=query.model,
        language=query.language,
        punctuate=query.punctuate,
        partials=query.partials,
        endpointing_ms=query.endpointing_ms,
    )


def read_control(message: str) -> Finalize | Finish:
    """A text message.

    Raises:
        BadMessage: it is none of the protocol's.
    """
    try:
        control: Finalize | Finish = _CONTROL.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadMessage('text messages are {"type":"finalize"} and {"type":"finish"}') from None
    return control


def write(answer: Answer) -> str:
    """An answer as its text message."""
    return _ENCODER.encode(answer).decode()


def write_heard(heard: Heard) -> str:
    """A partial or final as its text message."""
    kind = Partial if heard.kind == "partial" else FinalText
    return write(kind(heard.text, heard.start_ms, heard.end_ms, heard.words))


def _read_query(query: str) -> _Query:
    try:
        given = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=16)
    except ValueError:
        raise BadRequest(400, "the query is not a list of name=value, joined by &") from None
    if any(len(values) > 1 for values in given.values()):
        raise BadRequest(400, "a parameter is given twice")
    try:
        return msgspec.convert({name: values[0] for name, values in given.items()}, _Query, strict=False)
    except msgspec.ValidationError as error:
        allowed = (
            f"model, language, sample_rate={SAMPLE_RATE}, punctuate=true|false, partials=true|false, "
            f"endpointing_ms=0…{ENDPOINTING_MS_MAX}"
        )
        raise BadRequest(400, f"{error}; allowed: {allowed}") from None
