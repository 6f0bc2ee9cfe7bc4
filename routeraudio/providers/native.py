"""What the transparent gateway knows about a vendor: how its own clients connect, and how their audio is counted.

Nothing here speaks to the vendor: its clients do that themselves. The meter reads along, message by message, and only
ever counts. What it cannot size, containers and encodings it does not know, it counts by the clock, or by its bytes at
the lowest bit rate of speech where that is more.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec

from routeraudio.model.message import Message

T = TypeVar("T")

SAMPLE_RATE_MAX: Final = 192_000
"""Hz. Who claims more does not mean a sample rate."""

BY_THE_CLOCK: Final = 0
"""The rate of audio whose bytes are no measure of time."""


FLOOR_BYTES_PER_SECOND: Final = 750
"""6 kbit/s, the lowest bit rate of Opus (RFC 6716, 2.1.1): nobody sends more audio in fewer bytes, but for silence."""

UNREAD_CHARACTERS_MIN: Final = 16
"""Of a text message that cannot be read here and may be audio there: `{"audio":"AAAA"}`."""


class Handshake(msgspec.Struct, frozen=True):
    """What a client's upgrade request says about its audio."""

    query: tuple[tuple[str, str], ...]
    """Decoded, in order, repeated names kept."""
    headers: Mapping[str, str]
    """Names in lower case."""

    def parameter(self, name: str, default: str = "") -> str:
        """The last value of that name, which is what most servers take."""
        return next((value for key, value in reversed(self.query) if key == name), default)


class Heard(msgspec.Struct, frozen=True):
    """What a text message holds."""

    audio_bytes: int = 0
    rate: int | None = None
    """Bytes of audio per second from here on, `BY_THE_CLOCK`, or None: as before."""
    unsized_bytes: int = 0
    """Audio, perhaps, at no rate that is known."""


NOTHING: Final = Heard()

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeError)
"""What msgspec raises for broken JSON, broken text and deep nesting. Some vendors' parsers are not so strict."""

Texts = Callable[[str], Heard]
"""Reads a text message. Never raises: what it does not understand holds `NOTHING`."""


class AudioCounter:
    """How much audio a client has sent on one connection.

    Args:
        rate: bytes of audio per second, as the handshake tells, or `BY_THE_CLOCK`.
        texts: what text messages hold; None: nothing.
        has_binary_audio: whether binary messages are audio.
    """

    __slots__ = (
        "_before_ms",
        "_bytes",
        "_has_binary_audio",
        "_rate",
        "_texts",
        "_unsized_bytes",
        "is_by_clock",
    )

    def __init__(self, rate: int, texts: Texts | None = None, *, has_binary_audio: bool = True) -> None:
        self.is_by_clock = False
        """Audio has come that cannot be sized: from here on it lasts as long as the connection does."""
        self._rate = rate
        self._texts = texts
        self._has_binary_audio = has_binary_audio
        self._bytes = 0
        self._before_ms = 0.0
        self._unsized_bytes = 0

    def read(self, message: Message) -> None:
        """One message of the client's."""
        if isinstance(message, bytes):
            length = len(message) if self._has_binary_audio else 0
        elif self._texts is None:
            return
        else:
            heard = self._texts(message)
            if heard.rate is not None and heard.rate != self._rate:
                self._change(heard.rate)
            length = heard.audio_bytes
            self._unsized_bytes += heard.unsized_bytes
        if length and self._rate:
            self._bytes += length
        elif length:
            self.is_by_clock = True
            self._unsized_bytes += length

    @property
    def floor_ms(self) -> int:
        """How long audio that could not be sized lasts at the least."""
        return self._unsized_bytes * 1000 // FLOOR_BYTES_PER_SECOND

    @property
    def audio_ms(self) -> int:
        """Whole milliseconds of audio that could be sized."""
        sized_ms = self._bytes * 1000 // self._rate if self._rate else 0
        return int(self._before_ms) + sized_ms if self._before_ms else sized_ms

    def _change(self, rate: int) -> None:
        if self._rate:
            self._before_ms += self._bytes * 1000 / self._rate
        self._bytes = 0
        self._rate = rate


class NativeProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor as its own clients see it."""

    default_path: str
    """Where a client is taken that names no path."""
    paths: re.Pattern[str]
    """The vendor's paths that are open here: speech to text, and nothing else that our credential would pay for."""
    key_header: str
    """Where our credential goes. A header for every vendor: no client's parameter can stand before it."""
    key_scheme: str = ""
    """What stands before it there: `Token `."""
    key_member: str | None = None
    """The member of the first text message in which old clients send their key."""
    query_keys: frozenset[str] = frozenset()
    """Parameters in which this vendor's clients send keys, beside those that all have."""
    headers: frozenset[str] = frozenset()
    """Client headers that mean something to the vendor, in lower case."""
    own_headers: frozenset[str] = frozenset()
    """Those that belong to the client's account with the vendor: passed on only with the client's own key."""
    subprotocols: tuple[str, ...] = ()
    """Subprotocols that mean something to the vendor beside carrying keys."""
    model_parameter: str | None = None
    """The query parameter that names the model; None: clients name it in a message."""
    parameters: frozenset[str] | None = None
    """What our credential is used with; others may cost more, or send transcripts elsewhere. None: with all."""
    lists: frozenset[str] = frozenset()
    """Of them, those that may be given more than once."""
    query: Callable[[tuple[str, ...]], tuple[str, ...]] = lambda pieces: pieces
    """The query's parts as the vendor takes them, from those that its clients send to other hosts than its own."""
    check: Callable[[Handshake], str | None] = lambda _: None
    """What our credential must not be used for, as a sentence for the client."""
    meter: Callable[[Handshake], AudioCounter]
    end_of_audio: Callable[[int], Message] | None = None
    """The vendor's "no more audio", given how many binary messages it was sent; None: there is none."""
    refusal: Callable[[int, str], bytes]
    """The body of an HTTP refusal as the vendor would write it, from status and sentence."""
    refusal_type: str = "application/json"

    def forbidden(self, handshake: Handshake) -> str | None:
        """What our credential is not used for, as a sentence for the client; None: nothing."""
        wrong = self.check(handshake)
        if wrong is not None or self.parameters is None:
            return wrong
        for name, _ in handshake.query:
            if name not in self.parameters:
                allowed = ", ".join(sorted(self.parameters)) or "none"
                return (
                    f"the key stored here is not used with the parameter {name[:64]!a}; allowed are {allowed}"
                )
        return None


def pcm_rate(sample_rate: str | int, *, bytes_per_sample: int = 2, channels: str | int = 1) -> int:
    """Bytes per second; `BY_THE_CLOCK` where the numbers are none."""
    try:
        hz, count = int(sample_rate), int(channels)
    except ValueError:
        return BY_THE_CLOCK
    if not (0 < hz <= SAMPLE_RATE_MAX and 0 < count <= 32):
        return BY_THE_CLOCK
    return hz * count * bytes_per_sample


def base64_bytes(raw: msgspec.Raw) -> int:
    """How many bytes a JSON string of base64 stands for, without decoding it; 0 where it is no string.

    Raises:
        msgspec.DecodeError: an escape in it that is none.
    """
    text = bytes(raw)
    if not text.startswith(b'"'):
        return 0
    if b"\\" in text:  # `\/` and `\n`, which some encoders write
        text = "".join(msgspec.json.decode(text, type=str).split()).encode()
    return len(text.strip(b'"').rstrip(b"=")) * 3 // 4


# What several vendors' files need.

USER_AGENT: Final = frozenset({"user-agent"})
"""For every vendor: support asks which version of the SDK spoke, and one filters clients by it."""

NO_VALUE: Final = msgspec.Raw()
"""A member that was not there."""


def text_reader(kind: type[T], read: Callable[[T], Heard], *, unread: Callable[[], object] = object) -> Texts:
    """Reads a text message through a struct of which every field may be missing.

    Args:
        unread: called for a message that cannot be read here; the vendor may have read it.
    """
    decode = msgspec.json.Decoder(kind).decode

    def texts(message: str) -> Heard:
        try:
            return read(decode(message))
        except UNREADABLE:
            unread()
            is_short = len(message) < UNREAD_CHARACTERS_MIN
            return NOTHING if is_short else Heard(unsized_bytes=len(message) * 3 // 4)

    return texts


def value(raw: msgspec.Raw) -> Any:
    """A member's value; None: it was not there."""
    return msgspec.json.decode(raw) if bytes(raw) else None


def member(holder: object, *names: str) -> Any:
    """`holder[a][b]…`; None where something on the way is missing or no object."""
    for name in names:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder


def as_json(value: object) -> bytes:
    """The body of a refusal."""
    return msgspec.json.encode(value)


def snake_case(status: int) -> str:
    """The name of an HTTP status as vendors write it: `not_found`."""
    return HTTPStatus(status).phrase.lower().replace(" ", "_")
