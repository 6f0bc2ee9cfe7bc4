"""A connection that the daemon opened, as a port of this process's loopback: libav's RTMP and RTSP dial by themselves.

TLS ends here, where a certificate is checked against the name in the URL and not against 127.0.0.1.
"""

import selectors
import socket
import ssl
import threading
from typing import Final

from routeraudio.pull.faults import SourceFault

READ_BYTES: Final = 65_536


def forward(peer: socket.socket) -> int:
    """The port at which the next, and only, connection is joined to ``peer``."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    threading.Thread(target=_serve, args=(listener, peer), daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def secured(peer: socket.socket, host: str) -> ssl.SSLSocket:
    """``peer`` after the TLS handshake.

    Raises:
        SourceFault: it is not who it should be, or speaks no TLS.
    """
    try:
        return ssl.create_default_context().wrap_socket(peer, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise SourceFault(
            f"the source's TLS certificate is not trusted ({error.verify_message})", is_retryable=False
        ) from None
    except OSError:
        raise SourceFault("the source's TLS handshake failed", is_retryable=True) from None


def _serve(listener: socket.socket, peer: socket.socket) -> None:
    with listener, peer:
        libav, _address = listener.accept()
        with libav:
            try:
                _pump(libav, peer)
            except OSError:
                pass  # either side has gone: the other one is told by the closing


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Both ways until either ends. One thread: an `SSLSocket` must not be read and written at the same time."""
    across = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        selector.register(other, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                source = key.fileobj
                assert isinstance(source, socket.socket)
                if not _pass_on(source, across[source]):
                    return


def _pass_on(source: socket.socket, target: socket.socket) -> bool:
    """What has come, and what TLS has decrypted with it, which no selector tells of; False: the end."""
    while data := source.recv(READ_BYTES):
        target.sendall(data)
        if not (isinstance(source, ssl.SSLSocket) and source.pending()):
            return True
    return False
