"""A short JSON answer on a connection that is closed afterwards: what the door says when it does not open."""

from http import HTTPStatus

import h11
import msgspec
import trio

from routeraudio.transport.bytestream import READ_BYTES, ByteStream

LINGER_S = 2.0
"""How long a refused peer may go on talking. Closing with unread input makes the kernel throw our answer away."""


def error_body(message: str) -> bytes:
    """`{"error": …}`."""
    return msgspec.json.encode({"error": message})


async def answer(
    stream: ByteStream,
    status: int,
    body: bytes,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    media_type: str = "application/json",
) -> None:
    """Send an answer and close ``stream``. The caller bounds it; a peer that is gone is no error."""
    connection = h11.Connection(h11.SERVER)
    head = connection.send(
        h11.Response(
            status_code=status,
            reason=HTTPStatus(status).phrase.encode(),
            headers=[
                ("content-type", media_type),
                ("content-length", str(len(body))),
                ("connection", "close"),
                *headers,
            ],
        )
    )
    try:
        await stream.send_all(head + (connection.send(h11.Data(data=body)) or b""))
        await stream.send_eof()
        with trio.move_on_after(LINGER_S):
            while await stream.receive_some(READ_BYTES):
                pass
    except trio.BrokenResourceError:
        pass
    finally:
        stream.close_now()
