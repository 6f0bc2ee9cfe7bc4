"""The clients: paced sessions through one proxy, from one process and one epoll loop.

`python -m bench.load SPEC` opens the sessions, warms up, waits until every reply is back and says `Warm`. Then
each line on standard input orders a slice of so many seconds: one block per session and 20 ms, session after
session, evenly spread. A slice ends with its last reply, so that what a slow proxy still owes is on its bill,
and is answered with a `LoadReport`. Between slices pings are answered. It ends with its standard input.
"""

import contextlib
import select
import socket
import sys
import time
from array import array
from typing import Final

import msgspec

from bench.processes import ProcessGone, cpu_ns
from bench.records import LoadReport, LoadSpec, Warm, delays, say
from bench.wire import (
    BLOCKS_PER_REPLY,
    BLOCKS_PER_S,
    CLOSE,
    FRAME_HEAD_BYTES,
    MEASURED,
    PING,
    PONG,
    STAMP,
    TEXT,
    Frame,
    block_frame,
    frame,
    reply_sent_ns,
    take_frames,
)

_PERIOD_NS: Final = 1_000_000_000 // BLOCKS_PER_S
_LATE_NS: Final = 5_000_000
"""A quarter of the period. The kernel's timer and a busy neighbour cost well under a millisecond."""
_OPEN_S: Final = 15.0
"""For one session to open."""
_CLOSE_S: Final = 5.0
"""For all sessions to close."""
_RECEIVE_BYTES: Final = 32_768
_SESSIONS_PER_ADDRESS: Final = 40
"""The daemon allows 50 connections from one address; all of 127/8 is this machine."""


class Broken(Exception):
    """A session ended, or never began, and so does the run."""


def open_session(port: int, target: str, number: int) -> tuple[socket.socket, bytes]:
    """Opens one client session, waiting.

    Returns:
        The connection, still blocking, and what arrived behind the response head.

    Raises:
        Broken: the proxy refused, or took longer than _OPEN_S.
    """
    source = f"127.0.0.{1 + number // _SESSIONS_PER_ADDRESS}"
    try:
        connection = socket.create_connection(("127.0.0.1", port), _OPEN_S, source_address=(source, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "x-api-key: bench-client-key\r\n\r\n".encode()
        )
        head, rest = _response(connection)
    except OSError as error:
        raise Broken(f"session {number} did not open: {error}") from error
    status = head.split(b"\r\n")[0].decode("latin-1")
    if " 101 " not in f"{status} ":
        raise Broken(f"session {number} was refused: {status}")
    return connection, rest


def _response(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(_RECEIVE_BYTES)
        if not more:
            raise ConnectionResetError("closed before the response was complete")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


class Session:
    """One client; never waits."""

    def __init__(self, connection: socket.socket, number: int, rest: bytes) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.number = number
        self.is_closed = False
        self._frame = block_frame()
        self._blocks = 0
        self._rest = rest
        self._unsent = b""

    @property
    def wants_to_write(self) -> bool:
        """Whether the kernel did not take everything."""
        return bool(self._unsent)

    def send_block(self, flags: int) -> None:
        """Stamps the next block and sends it."""
        STAMP.pack_into(self._frame, FRAME_HEAD_BYTES, self.number | flags, self._blocks, time.monotonic_ns())
        self._blocks += 1
        self.write(self._frame)

    def write(self, data: bytes | bytearray) -> None:
        """Sends what the kernel takes and keeps the rest."""
        pending = self._unsent + data if self._unsent else data
        try:
            sent = self.connection.send(pending)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Broken(f"session {self.number} was lost: {error}") from error
        self._unsent = bytes(pending[sent:])

    def receive(self) -> list[Frame]:
        """The frames that are complete by now."""
        try:
            data = self.connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise Broken(f"session {self.number} was lost: {error}") from error
        if not data:
            raise Broken(f"session {self.number} was lost: the proxy closed the connection")
        frames, self._rest = take_frames(self._rest + data)
        return frames


class Load:
    """All sessions, their pacing, and what comes back."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._epoll = select.epoll()
        self._sessions: list[Session] = []
        self._by_descriptor: dict[int, Session] = {}
        self.sent = 0
        self.replies = 0
        self.late = 0
        self.late_max_ns = 0
        self.delays_ns = array("Q")

    def open(self) -> None:
        """Opens every session, one after the other."""
        for number in range(self._spec.sessions):
            session = Session(*_numbered(self._spec, number))
            self._sessions.append(session)
            self._by_descriptor[session.connection.fileno()] = session
            self._epoll.register(session.connection, select.EPOLLIN)

    def forget(self) -> None:
        """Begins counting anew."""
        self.sent = self.replies = self.late = self.late_max_ns = 0
        self.delays_ns = array("Q")

    def send(self, seconds: float, flags: int) -> None:
        """Sends so many seconds of audio in every session, at its pace."""
        blocks = round(seconds * BLOCKS_PER_S / BLOCKS_PER_REPLY) * BLOCKS_PER_REPLY
        step_ns = _PERIOD_NS / len(self._sessions)
        start_ns = time.monotonic_ns()
        for number in range(blocks * len(self._sessions)):
            self._await(start_ns + int(number * step_ns))
            session = self._sessions[number % len(self._sessions)]
            session.send_block(flags)
            self.sent += 1
            if session.wants_to_write:
                self._observer(session)

    def drain(self) -> float:
        """Receives until every reply is back or the time is up; returns how many seconds it took."""
        start_s = time.monotonic()
        due = self.sent // BLOCKS_PER_REPLY
        while self.replies < due and time.monotonic() < start_s + self._spec.drain_s:
            self._receive(0.1)
        return time.monotonic() - start_s

    def order(self) -> str:
        """The next line of standard input, empty at its end; serves the sessions while waiting for it."""
        while True:
            ready, _, _ = select.select([sys.stdin, self._epoll], [], [])
            if sys.stdin in ready:
                return sys.stdin.readline()
            self._receive(0)

    def close(self) -> None:
        """Says goodbye in every session and waits for the answers, within bounds."""
        deadline_s = time.monotonic() + _CLOSE_S
        for session in self._sessions:
            with contextlib.suppress(Broken):  # heard of when it is received from
                session.write(frame(CLOSE, (1000).to_bytes(2), masked=True))
        while not all(one.is_closed for one in self._sessions) and time.monotonic() < deadline_s:
            self._receive(0.1, is_closing=True)

    def _await(self, due_ns: int) -> None:
        while (ahead_ns := due_ns - time.monotonic_ns()) > 0:
            self._receive(ahead_ns / 1e9)
        self._receive(0)
        late_ns = time.monotonic_ns() - due_ns
        self.late += late_ns > _LATE_NS
        self.late_max_ns = max(self.late_max_ns, late_ns)

    def _receive(self, timeout_s: float, *, is_closing: bool = False) -> None:
        # epoll counts in milliseconds, select in microseconds; an epoll set can itself be selected.
        if timeout_s > 0 and not select.select([self._epoll], [], [], timeout_s)[0]:
            return
        for descriptor, _ in self._epoll.poll(0):
            session = self._by_descriptor[descriptor]
            try:
                self._serve(session)
            except Broken:
                if not is_closing:
                    raise
                session.is_closed = True
                self._epoll.unregister(descriptor)

    def _serve(self, session: Session) -> None:
        if session.wants_to_write:
            session.write(b"")
            self._observer(session)
        for one in session.receive():
            self._message(session, one)

    def _message(self, session: Session, one: Frame) -> None:
        if one.opcode == TEXT:
            self._text(session, one.payload)
        elif one.opcode == PING:
            session.write(frame(PONG, one.payload, masked=True))
        elif one.opcode == CLOSE:
            code, reason = int.from_bytes(one.payload[:2]), one.payload[2:].decode(errors="replace")
            raise Broken(f"session {session.number} was closed by the proxy: {code} {reason}")

    def _text(self, session: Session, payload: bytes) -> None:
        sent_ns = reply_sent_ns(payload)
        if sent_ns is not None:
            self.replies += 1
            self.delays_ns.append(max(0, time.monotonic_ns() - sent_ns))
        elif b'"error"' in payload:
            raise Broken(f"session {session.number}: {payload[:200].decode(errors='replace')}")

    def _watch(self, session: Session) -> None:
        mask = select.EPOLLIN | (select.EPOLLOUT if session.wants_to_write else 0)
        self._epoll.modify(session.connection, mask)


def _numbered(spec: LoadSpec, number: int) -> tuple[socket.socket, int, bytes]:
    connection, rest = open_session(spec.port, spec.target, number)
    return connection, number, rest


def _warm(load: Load, spec: LoadSpec) -> Warm:
    try:
        load.open()
        load.send(spec.warm_s, 0)
        load.drain()
    except Broken as error:
        return Warm(failure=str(error))
    due = load.sent // BLOCKS_PER_REPLY
    if load.replies < due:
        return Warm(failure=f"only {load.replies} of {due} replies came while warming up")
    return Warm()


def _slice(load: Load, seconds: float, pids: tuple[int, ...]) -> LoadReport:
    load.forget()
    start_ns, cpu_start_ns = time.monotonic_ns(), cpu_ns(pids)
    load.send(seconds, MEASURED)
    drained_s = load.drain()
    cpu_end_ns, end_ns = cpu_ns(pids), time.monotonic_ns()
    return LoadReport(
        sent=load.sent,
        replies=load.replies,
        cpu_ns=cpu_end_ns - cpu_start_ns,
        wall_s=(end_ns - start_ns) / 1e9,
        drained_s=drained_s,
        late=load.late,
        late_max_ms=load.late_max_ns / 1e6,
        delays=delays(load.delays_ns),
    )


def main() -> None:
    """Entry point of the process."""
    spec = msgspec.json.decode(sys.argv[1], type=LoadSpec)
    load = Load(spec)
    warm = _warm(load, spec)
    say(warm)
    if warm.failure:
        return
    try:
        while order := load.order():
            say(_slice(load, float(order), spec.pids))
    except (Broken, ProcessGone) as error:
        say(LoadReport(failure=str(error), sent=load.sent, replies=load.replies))
    else:
        load.close()


if __name__ == "__main__":
    main()
