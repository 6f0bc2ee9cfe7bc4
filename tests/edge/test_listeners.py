"""Listening sockets and their names. What systemd passes is tested with a real daemon in `test_daemon`."""

import socket
import stat
from pathlib import Path

import pytest
import trio

from routeraudio.edge.listeners import names, open_listeners
from routeraudio.model.errors import ConfigFault
from routeraudio.transport.tls import USER_TIMEOUT_MS
from tests.transport.dialling import open_sockets


async def close(listeners: list[trio.SocketListener]) -> None:
    for listener in listeners:
        await listener.aclose()


async def test_each_address_is_opened_and_named(tmp_path: Path) -> None:
    """TCP over both families and local sockets, as people write them."""
    listeners = await open_listeners(["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/a.sock"], {})
    one, two, three = names(listeners)
    assert one.startswith("127.0.0.1:")
    assert two.startswith("[::1]:")
    assert three == f"unix:{tmp_path}/a.sock"
    await close(listeners)


async def test_accepted_connections_have_the_options(tmp_path: Path) -> None:
    """Accepted sockets inherit the end to peers that acknowledge nothing."""
    listeners = await open_listeners(["127.0.0.1:0"], {})
    async with (
        await trio.open_tcp_stream(*listeners[0].socket.getsockname()),
        await listeners[0].accept() as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT_MS
    await close(listeners)


async def test_an_address_that_cannot_be_had_is_named() -> None:
    """Which one, and why, in words; those opened before it are closed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        began = open_sockets()
        with pytest.raises(ConfigFault) as caught:
            await open_listeners(["127.0.0.1:0", address], {})
        assert open_sockets() == began
    assert str(caught.value) == f"server.bind: cannot listen on '{address}': address already in use"


async def test_an_unknown_host_is_named() -> None:
    """A name that does not resolve is a configuration that cannot be used."""

    class Nowhere(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *_args: object, **_more: object) -> list[object]:  # type: ignore[override]
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def getnameinfo(self, *_args: object) -> tuple[str, str]:
            raise NotImplementedError

    trio.socket.set_custom_hostname_resolver(Nowhere())
    with pytest.raises(ConfigFault, match=r"router\.invalid:80"):
        await open_listeners(["router.invalid:80"], {})


async def test_what_a_dead_daemon_left_behind_is_removed(tmp_path: Path) -> None:
    """A socket file nobody listens on makes way; one with a listener and a file that is no socket do not."""
    path = tmp_path / "door.sock"
    for _ in range(2):
        await close(await open_listeners([f"unix:{path}"], {}))
        assert stat.S_ISSOCK(path.stat().st_mode)
    living = await open_listeners([f"unix:{path}"], {})
    with pytest.raises(ConfigFault, match="address already in use"):
        await open_listeners([f"unix:{path}"], {})
    await close(living)
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigFault):
        await open_listeners([f"unix:{tmp_path}/file"], {})
    assert (tmp_path / "file").read_text() == "precious"
