"""Dialling providers over TLS."""

import ssl

import trio
import trustme
from trio.testing import MockClock

from tests.transport.dialling import UPGRADE, answering, fault_of, gone, head_of, mute, provider, switching
from tests.transport.peers import (
    server_tls,
)


async def tls_server(stream: trio.SocketStream, context: ssl.SSLContext) -> None:
    wrapped = trio.SSLStream(stream, context, server_side=True)
    head = await head_of(wrapped)
    await wrapped.send_all(switching(head))
    await wrapped.receive_some()


async def test_a_certificate_nobody_vouches_for(autojump_clock: MockClock) -> None:
    """An untrusted certificate will not become trusted by trying again."""
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(stranger)
    async with provider(lambda stream: tls_server(stream, stranger)) as port:
        fault = await fault_of(port, scheme="wss")
    assert "its TLS certificate is not trusted" in fault.message
    assert not fault.is_retryable


async def test_a_certificate_for_somebody_else(autojump_clock: MockClock) -> None:
    """A trusted certificate for another host opens nothing."""
    async with provider(lambda stream: tls_server(stream, server_tls())) as port:
        fault = await fault_of(port, scheme="wss")
    assert "its TLS certificate is not trusted" in fault.message


async def test_tls_to_a_plain_port(autojump_clock: MockClock) -> None:
    """A server that speaks no TLS fails the handshake, not the daemon."""
    async with provider(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", stays=False)) as port:

        async def plain(stream: trio.SocketStream) -> None:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with provider(plain) as plain_port:
            fault = await fault_of(plain_port, scheme="wss")
            assert "the TLS handshake failed" in fault.message
        fault = await fault_of(port, scheme="wss")
        assert "the TLS handshake took longer than 5 s" in fault.message


async def test_tls_to_a_port_that_closes(autojump_clock: MockClock) -> None:
    """A connection lost within the TLS handshake names that step."""
    async with provider(gone) as port:
        fault = await fault_of(port, scheme="wss")
    assert "the TLS handshake failed" in fault.message


async def test_tls_to_a_port_that_says_nothing(autojump_clock: MockClock) -> None:
    """The TLS handshake has a deadline."""
    async with provider(mute) as port:
        fault = await fault_of(port, scheme="wss")
    assert "the TLS handshake took longer than 5 s" in fault.message


async def test_plain_to_a_tls_port(autojump_clock: MockClock) -> None:
    """A TLS server's alert is no WebSocket answer."""

    async def shake(stream: trio.SocketStream) -> None:
        try:
            await tls_server(stream, server_tls())
        except (trio.BrokenResourceError, ssl.SSLError):
            pass

    async with provider(shake) as port:
        fault = await fault_of(port)
    assert UPGRADE in fault.message
