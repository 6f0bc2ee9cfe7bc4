"""Addresses to listen on."""

import pytest

from routeraudio.config.address import Tcp, Unix, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Tcp("127.0.0.1", 8080)),
        ("localhost:0", Tcp("localhost", 0)),
        ("[::1]:65535", Tcp("::1", 65535)),
        ("unix:/run/routeraudio.sock", Unix("/run/routeraudio.sock")),
    ],
)
def test_reads(text: str, address: Tcp | Unix) -> None:
    """Host, IPv6 address or socket path."""
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "host:",
        "host:65536",
        "::1:80",
        "[::1]",
        "a b:80",
        "host:80\n",
        "unix:run/x",
        "ws://x:80",
    ],
)
def test_refuses(text: str) -> None:
    """Anything else is refused with what is allowed."""
    with pytest.raises(ValueError, match='expected "host:port"'):
        parse(text)


def test_refuses_long_socket_paths() -> None:
    """The kernel's limit is told before it is met."""
    with pytest.raises(ValueError, match="at most 107 bytes"):
        parse("unix:/" + "x" * 107)
