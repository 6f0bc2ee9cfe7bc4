"""TLS contexts and the socket options every streaming connection wants."""

import socket
import ssl
from pathlib import Path
from typing import Final

from routeraudio.model.errors import ConfigFault

USER_TIMEOUT_MS: Final = 30_000
"""Output that is not acknowledged ends the connection after this time: closed windows, pulled cables."""


KERNEL_BYTES: Final = 131_072
"""What the kernel may keep per direction (it allows itself double). Left alone it grows buffers to megabytes: minutes
of audio that count as sent although nobody has read them, and memory that no limit of ours sees."""


def set_options(sock: socket.socket) -> None:
    """No Nagle (20 ms chunks must not wait for acknowledgements), small buffers, an end to peers that vanish."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """For our own listeners: TLS 1.2 or later, HTTP/1.1 only.

    Raises:
        ConfigFault: the files cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # HTTP/2 cannot carry our upgrades and would hand Hypercorn a second parser.
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigFault(
            f"server.tls_certificate, server.tls_key: cannot use {certificate} with {key}: "
            f"{exc.strerror or type(exc).__name__}; expected a PEM certificate chain and its private key"
        ) from exc
    return context


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """For dialling providers: the system's certificate authorities, and ``ca_file`` besides.

    Raises:
        ConfigFault: ``ca_file`` cannot be used.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as exc:
            raise ConfigFault(
                f"ca_file: cannot use {ca_file}: {exc.strerror or type(exc).__name__}; expected PEM certificates"
            ) from exc
    return context
