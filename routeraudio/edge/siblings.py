"""The other workers of this daemon: a client that comes back to one of them may have met another.

Its connection is carried there inside the machine, over a socket in a folder that only this daemon reads. Its TLS ends
here; the worker that has the session reads the request anew, as if it had come to it.
"""

import os
import socket
from contextlib import AsyncExitStack, suppress
from typing import Final

import trio

from routeraudio.edge.admission import Ticket
from routeraudio.edge.request_head import Head
from routeraudio.transport.bytestream import READ_BYTES, ByteStream

ANSWER_S: Final = 5.0
"""Inside the machine: a worker that takes longer has other troubles."""

WAITING_S: Final = 15.0
"""The other worker has closed by then whoever had nothing to come back to."""

_BACKLOG: Final = 128


class Siblings:
    """Where they are.

    Args:
        folder: theirs alone.
        number: our own, from 1.
    """

    def __init__(self, folder: str, number: int) -> None:
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._number = number

    def listen(self) -> trio.SocketListener:
        """For what the others carry here."""
        path = self._path(self._number)
        with suppress(FileNotFoundError):
            os.unlink(path)
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        sock.listen(_BACKLOG)
        return trio.SocketListener(trio.socket.from_stdlib_socket(sock))

    async def carry(self, stream: ByteStream, head: Head, ticket: Ticket, number: int) -> bool:
        """Carry a connection to the worker of that number, to its end. False: it is not there, or dies unheard."""
        if number == self._number:
            return False
        async with AsyncExitStack() as held:
            try:
                with trio.fail_after(ANSWER_S):
                    sibling = await held.enter_async_context(await trio.open_unix_socket(self._path(number)))
                    await sibling.send_all(_request(head, ticket.address))
                    answer = await sibling.receive_some(READ_BYTES)
            except (OSError, trio.BrokenResourceError, trio.TooSlowError):
                return False
            if not answer:
                return False
            await stream.send_all(answer)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_carry, stream, sibling, nursery.cancel_scope)
                nursery.start_soon(_carry, sibling, stream, nursery.cancel_scope)
                await trio.sleep(WAITING_S)
                ticket.authenticated()
        return True

    def _path(self, number: int) -> str:
        """By way of the open folder: an address has 107 bytes (unix(7)), and the folder's path may have more."""
        return f"/proc/self/fd/{self._folder_fd}/worker-{number}.sock"


async def _carry(
    source: trio.abc.ReceiveStream, sink: trio.abc.SendStream, connection: trio.CancelScope
) -> None:
    """Until one side ends, or is lost."""
    try:
        while data := await source.receive_some(READ_BYTES):
            await sink.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    connection.cancel()


def _request(head: Head, address: str) -> bytes:
    """The request as it was understood here, from the client that it came from."""
    request = head.request
    target = f"{request.path}?{request.query}" if request.query else request.path
    headers = {**request.headers, "x-forwarded-for": address}
    lines = [f"{head.method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + head.rest
