"""Dial an upstream: DNS, TCP, TLS and the WebSocket upgrade, each with its own deadline and one over all.

Every way to fail becomes an `UpstreamFault` that says which step failed and whether trying again can help, or a
`Refused` with the provider's HTTP answer, which the adapter reads.
"""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.http11 import Response
from websockets.protocol import OPEN, Protocol, Side
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from routeraudio.model.errors import UpstreamFault
from routeraudio.policy.limits import Limits
from routeraudio.policy.rates import Bucket
from routeraudio.providers.base import Dial
from routeraudio.session.streams import Refused
from routeraudio.transport.bytestream import ByteStream, detach
from routeraudio.transport.poller import Poller
from routeraudio.transport.retry_after import retry_after_s
from routeraudio.transport.tls import set_options
from routeraudio.transport.websocket import WebSocket

END_OF_HEAD: Final = b"\r\n\r\n"

SWITCHING: Final = b"HTTP/1.1 101"

ANSWER_BYTES: Final = 32_768
"""A handshake answer: head and, for a refusal, its body. Vendors' refusals are under 1 KiB."""


async def open_upstream(
    dial: Dial, *, title: str, limits: Limits, poller: Poller, tls: ssl.SSLContext
) -> WebSocket:
    """Connect to ``dial`` and return the open WebSocket.

    Args:
        title: the provider as people write it, for error messages.

    Raises:
        UpstreamFault: unreachable, or not a WebSocket server.
        Refused: the provider said no.
    """
    try:
        uri = parse_uri(dial.url)
    except (InvalidURI, ValueError):
        # Its text quotes the URL, whose query may carry a key.
        raise UpstreamFault(f"the URL configured for {title} is not a WebSocket URL") from None
    stream: ByteStream | None = None
    try:
        with _step(title, "connecting", limits.dial_s):
            with _step(title, "the TCP connection", limits.dial_tcp_s):
                stream = ByteStream(detach(await trio.open_tcp_stream(uri.host, uri.port)))
            set_options(stream.socket)
            if uri.secure:
                with _step(title, "the TLS handshake", limits.dial_tls_s):
                    await stream.start_tls(tls, server_hostname=uri.host)
            with _step(title, "the WebSocket upgrade", limits.dial_upgrade_s):
                unread = await _upgrade(stream, uri, dial)
    except BaseException:
        if stream is not None:
            stream.close_now()
        raise
    return WebSocket(
        stream.release(),
        # A new one: the object of the handshake would keep the response's headers for the life of the session.
        Protocol(Side.CLIENT, max_size=limits.upstream_message_bytes),
        poller,
        ping_s=limits.ping_s,
        pong_s=limits.pong_s,
        close_s=limits.close_upstream_s,
        # Transcripts are texts; what is left are pings, fragments, and messages of nothing.
        flood=Bucket(limits.flood_per_s, limits.flood_burst_max),
        counts_texts=False,
        unread=unread,
    )


@contextmanager
def _step(title: str, step: str, deadline_s: float) -> Iterator[None]:
    """Bound a step of the dial and turn its failures into faults that name it."""
    try:
        with trio.fail_after(deadline_s):
            yield
    except trio.TooSlowError as exc:
        raise _unreachable(f"{title} is unreachable: {step} took longer than {deadline_s:g} s") from exc
    except ssl.SSLCertVerificationError as exc:
        raise UpstreamFault(
            f"{title} is unreachable: its TLS certificate is not trusted ({exc.verify_message})",
            code="provider_unreachable",
        ) from exc
    except (InvalidHandshake, ValueError, EOFError, UnicodeError) as exc:
        raise _unreachable(f"{title} is unreachable: the answer to {step} is not a valid handshake") from exc
    except (OSError, trio.BrokenResourceError) as exc:
        raise _unreachable(f"{title} is unreachable: {step} failed ({_words(exc)})") from exc


def _unreachable(message: str) -> UpstreamFault:
    return UpstreamFault(message, code="provider_unreachable", is_retryable=True)


def _words(exc: BaseException) -> str:
    """A system error in the system's words; anything else by its kind, since its text may quote what was sent."""
    if isinstance(exc, socket.gaierror):
        return (
            "the name server did not answer" if exc.errno == socket.EAI_AGAIN else "the host name is unknown"
        )
    if isinstance(exc, OSError) and exc.__cause__ is not None and not exc.errno:
        exc = exc.__cause__
    if isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return exc.reason.replace("_", " ").lower()
    if isinstance(exc, OSError) and exc.errno:
        # Not `strerror`: Trio's names the address, which may be nobody's business.
        return os.strerror(exc.errno).lower()
    return "the connection was reset" if isinstance(exc, trio.BrokenResourceError) else type(exc).__name__


async def _upgrade(stream: ByteStream, uri: WebSocketURI, dial: Dial) -> bytes:
    """Shake hands; returns what came behind the answer."""
    protocol = ClientProtocol(uri, subprotocols=[Subprotocol(name) for name in dial.subprotocols] or None)
    request = protocol.connect()
    for name, value in dial.headers:
        request.headers[name] = value
    protocol.send_request(request)
    await stream.send_all(b"".join(protocol.data_to_send()))
    answer = b""
    while END_OF_HEAD not in answer:
        answer += await _more(stream, len(answer))
    head, _, rest = answer.partition(END_OF_HEAD)
    if head.startswith(SWITCHING):
        # What stands behind a 101 are frames already, and for the WebSocket to cut.
        protocol.receive_data(head + END_OF_HEAD)
        if protocol.state is OPEN:
            return rest
    else:
        protocol.receive_data(answer)
    received_bytes = len(answer)
    while True:
        _check_refusal(protocol)
        try:
            more = await _more(stream, received_bytes)
        except EOFError:
            protocol.receive_eof()  # completes an answer whose end is the connection's end
            _check_refusal(protocol)
            raise
        received_bytes += len(more)
        protocol.receive_data(more)


async def _more(stream: ByteStream, received_bytes: int) -> bytes:
    """The next piece of an answer of which ``received_bytes`` are here.

    Raises:
        EOFError: there is none.
        InvalidHandshake: the answer grows too long.
    """
    if received_bytes >= ANSWER_BYTES:
        raise InvalidHandshake("the answer is too long")
    data = await stream.receive_some()
    if not data:
        raise EOFError
    return data


def _check_refusal(protocol: ClientProtocol) -> None:
    """Raise what an answer other than 101 means, once it is complete."""
    for event in protocol.events_received():
        assert isinstance(event, Response)
        if event.status_code != 101:
            raise Refused(
                event.status_code, bytes(event.body), retry_after_s(event.headers.get("Retry-After", ""))
            )
    if protocol.handshake_exc is not None:
        raise InvalidHandshake("not a WebSocket answer") from protocol.handshake_exc
