"""Which client addresses count as one."""

import ipaddress


def neighbourhood(address: str) -> str:
    """What counts as one address: all of an IPv6 /64, which is what one customer is given (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def region(neighbours: str) -> str:
    """The /48 around a `neighbourhood` of IPv6, which may be all one customer's (RFC 6177); of IPv4 the address."""
    if not neighbours.endswith("/64"):
        return neighbours
    return str(ipaddress.IPv6Network(neighbours).supernet(new_prefix=48))
