"""Whose address counts behind proxies."""

from ipaddress import ip_network

import pytest

from routeraudio.edge.forwarded import client_address, is_likely_proxy

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7 ,10.0.0.2", "198.51.100.7"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7,", "10.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_addresses(peer: str, header: str, expected: str) -> None:
    """A header counts where a proxy of ours sent it, and only as far back as our proxies reach."""
    assert client_address(peer, header, PROXIES) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.2.3.4", True),
        ("::ffff:192.168.1.1", True),
        ("fd00::5", True),
        ("", True),
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
    ],
)
def test_likely_proxies(peer: str, expected: bool) -> None:
    """From the internet anybody may pretend to forward for others."""
    assert is_likely_proxy(peer) is expected
