"""Accepting connections for a vendor, behind a boundary that no client's rudeness crosses.

trio-websocket's own server lets an exception of one connection end all of them, and waits without bound while
closing. So each connection here has a private nursery inside a catch-all, a wrapped stream (`wire`), and
deadlines of ours around every wait.
"""

import logging
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Final, NoReturn
from urllib.parse import parse_qsl, urlsplit

import trio
from trio_websocket import WebSocketRequest, wrap_server_stream

from routeraudio.emulators.kit.base import Admission, Hear, Refusal, Request, Vendor
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.faults import NONE, Faults, faults_of_key
from routeraudio.emulators.kit.record import Record
from routeraudio.emulators.kit.script import Script
from routeraudio.emulators.kit.wire import Wire

HANDSHAKE_S: Final = 10.0
"""For the request to arrive."""

CONNECTIONS_MAX: Final = 2000
"""At once; more are closed unheard."""

RECORDS_MAX: Final = 5000
"""Connections remembered; older ones are forgotten."""

MESSAGE_BYTES_MAX: Final = 4_194_304
"""Some clients send a whole file in one message; no vendor documents a limit."""

QUEUE_MESSAGES: Final = 16
"""Messages trio-websocket reads ahead. It answers no ping while its queue is full."""

PARAMETERS_MAX: Final = 200

_log = logging.getLogger(__name__)

# Debug records of trio-websocket print request targets, and with some vendors these carry keys.
logging.getLogger("trio-websocket").setLevel(logging.WARNING)


class Emulator:
    """One vendor's service on loopback.

    Args:
        hear: listens to the audio; None: nothing is heard, answers come from the script alone.
        script: answers instead of hearing.
        faults: what goes wrong on every connection; single connections ask by key (see `faults`).
        keep_audio_bytes: how much of each connection's audio its record keeps.
    """

    def __init__(
        self,
        vendor: Vendor,
        *,
        hear: Hear | None = None,
        script: Script | None = None,
        faults: Faults = NONE,
        keep_audio_bytes: int = 0,
    ) -> None:
        self._vendor = vendor
        self._hear = hear
        self._script = script
        self._faults = faults
        self._keep_audio_bytes = keep_audio_bytes
        self._active = 0
        self.connections: Final[list[Record]] = []
        """What came in, in order of the requests."""

    async def serve(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Serve until cancelled; `started` tells the port. Cancelling closes every connection at once."""
        listeners = await trio.open_tcp_listeners(port, host=host)
        bound_port: int = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_listeners, self.answer, listeners))
            task_status.started(bound_port)
        raise AssertionError("serve_listeners does not return")

    async def answer(self, stream: trio.abc.Stream) -> None:
        """Serve one connection. Owns and closes ``stream``; raises nothing but cancellation."""
        wire = Wire(stream)
        visit = _Visit(self._vendor.name)
        self._active += 1
        try:
            if self._active <= CONNECTIONS_MAX:
                await self._answer(wire, visit)
        except* Exception as group:  # noqa: BLE001 — the boundary; cancellation passes
            # Rude clients break h11, wsproto and trio-websocket in a dozen ways; so may our own mistakes.
            # Tests find either in the record; the other connections find nothing.
            visit.failed(group)
        finally:
            self._active -= 1
            try:
                await trio.aclose_forcefully(wire)
            finally:
                visit.ended()

    async def _answer(self, wire: Wire, visit: "_Visit") -> None:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(HANDSHAKE_S):
                asked = await wrap_server_stream(
                    nursery, wire, message_queue_size=QUEUE_MESSAGES, max_message_size=MESSAGE_BYTES_MAX
                )
            request = _request(asked)
            visit.record = self._remember(request)
            await self._decide(asked, request, wire, visit.record)
            nursery.cancel_scope.cancel()

    def _remember(self, request: Request) -> Record:
        record = Record(request, keep_audio_bytes=self._keep_audio_bytes)
        self.connections.append(record)
        del self.connections[:-RECORDS_MAX]
        return record

    async def _decide(self, asked: WebSocketRequest, request: Request, wire: Wire, record: Record) -> None:
        try:
            faults = faults_of_key(self._vendor.key(request), self._faults)
        except ValueError as error:
            await _refuse(asked, Refusal(400, str(error).encode()), record)
            return
        await trio.sleep(faults.delay_s)
        if faults.refuse is not None:
            await _refuse(asked, self._vendor.refuse(request, faults.refuse), record)
            return
        decision = self._vendor.admit(request)
        if isinstance(decision, Refusal):
            await _refuse(asked, decision, record)
        else:
            await self._converse(asked, decision, wire, record, faults)

    async def _converse(
        self, asked: WebSocketRequest, admission: Admission, wire: Wire, record: Record, faults: Faults
    ) -> None:
        connection = await asked.accept(
            subprotocol=admission.subprotocol, extra_headers=list(_encoded(admission.headers))
        )
        with trio.CancelScope() as scope:
            call = Call(connection, wire, record, scope, faults=faults, script=self._script, hear=self._hear)
            if faults.stall:
                await call.stay()
            await admission.converse(call)
            await call.close(1000)


class _Visit:
    """What is known of a connection when it fails or ends: perhaps not even its request."""

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self.record: Record | None = None

    def failed(self, group: BaseExceptionGroup) -> None:
        # After our own close frame a client's ping is an error to trio-websocket (its issue 184); nothing
        # is lost.
        if self.record is not None and self.record.close_sent is None:
            self.record.error = ", ".join(sorted({type(error).__name__ for error in _leaves(group)}))
            _log.warning("%s emulator: a connection was ended by %s", self._vendor, self.record.error)

    def ended(self) -> None:
        if self.record is not None:
            self.record.ended.set()


def _leaves(group: BaseExceptionGroup) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _request(asked: WebSocketRequest) -> Request:
    target = urlsplit(asked.path)
    return Request(
        id=str(uuid.uuid4()),
        path=target.path,
        params=tuple(parse_qsl(target.query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)),
        headers=tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in asked.headers
        ),
        subprotocols=asked.proposed_subprotocols,
    )


async def _refuse(asked: WebSocketRequest, refusal: Refusal, record: Record) -> None:
    record.refused = refusal.status
    headers = [*_encoded(refusal.headers), (b"connection", b"close")]
    await asked.reject(refusal.status, extra_headers=headers, body=refusal.body)


def _encoded(headers: tuple[tuple[str, str], ...]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        yield name.encode("ascii"), value.encode("latin-1", "replace")
