"""Which addresses the daemon may connect to on somebody else's behalf.

Whoever names a URL makes the daemon connect from where it stands: behind the firewall, beside the database, on a cloud
machine whose metadata service gives out credentials. So only globally reachable addresses are connected to, and those
that the operator has named. What counts is the address that a connection is opened to, not the name it was found by.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out for global unicast. What lies beside it leads into somebody's own network, or nowhere."""

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""The last four bytes are an IPv4 address (RFC 6052), which hosts without IPv4 reach this way."""

SPECIAL: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # Azure's own services for its machines, at a public address
            "192.0.0.0/24",  # protocol assignments (RFC 6890)
            "192.31.196.0/24",  # AS112 (RFC 7535)
            "192.52.193.0/24",  # multicast tunnels (RFC 7450)
            "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
            "192.175.48.0/24",  # AS112 (RFC 7534)
            "2001::/23",  # protocol assignments: Teredo, ORCHID and others (RFC 2928)
            "2001:db8::/32",  # documentation (RFC 3849)
            "2002::/16",  # 6to4: IPv4 inside (RFC 7526)
            "2620:4f:8000::/48",  # AS112 (RFC 7534)
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
"""Of IANA's special-purpose registries what Python's `is_global` takes for public, and what no registry has."""

ISATAP: Final = frozenset({b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe"})
"""In the third quarter of an address: the last one is an IPv4 address (RFC 5214, 6.1)."""


def is_allowed(text: str, networks: Sequence[Network]) -> bool:
    """Whether a connection may go to the address ``text``, as `getaddrinfo` tells it.

    Args:
        networks: what the operator allows besides.
    """
    if is_inside(text, networks):
        return True
    address = _plain(ipaddress.ip_address(text))
    inside = _inside(address)
    return _is_public(address) if inside is None else _is_public(inside)


def is_inside(text: str, networks: Sequence[Network]) -> bool:
    """Whether the address ``text`` is in one of ``networks``."""
    address = _plain(ipaddress.ip_address(text))
    return any(address in network for network in networks)


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and (address.version == 4 or address in UNICAST)
        and not any(address in network for network in SPECIAL)
    )


def _plain(address: Address) -> Address:
    """::ffff:192.0.2.1 is 192.0.2.1, and reaches it."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _inside(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway would take out of an IPv6 address and connect to."""
    if isinstance(address, ipaddress.IPv6Address):
        is_isatap = address in UNICAST and address.packed[8:12] in ISATAP
        if is_isatap or address in NAT64:
            return ipaddress.IPv4Address(address.packed[-4:])
    return None
