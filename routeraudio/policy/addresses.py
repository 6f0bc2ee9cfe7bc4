"""Which client addresses count as one."""

import ipaddress


def neighbourhood(address: str) -> str:
    """What counts as one address: all of an IPv6 /64, which is what one customer is given (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
