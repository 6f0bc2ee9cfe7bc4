"""Name resolution beside the event loop."""

import socket
import threading
from typing import Any

import pytest
import trio

from routeraudio.transport.resolver import RESOLVERS_MAX, Resolver


async def test_names_are_resolved() -> None:
    """The answers are the system's own."""
    resolver = Resolver(60)
    found = await resolver.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    assert any(address[0] in ("127.0.0.1", "::1") for *_, address in found)
    host, port = await resolver.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    assert (host, port) == ("127.0.0.1", "80")


async def test_unknown_names_are_said_to_be_so() -> None:
    """The system's error passes."""
    with pytest.raises(socket.gaierror):
        await Resolver(60).getaddrinfo("no name at all", None)


async def test_slow_name_servers_cannot_use_up_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lookups hang, a bounded number of threads does, each caller is let go, and others go on."""
    release, lock = threading.Event(), threading.Lock()
    running = most = 0

    def hang(*_args: Any, **_more: Any) -> list[Any]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(60)
        with lock:
            running -= 1
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    resolver = Resolver(0.05)
    try:
        for _ in range(3 * RESOLVERS_MAX):
            with pytest.raises(socket.gaierror) as caught:
                await resolver.getaddrinfo("slow.example", 80)
            assert caught.value.errno == socket.EAI_AGAIN
        assert most == RESOLVERS_MAX
        assert await trio.to_thread.run_sync(lambda: "free") == "free"
    finally:
        release.set()
