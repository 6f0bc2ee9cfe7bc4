"""The client's address behind proxies: the one place that reads `X-Forwarded-For`."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(peer: str, forwarded_for: str, trusted_proxies: Sequence[Network]) -> str:
    """The last address in the chain that is no proxy of ours; earlier ones may be invented by the client.

    Args:
        peer: who is connected; empty for a local socket.
        forwarded_for: the header's value, believed only where ``peer`` is a trusted proxy.
    """
    # A listener for both families, as systemd opens them, tells IPv4 peers as ::ffff:192.0.2.1.
    peer = peer.removeprefix("::ffff:")
    if not is_trusted(peer, trusted_proxies):
        return peer
    for address in map(str.strip, reversed(forwarded_for.split(","))):
        if not is_trusted(address, trusted_proxies):
            return address or peer
    return peer


def is_likely_proxy(peer: str) -> bool:
    """Whether who forwards for others from this address is rather a proxy than a client that pretends to be one."""
    try:
        parsed = ipaddress.ip_address(peer.removeprefix("::ffff:"))
    except ValueError:
        return True  # a local socket
    return parsed.is_private or parsed.is_loopback


def is_trusted(address: str, trusted_proxies: Sequence[Network]) -> bool:
    """Whether an address is one of our proxies; what is no address is not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted_proxies)
