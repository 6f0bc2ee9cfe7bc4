"""The engine's WebSocket server: one `Hearing` of the pool per connection. The protocol is in `protocol`.

Audio waits in few places, all small: 64 KiB in the TCP socket, one message here, about two seconds on the way to the
worker. A sender that is faster than the decoder finds its socket full; pings it sends meanwhile are answered when
what lies before them has been decoded.
"""

import secrets
import socket
from collections.abc import Sequence
from math import inf
from typing import Final, NoReturn

import msgspec
import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream

from routeraudio.engine import protocol
from routeraudio.engine.faults import EngineFault, EngineFull
from routeraudio.engine.lease import Lease
from routeraudio.engine.loading import Model
from routeraudio.engine.pool import Pool, open_pool
from routeraudio.engine.wire import Wish

log = structlog.get_logger(__name__)

RECEIVE_BUFFER_BYTES: Final = 65_536
"""Of the TCP socket, instead of the several MiB (minutes of audio) that the kernel would grow it to."""
READ_BYTES: Final = 16_384
MESSAGE_BYTES_MAX: Final = 1_048_576
"""32 s of audio: far above any sensible pacing."""

HANDSHAKE_S: Final = 5.0
REST_S: Final = 60.0
"""No audio for this long, whatever else is said, frees the recogniser; the next audio gets another one."""
IDLE_S: Final = 600.0
"""No message for this long ends the connection."""
SEND_S: Final = 10.0
"""A client that does not read for this long is given up."""
CLOSE_S: Final = 5.0


class _Ending(msgspec.Struct, frozen=True):
    """How a connection is closed, and what is said before."""

    close_code: int
    error: protocol.Error | None = None


_DONE: Final = _Ending(1000)
_GONE: Final = _Ending(1006)
"""The client has left or does not read: nothing more can be said."""


async def serve(
    listeners: Sequence[trio.SocketListener],
    *,
    models: Sequence[Model] | None = None,
    workers_max: int | None = None,
    task_status: trio.TaskStatus[Pool] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve until cancelled; `started` gives the pool once connections are accepted, which wait for the models.

    Owns the listening sockets and the pool.

    Args:
        models: None: the best that is installed.
        workers_max: recognitions at a time; None: as many as this machine decodes in real time.

    Raises:
        EngineMissing: what a model needs is not installed.
        EngineFault: a model cannot be loaded.
    """
    async with open_pool(models=models, workers_max=workers_max, is_warm=False) as pool:
        for listener in listeners:
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

        async def handle(stream: trio.SocketStream) -> None:
            await _connection(pool, stream)

        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, handle, listeners)
            task_status.started(pool)
            await pool.warm()
            log.debug(
                "engine_loaded", models=[model.id for model in pool.models], workers_max=pool.workers_max
            )
            await trio.sleep_forever()
    raise AssertionError("sleep_forever returned")


async def _connection(pool: Pool, stream: trio.SocketStream) -> None:
    """One client, whatever it sends: the error boundary. Owns and closes the stream."""
    id = secrets.token_hex(8)
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(HANDSHAKE_S):
                request = await wrap_server_stream(
                    nursery,
                    stream,
                    message_queue_size=1,
                    max_message_size=MESSAGE_BYTES_MAX,
                    receive_buffer_size=READ_BYTES,
                )
            await _session(pool, request, id)
            nursery.cancel_scope.cancel()
    except* ConnectionClosed:
        log.debug("engine_client_left", session=id)
    except* Exception as group:  # noqa: BLE001
        # The library raises many types for broken handshakes; their texts may quote what was sent.
        log.warning("engine_connection_failed", session=id, errors=_names(group))
    finally:
        await trio.aclose_forcefully(stream)


async def _session(pool: Pool, request: WebSocketRequest, id: str) -> None:
    if request.path == protocol.STATUS_PATH:
        await _tell_status(pool, request)
        return
    try:
        wish = protocol.read_target(request.path)
        _check(pool, wish)
    except protocol.BadRequest as error:
        with trio.move_on_after(SEND_S):
            await request.reject(
                error.status,
                extra_headers=[(b"Content-Type", b"text/plain; charset=utf-8")],
                body=error.message.encode(),
            )
        return
    with trio.fail_after(HANDSHAKE_S):
        websocket = await request.accept()
    try:
        async with Lease(pool, wish) as lease:
            ending = await _Conversation(websocket, lease).run(id)
    except EngineFault as fault:
        ending = _failed(fault)
    if ending.error is not None:
        log.warning("engine_session_failed", session=id, code=ending.error.code)
    await _close(websocket, ending)


def _check(pool: Pool, wish: Wish) -> None:
    """Raise `BadRequest` for a model that is not served here."""
    names = [model.id for model in pool.models]
    if wish.model is not None and wish.model not in names:
        raise protocol.BadRequest(400, f"there is no such model; there are {', '.join(names)}")


async def _tell_status(pool: Pool, request: WebSocketRequest) -> None:
    with trio.fail_after(HANDSHAKE_S):
        websocket = await request.accept()
    names = tuple(model.id for model in pool.models)
    status = protocol.Status(pool.is_warm, names, pool.running, pool.workers_max)
    await _send(websocket, protocol.write(status))
    await _close(websocket, _DONE)


class _Conversation:
    """Both directions of one session; whoever notices its end first says how."""

    def __init__(self, websocket: WebSocketConnection, lease: Lease) -> None:
        self._websocket = websocket
        self._lease = lease
        self._scope = trio.CancelScope()
        self._ending: _Ending | None = None
        self._is_finishing = False
        self._rest_at_s = trio.current_time() + REST_S

    async def run(self, id: str) -> _Ending:
        """Talk until the last word. Owns the tasks of both directions; raises nothing of theirs."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen)
                nursery.start_soon(self._tell, id)
        assert self._ending is not None
        return self._ending

    async def _listen(self) -> None:
        """Client to recogniser."""
        try:
            while True:
                message = await self._next()
                if message is None:
                    return self._end(_Ending(1008, protocol.Error("idle", f"no message for {IDLE_S:g} s")))
                await self._pass_on(message)
        except ConnectionClosed:
            self._end(_GONE)
        except protocol.BadMessage as error:
            self._end(_Ending(1003, protocol.Error("bad_message", str(error))))
        except EngineFault as fault:
            self._end(_failed(fault))

    async def _next(self) -> str | bytes | None:
        """The next message; None when there is none for too long. After `finish` the recogniser's own deadline
        ends the wait."""
        if self._is_finishing:
            return await self._websocket.get_message()
        idle_at_s = trio.current_time() + IDLE_S
        with trio.move_on_at(min(self._rest_at_s, idle_at_s)):
            return await self._websocket.get_message()
        await self._lease.rest()
        self._rest_at_s = inf
        with trio.move_on_at(idle_at_s):
            return await self._websocket.get_message()
        return None

    async def _pass_on(self, message: str | bytes) -> None:
        if self._is_finishing:
            raise protocol.BadMessage('nothing may follow {"type":"finish"}')
        if isinstance(message, bytes):
            await self._lease.send(message)
            if message:
                self._rest_at_s = trio.current_time() + REST_S
        elif isinstance(protocol.read_control(message), protocol.Finalize):
            await self._lease.finalize()
        else:
            self._is_finishing = True
            await self._lease.finish()

    async def _tell(self, id: str) -> None:
        """Recogniser to client."""
        try:
            await _send(self._websocket, protocol.write(protocol.Ready(id)))
            async for heard in self._lease:
                await _send(self._websocket, protocol.write_heard(heard))
            await _send(self._websocket, protocol.write(protocol.Done(self._lease.audio_ms)))
            self._end(_DONE)
        except (ConnectionClosed, trio.TooSlowError):
            self._end(_GONE)
        except EngineFault as fault:
            self._end(_failed(fault))

    def _end(self, ending: _Ending) -> None:
        if self._ending is None:
            self._ending = ending
        self._scope.cancel()


async def _send(websocket: WebSocketConnection, message: str) -> None:
    """Raises `trio.TooSlowError` when the client does not read; the connection is of no use then."""
    with trio.fail_after(SEND_S):
        await websocket.send_message(message)


async def _close(websocket: WebSocketConnection, ending: _Ending) -> None:
    if ending is _GONE:
        return
    with trio.move_on_after(CLOSE_S):
        if ending.error is not None:
            await websocket.send_message(protocol.write(ending.error))
        await websocket.aclose(ending.close_code)


def _failed(fault: EngineFault) -> _Ending:
    if isinstance(fault, EngineFull):
        return _Ending(1013, protocol.Error("engine_full", str(fault)))
    return _Ending(1011, protocol.Error("engine_failed", str(fault)))


def _names(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """The types of all errors in a group."""
    names: list[str] = []
    for error in group.exceptions:
        names += _names(error) if isinstance(error, BaseExceptionGroup) else [type(error).__name__]
    return names
