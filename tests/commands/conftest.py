"""Servers for the client to meet."""

from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests.commands.peers import Peer


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Callable[[Peer], None]:
    """Let the next connections meet this peer instead of the network."""

    def serve(peer: Peer) -> None:
        async def connect(host: str, port: int) -> trio.abc.Stream:
            client, server = trio.testing.memory_stream_pair()
            nursery.start_soon(peer, server)
            return client

        monkeypatch.setattr(trio, "open_tcp_stream", connect)

    return serve
