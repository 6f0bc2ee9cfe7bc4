"""Other doors to the same daemon: local sockets, TLS, proxies in front of it."""

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
import trio.testing
import trustme
from trio.testing import MockClock

from routeraudio import daemon
from tests.edge.fakes import (
    FakeDeepgram,
    client_on,
    config,
    connect,
    daemon_on,
    get,
    parsed,
    until_end,
)
from tests.transport.peers import at_once


async def test_a_local_socket(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A socket in the file system serves sessions like a port."""
    deepgram = FakeDeepgram()
    path = tmp_path / "door.sock"
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url, bind=(f"unix:{path}",))),
        client_on(await trio.open_unix_socket(path)) as caller,
    ):
        await caller.finish()
        assert (await caller.rest())[1] == 1000


async def test_a_listener_for_both_families(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """A proxy that comes over IPv4 is recognised on a socket that takes IPv6 too."""
    both = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    both.setblocking(False)

    async def passed(*_args: object) -> list[trio.SocketListener]:
        return [trio.SocketListener(trio.socket.from_stdlib_socket(both))]

    monkeypatch.setattr(daemon, "open_listeners", passed)
    limits = {"connections_per_address_max": 1}
    async with daemon_on(config(limits=limits, trusted_proxies=("127.0.0.1",))) as port:
        idle = [await connect(port) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        assert (await get(port, "/healthz")).status == 200
        for stream in idle:
            await stream.aclose()


async def test_a_local_socket_has_no_address_to_count(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Peers of a local socket, usually one proxy, share the waiting room and no narrower bound."""
    path = tmp_path / "door.sock"
    limits = {"connections_per_address_max": 2}
    async with daemon_on(config(bind=(f"unix:{path}",), limits=limits)):
        idle = [await trio.open_unix_socket(path) for _ in range(5)]
        await trio.testing.wait_all_tasks_blocked()
        stream = await trio.open_unix_socket(path)
        await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert parsed(await until_end(stream)).status == 200
        for each in (*idle, stream):
            await each.aclose()


@pytest.fixture
def tls(tmp_path: Path) -> tuple[dict[str, Any], ssl.SSLContext]:
    """Settings of a TLS listener, and a client's context that trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("router.test")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    issued.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return {"tls_certificate": str(tmp_path / "tls.crt"), "tls_key": str(tmp_path / "tls.key")}, context


def secure(stream: trio.abc.Stream, context: ssl.SSLContext) -> trio.SSLStream[trio.abc.Stream]:
    return trio.SSLStream(stream, context, server_hostname="router.test", https_compatible=True)


async def test_a_tls_listener(tls: tuple[dict[str, Any], ssl.SSLContext], autojump_clock: MockClock) -> None:
    """Sessions and pages over TLS; what is no TLS costs only itself."""
    files, context = tls
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url, **files)) as port:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(300), b"\x16\x03\x01\x00\x05hello", b""):
            async with await connect(port) as stream:
                await stream.send_all(garbage)
                await trio.testing.wait_all_tasks_blocked()
        async with client_on(secure(await connect(port), context)) as caller:
            await caller.send(b"sound")
            await caller.finish()
            began_s = trio.current_time()
            assert (await caller.rest())[1] == 1000
            assert trio.current_time() - began_s < 1
        async with secure(await connect(port), context) as page:
            with at_once():
                await page.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert parsed(await until_end(page)).status == 200
        async with secure(await connect(port), context) as page:
            with at_once():
                await page.send_all(b"GET / HTTP/1.1\r\n\r\n")
                assert parsed(await until_end(page)).status == 400


async def test_a_tls_hello_that_does_not_come(
    tls: tuple[dict[str, Any], ssl.SSLContext], autojump_clock: MockClock
) -> None:
    """The TLS handshake has its time, and whoever is in it counts as waiting."""
    files, _ = tls
    async with daemon_on(config(limits={"connections_per_address_max": 3}, **files)) as port:
        began_s = trio.current_time()
        idle = [await connect(port) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        async with await connect(port) as fourth:
            assert await until_end(fourth) == b""
            assert trio.current_time() == began_s
        for stream in idle:
            assert await until_end(stream) == b""
            await stream.aclose()
        assert trio.current_time() - began_s == pytest.approx(10, abs=0.1)


async def test_a_proxys_word_counts(autojump_clock: MockClock) -> None:
    """Behind a trusted proxy, clients are counted by the address it tells; others may say what they like."""
    limits = {"connections_per_address_max": 2}
    server: dict[str, Any] = {"trusted_proxies": ("127.0.0.2", "10.0.0.0/8")}

    async def hold(port: int, forwarded: str, source: str) -> trio.SocketStream:
        """A connection that has told its address and then waits, unauthenticated, for its body."""
        stream = await connect(port, source=source)
        await stream.send_all(
            f"POST /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {forwarded}\r\nContent-Length: 9\r\n\r\n".encode()
        )
        await trio.testing.wait_all_tasks_blocked()
        return stream

    async with daemon_on(config(limits=limits, **server)) as port:

        async def status(forwarded: str, source: str) -> int:
            return (await get(port, "/healthz", f"X-Forwarded-For: {forwarded}", source=source)).status

        held = [await hold(port, "198.51.100.1", "127.0.0.2") for _ in range(2)]
        assert await status("198.51.100.1", "127.0.0.2") == 503
        assert await status("203.0.113.9, 198.51.100.1, 10.1.2.3", "127.0.0.2") == 503
        assert await status("198.51.100.1, 198.51.100.2", "127.0.0.2") == 200
        assert await status("198.51.100.1", "127.0.0.3") == 200
        for stream in held:
            await stream.aclose()
        held = [await hold(port, f"198.51.100.{number}", "127.0.0.3") for number in range(2)]
        assert await status("192.0.2.1", "127.0.0.3") == 503
        for stream in held:
            await stream.aclose()


async def test_a_proxy_nobody_has_named(autojump_clock: MockClock) -> None:
    """All behind it count as one address here: the log says so, once."""
    with structlog.testing.capture_logs() as log:
        async with daemon_on(config()) as port:
            for forwarded in ("198.51.100.1", "198.51.100.2"):
                assert (await get(port, "/healthz", f"X-Forwarded-For: {forwarded}")).status == 200
    [told] = [line for line in log if line["event"] == "proxy_not_trusted"]
    assert (told["peer"], told["next"]) == ("127.0.0.1", "name it in server.trusted_proxies")
