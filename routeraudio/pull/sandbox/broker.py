"""The decoder's side of asking the daemon for connections."""

import socket

import msgspec

from routeraudio.pull.faults import SourceFault
from routeraudio.pull.wire import MESSAGE_BYTES, Answer, Connect, Said


class Broker:
    """Talks to the daemon over the control socket.

    Args:
        wait_s: what the connections that it gets may keep us waiting.
    """

    def __init__(self, control: socket.socket, wait_s: float) -> None:
        self._control = control
        self._wait_s = wait_s

    def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket.

        Raises:
            SourceFault: the daemon will not, or cannot.
        """
        self.say(Connect(host, port))
        data, descriptors, _flags, _address = socket.recv_fds(self._control, MESSAGE_BYTES, 1)
        answer = msgspec.json.decode(data, type=Answer)
        if answer.error is not None:
            raise SourceFault(answer.error, is_retryable=answer.is_retryable)
        connected = socket.socket(fileno=descriptors[0])
        connected.settimeout(self._wait_s)
        return connected

    def say(self, said: Said) -> None:
        """Tell the daemon."""
        self._control.send(msgspec.json.encode(said))
