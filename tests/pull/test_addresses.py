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
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # a public address through Teredo
    "2002:808:808::1",  # 8.8.8.8 through 6to4, whose relays are gone
    "192.88.99.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "192.0.0.192",  # a metadata service
    "168.63.129.16",  # another one
    "100.100.100.200",  # and another
    "fd00:ec2::254",
    "233.252.0.1",
    "::7f00:1",  # 127.0.0.1, IPv4-compatible
    "::808:808",
    "::ffff:0:7f00:1",  # 127.0.0.1, translated
    "::ffff:0:808:808",
    "64:ff9b::a83f:8110",
    "64:ff9b:1::808:808",
    "2606:4700::5efe:a00:1",  # 10.0.0.1 through ISATAP
    "2606:4700::200:5efe:7f00:1",
    "fe80::5efe:808:808",
    "100::1",
    "100:0:0:1::1",
    "2001:20::1",
    "2001:4:112::1",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "ff0e::1",
]

ALLOWED = [
    "8.8.8.8",
    "151.101.1.140",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2a00:1450:4001::200e",
]


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
