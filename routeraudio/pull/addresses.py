"""Which addresses the daemon may connect to on somebody else's behalf.

Whoever names a URL makes the daemon connect from where it stands: behind the firewall, beside the database, on a cloud
machine whose metadata service gives out credentials. So only globally reachable addresses are connected to, and those
that the operator has named. What counts is the address that a connection is opened to, not the name it was found by.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""The last four bytes are an IPv4 address (RFC 6052)."""

LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
"""The same within one operator's network, wherever the four bytes stand (RFC 8215)."""


def is_allowed(text: str, networks: Sequence[Network]) -> bool:
    """Whether a connection may go to the address ``text``, as `getaddrinfo` tells it.

    Args:
        networks: what the operator allows besides.
    """
    address = _plain(ipaddress.ip_address(text))
    if any(address in network for network in networks):
        return True
    return all(one.is_global and not one.is_multicast for one in (address, *_inside(address))) and not (
        isinstance(address, ipaddress.IPv6Address) and (address in LOCAL_NAT64 or address.is_site_local)
    )


def _plain(address: Address) -> Address:
    """::ffff:192.0.2.1 is 192.0.2.1, and reaches it."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _inside(address: Address) -> Iterator[Address]:
    """IPv4 addresses that a gateway would take out of an IPv6 address and connect to."""
    if not isinstance(address, ipaddress.IPv6Address):
        return
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in NAT64:
        yield ipaddress.IPv4Address(address.packed[-4:])
