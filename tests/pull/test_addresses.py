"""Which addresses may be connected to for somebody else."""

from ipaddress import ip_network

import pytest

from routeraudio.pull.addresses import is_allowed

REFUSED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # the metadata service of clouds
    "100.64.0.1",  # carriers' own networks
    "192.0.2.1",  # documentation
    "198.18.0.1",  # benchmarks
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%2",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",  # 127.0.0.1 through NAT64
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "fec0::2",  # site-local: what QEMU calls its host
    "2002:7f00:1::",  # 127.0.0.1 through 6to4
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # 10.0.0.1 through Teredo
]

ALLOWED = ["8.8.8.8", "151.101.1.140", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", REFUSED)
def test_refused(address: str) -> None:
    """Whatever does not lead into the public internet is refused, however it is written."""
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", ALLOWED)
def test_allowed(address: str) -> None:
    """Public addresses are connected to."""
    assert is_allowed(address, ())


def test_networks_of_the_operator() -> None:
    """A named network is allowed, also where an address of it is written as IPv6; its neighbour is not."""
    networks = [ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")]
    assert is_allowed("10.1.2.3", networks)
    assert is_allowed("::ffff:10.1.2.3", networks)
    assert is_allowed("fd00:1::5", networks)
    assert not is_allowed("10.2.0.1", networks)
    assert not is_allowed("fd00:2::5", networks)
