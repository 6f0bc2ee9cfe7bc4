"""Leaving the network. Also a program of its own, whose exit code says whether this machine lets a process do so.

Nothing but the standard library: it runs at each start of a daemon, without `site`, in some ten milliseconds.
"""

import ctypes
import fcntl
import socket
import struct
import sys
from typing import Final

CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000
"""unshare(2). Python has `os.unshare` from 3.12 on."""

NAMESPACES: Final = ("user", "net")
"""What the two are called in systemd's `RestrictNamespaces=`."""

SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1
"""netdevice(7)."""


def isolate() -> bool:
    """Leave the network, keeping a loopback of our own; False: the kernel, systemd or a container forbids it."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    return True


if __name__ == "__main__":
    sys.exit(0 if isolate() else 1)
