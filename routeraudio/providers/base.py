"""The adapter contract.

An adapter translates one upstream connection of one session. It is a synchronous object: it is never handed a
socket, a clock or a task. The session's relay drives it:

    adapter = entry.adapter(config)
    dial()                          → where to connect
    opened()                        → messages to send first
    audio(chunk) / finalize()       → messages to send
    received(message)               → events
    finish()                        → messages to send; no audio after this
    closed(code, reason)            → last events

`Ready` is an event because some vendors are ready only after a message of theirs; until then the session
keeps audio back. A vendor that has no such message says so with `is_ready_when_opened`. `Finished` or
`Failed` is the last event of every connection: after it nothing more is called. Text that was final is never
lost because a socket fell: `closed()` turns what is pending into events too.

`TurnEnd` comes where the vendor says that a turn is over, or, with vendors that leave it to us, where our rule says so.
An answered `finalize()` ends none. `Finished` ends the open one, since nobody will speak on; `Failed` does not: the
speaker may go on, on the next connection.

Nothing here raises for what a vendor sends: broken messages become `Failed` with an `UpstreamFault`. Calling
`audio()` after `finish()` is our own mistake and asserts.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

import msgspec

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat, Encoding
from routeraudio.model.errors import ClientFault, Fault, UpstreamFault, unauthorized
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers.native import NativeProtocol


class Credential(msgspec.Struct, frozen=True):
    """A provider key. Its representation hides the secret, so that no traceback or log can carry it."""

    secret: str
    is_clients_own: bool
    """True: brought by the client, who must fix it when the provider refuses it."""

    def __repr__(self) -> str:
        return f"Credential(secret=…, is_clients_own={self.is_clients_own})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("is_clients_own", self.is_clients_own)]


class AdapterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one upstream connection of a session is made from."""

    options: Options
    url: str
    """Base URL from the configuration or the entry's default; the adapter adds path and query."""
    credential: Credential | None = None


class Dial(msgspec.Struct, frozen=True):
    """Where and how to open the upstream WebSocket."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Headers and query carry keys with several vendors.
        return f"Dial(url={self._bare_url!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("url", self._bare_url)]

    @property
    def _bare_url(self) -> str:
        return self.url.split("?")[0]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What one model behind an adapter takes and gives."""

    encodings: tuple[Encoding, ...]
    """Taken natively."""
    sample_rates: tuple[int, ...] | None = None
    """Taken natively for raw encodings, Hz; None: any."""
    channels_max: int = 1
    multichannel_max: int = 1
    """Channels that are told apart; 1: none are."""
    otherwise: AudioFormat = PCM_16K_MONO
    """What everything else is transcoded to."""

    def target(self, source: AudioFormat, *, are_told_apart: bool = False) -> AudioFormat:
        """The format the upstream is sent for a client that sends ``source``: untouched where possible.

        Args:
            are_told_apart: whether channels are to be kept for the vendor to tell apart (`Options.wants_channels`).
        """
        if source.encoding not in self.encodings:
            return self.otherwise
        if not source.is_raw:
            return source
        if source.channels > (self.multichannel_max if are_told_apart else self.channels_max):
            return self.otherwise
        if self.sample_rates is not None and source.sample_rate not in self.sample_rates:
            return self.otherwise
        return source


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a vendor wants raw audio; who sends a file at full speed is refused in the middle of it."""

    burst_s: float
    """Audio that may be sent ahead of real time."""
    rate: float = 1.0
    """Times real time, in the long run."""

    def wait_s(self, sent_ms: int, open_s: float) -> float:
        """How long to wait before more audio may be sent; 0: none.

        Args:
            sent_ms: audio that this connection was sent.
            open_s: for how long the connection has been ready.
        """
        return max(0.0, (sent_ms / 1000 - self.burst_s) / self.rate - open_s)


class Adapter(Protocol):
    """One upstream connection's translator; see the module's docstring for the order of calls."""

    @property
    def audio_format(self) -> AudioFormat:
        """What `audio()` must be given."""

    @property
    def is_ready_when_opened(self) -> bool:
        """Whether audio may follow at once when the WebSocket opens.

        True: the vendor sends no message of readiness, `received()` never returns `Ready`, and the relay
        counts the upstream as ready as soon as it has sent what `opened()` returned.
        """

    def dial(self) -> Dial:
        """Where to connect, with the credential in the vendor's own place."""

    def refused(self, status: int, body: bytes) -> Fault:
        """Whose fault an HTTP answer other than 101 is, with the vendor's own words where they are safe."""

    def opened(self) -> Sequence[Message]:
        """The WebSocket is open: what to send before any audio."""

    def audio(self, chunk: bytes) -> Sequence[Message]:
        """Never-empty audio in `audio_format`. An adapter with chunk limits may hold bytes back."""

    def finalize(self) -> Sequence[Message]:
        """Ask for finals now; nothing where the vendor has no such message."""

    def finish(self) -> Sequence[Message]:
        """No more audio: everything held back, then the vendor's end-of-stream message."""

    def received(self, message: Message) -> Sequence[Event]:
        """One vendor message."""

    def closed(self, code: int | None, reason: str) -> Sequence[Event]:
        """The connection ended (``code`` None: without a close frame). Ends with `Finished` or `Failed`."""

    def due_s(self) -> float | None:
        """When `tick` wants to be called next, on the caller's clock; None: never."""

    def tick(self, now_s: float) -> Sequence[Message]:
        """Called once when the connection has opened and then at every `due_s`: keepalives and timers."""


@runtime_checkable
class EndsOnSilence(Protocol):
    """What an adapter has besides, whose vendor neither says an end nor closes after its last words."""

    def quiet_s(self) -> float | None:
        """After `finish()`: without a message for this long everything has been said, and `closed(1000, "")` is called.

        None: text is owed; it is waited for as with any vendor. Asked anew after every message.
        """


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's line in the catalogue."""

    name: str
    title: str
    """As people write it: `Deepgram`."""
    default_url: str
    needs_key: bool
    has_positions: bool = True
    """Whether its messages say where in the audio their text stands; False: only when it came is known."""
    gateway_price_per_hour_usd: Decimal | None = None
    """What the gateway and stream pull charge, where they have a price of their own."""
    session_s: float | None = None
    """The vendor ends a connection after this long, whatever is said: sessions are moved to a new one in time."""
    pace: Pace | None = None
    """None: audio may come as fast as the vendor reads."""
    adapter: Callable[[AdapterConfig], Adapter]
    audio_format: Callable[[Options], AudioFormat]
    """The format that its adapter's `audio()` takes for these options; nothing is made to find out."""
    check: Callable[[Options], None]
    """Refuses combinations that cannot work before anything is dialled.

    Raises:
        ClientFault: naming the parameter and the alternatives.
    """
    native: NativeProtocol
    """What the transparent gateway knows of the vendor."""


def refusal(
    title: str, status: int, *, credential: Credential | None, words: str = ""
) -> ClientFault | UpstreamFault:
    """The usual reading of a provider's HTTP refusal.

    401 and 403 to a client's own key are the client's to fix; everything else is the upstream's fault.
    """
    said = f": {words}" if words else ""
    if status in (401, 403) and credential is not None and credential.is_clients_own:
        return unauthorized(f"{title} refused the API key you sent (HTTP {status}){said}; check the key")
    return UpstreamFault(
        f"{title} refused the connection (HTTP {status}){said}", is_retryable=status == 429 or status >= 500
    )


def header_secret(credential: Credential, title: str) -> str:
    """The key, as it may stand in a header.

    Raises:
        ClientFault: it may not: a line break in it would end the header and begin another.
    """
    secret = credential.secret
    if not (secret and secret.isascii() and secret.isprintable()):
        raise unauthorized(f"the {title} API key is empty or holds characters that no key has")
    return secret


def key_header(
    credential: Credential | None, title: str, *, name: str = "Authorization", scheme: str = ""
) -> tuple[tuple[str, str], ...]:
    """The header that carries the key; none for a server without keys.

    Args:
        scheme: what stands before the key: `Bearer`; empty: nothing does.

    Raises:
        ClientFault: the key cannot stand in a header.
    """
    if credential is None:
        return ()
    secret = header_secret(credential, title)
    return ((name, f"{scheme} {secret}" if scheme else secret),)
