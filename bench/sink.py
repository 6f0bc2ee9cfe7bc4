"""The upstream: takes audio, answers like Deepgram, counts and times what arrives.

`python -m bench.sink SPEC` listens on a free port of 127.0.0.1, says so on standard output, and answers each
line on standard input with a report. It ends with its standard input.
"""

import base64
import hashlib
import select
import socket
import ssl
import sys
from array import array
from collections.abc import Callable
from time import monotonic_ns
from typing import Final

import msgspec

from bench.records import Listening, SinkReport, SinkSpec, delays, say
from bench.wire import (
    BINARY,
    BLOCK_BYTES,
    BLOCKS_PER_REPLY,
    CLOSE,
    MEASURED,
    PING,
    PONG,
    STAMP,
    TEXT,
    Frame,
    Reply,
    frame,
    take_frames,
    unmask,
)

_RECEIVE_BYTES: Final = 32_768
_NO_MASK: Final = bytes(4)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_METADATA: Final = (
    b'{"type":"Metadata","transaction_key":"deprecated","request_id":"5e0f3f6e-0c8f-4f52-a6a5-0d9d3d5c7c10",'
    b'"sha256":"","created":"2026-11-20T09:15:02.204Z","duration":0.0,"channels":1}'
)
_NOT_READY: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Tally:
    """What arrived of the measured blocks, over all sessions."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begins counting anew."""
        self.blocks = 0
        self.messages = 0
        self.disordered = 0
        self.replies = 0
        self.delays_ns = array("Q")

    def report(self) -> SinkReport:
        """As it stands."""
        return SinkReport(self.blocks, self.messages, self.disordered, self.replies, delays(self.delays_ns))


class Track:
    """The audio of one connection as a run of bytes, cut back into blocks.

    A proxy may gather blocks into one message, and could cut one in two; blocks are therefore found by
    position, not by message. It may also put in silence while its client pauses between two slices: messages that
    are zero where a stamp should be are passed over.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._received_bytes = 0
        self._expected = 0

    def take(self, payload: bytes, key: bytes | None, now_ns: int) -> int:
        """Counts the blocks that are complete now.

        Returns:
            How many replies they are worth.
        """
        before = self._received_bytes
        first = -before % BLOCK_BYTES
        if payload[first : first + STAMP.size] == _turned(key, first) * (STAMP.size // 4):
            return 0
        self._received_bytes += len(payload)
        is_measured = False
        for at in range(first, len(payload), BLOCK_BYTES):
            is_measured |= self._stamp(payload[at : at + STAMP.size], _turned(key, at), now_ns)
        self._tally.messages += is_measured
        reply_bytes = BLOCK_BYTES * BLOCKS_PER_REPLY
        return self._received_bytes // reply_bytes - before // reply_bytes

    def _stamp(self, masked: bytes, key: bytes, now_ns: int) -> bool:
        if len(masked) < STAMP.size:
            self._tally.disordered += 1  # a stamp cut in two says nothing
            self._expected += 1
            return False
        session, number, sent_ns = STAMP.unpack(unmask(masked, key))
        self._tally.disordered += number != self._expected
        self._expected = number + 1
        if not session & MEASURED:
            return False
        self._tally.blocks += 1
        self._tally.delays_ns.append(max(0, now_ns - sent_ns))
        return True


def _turned(key: bytes | None, at: int) -> bytes:
    """The mask as it lies over the payload from position ``at`` on."""
    return key[at % 4 :] + key[: at % 4] if key else _NO_MASK


class Peer:
    """One connection of the proxy's."""

    def __init__(self, connection: socket.socket, tally: Tally, spec: SinkSpec) -> None:
        self.connection = connection
        self.is_open = True
        self.reads = True
        self._spec = spec
        self._tally = tally
        self._track = Track(tally)
        self._rest = b""
        self._unsent = b""
        self._replies = 0
        self._interim, self._final = Reply(is_final=False), Reply(is_final=True)
        self._step: Callable[[], None] = self._secure if spec.certificate else self._upgrade

    @property
    def wants_to_write(self) -> bool:
        """Whether the kernel did not take everything."""
        return bool(self._unsent)

    def ready(self) -> None:
        """Does what can be done without waiting."""
        try:
            if self._unsent:
                self._send(b"")
            self._step()
        except _NOT_READY:
            pass  # epoll says when
        except OSError:
            self.is_open = False

    def _secure(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        self.connection.do_handshake()
        self._step = self._upgrade
        self._upgrade()

    def _upgrade(self) -> None:
        self._rest += self._receive()
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return
        self._rest = rest
        self._send(_switching(head))
        self._step = self._messages
        self.reads = self._spec.reads

    def _messages(self) -> None:
        frames, self._rest = take_frames(self._rest + self._receive())
        now_ns = monotonic_ns()
        for one in frames:
            self._message(one, now_ns)
        if isinstance(self.connection, ssl.SSLSocket) and self.connection.pending():
            self._messages()

    def _message(self, one: Frame, now_ns: int) -> None:
        if one.opcode in (BINARY, 0):
            self._reply(self._track.take(one.payload, one.key, now_ns))
        elif one.opcode == TEXT and b"CloseStream" in one.unmasked():
            self._send(frame(TEXT, _METADATA) + frame(CLOSE, (1000).to_bytes(2)))
        elif one.opcode == PING:
            self._send(frame(PONG, one.unmasked()))
        elif one.opcode == CLOSE:
            self._send(frame(CLOSE, one.unmasked()[:2]))
            self.is_open = False

    def _reply(self, times: int) -> None:
        for _ in range(times):
            self._replies += 1
            every = self._spec.finals_every
            reply = self._final if every and self._replies % every == 0 else self._interim
            self._tally.replies += 1
            self._send(reply.stamped(monotonic_ns()))

    def _receive(self) -> bytes:
        data = self.connection.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("the proxy has gone")
        return data

    def _send(self, data: bytes) -> None:
        pending = self._unsent + data
        try:
            self._unsent = pending[self.connection.send(pending) :]
        except _NOT_READY:
            self._unsent = pending


def _switching(head: bytes) -> bytes:
    fields = (line.partition(b":") for line in head.split(b"\r\n"))
    key = next((value.strip() for name, _, value in fields if name.lower() == b"sec-websocket-key"), b"")
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


class Sink:
    """One epoll set with the listener, standard input and every peer."""

    def __init__(self, spec: SinkSpec) -> None:
        self._spec = spec
        self._tally = Tally()
        self._peers: dict[int, Peer] = {}
        self._tls = _server_context(spec.certificate) if spec.certificate else None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(sys.stdin, select.EPOLLIN)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Serves until standard input ends."""
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor == sys.stdin.fileno():
                    if not sys.stdin.readline():
                        return
                    say(self._tally.report())
                    self._tally.forget()
                else:
                    self._serve(descriptor)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        connection.setblocking(False)
        self._peers[connection.fileno()] = Peer(connection, self._tally, self._spec)
        self._epoll.register(connection, select.EPOLLIN)

    def _serve(self, descriptor: int) -> None:
        peer = self._peers[descriptor]
        was_writing = peer.wants_to_write
        peer.ready()
        if not peer.is_open:
            del self._peers[descriptor]
            peer.connection.close()
        elif not peer.reads:
            self._epoll.unregister(descriptor)
        elif peer.wants_to_write != was_writing:
            self._epoll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if peer.wants_to_write else 0))


def _server_context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def main() -> None:
    """Entry point of the process."""
    sink = Sink(msgspec.json.decode(sys.argv[1], type=SinkSpec))
    say(Listening(sink.port))
    sink.run()


if __name__ == "__main__":
    main()
