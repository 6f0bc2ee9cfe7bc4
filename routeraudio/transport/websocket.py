"""A WebSocket connection: one protocol object of `websockets`, one non-blocking socket, one poller.

The protocol object does everything RFC 6455 asks for (frames, masks, limits, pings, the closing handshake) without
I/O. This driver moves bytes: the poller says that the socket is readable, one `recv` feeds the protocol, its frames
become messages for the listener, and what the protocol wants written leaves with one non-blocking `send`. What the
kernel does not take is kept, and `is_congested` tells the session to wait.

Life of a connection:

    start(listener) → listener.message(…)* → listener.closed(…) ─┐
                             close(code) ────────────────────────┴→ aclose() → socket released

`closed` is said once, as soon as the peer's close frame, the end of the stream or a violation is seen. The socket
is released by `aclose()`, which waits for the peer's part of the closing handshake no longer than the close
deadline and always releases, also when it is cancelled and when the peer stopped reading.
"""

import socket
import ssl
from collections.abc import Callable
from typing import Final

import structlog
import trio
from websockets.exceptions import InvalidState
from websockets.frames import CLOSE, CONT, PING, PONG, TEXT, CloseCode, Frame
from websockets.protocol import OPEN, Protocol, Side

from routeraudio.model.exceptions import bug_fields
from routeraudio.model.message import Message
from routeraudio.policy.rates import Bucket
from routeraudio.session.streams import Closed, Listener
from routeraudio.transport.bytestream import READ_BYTES, close_socket, half_close
from routeraudio.transport.frames import (
    HEAD_BYTES,
    LENGTH_16,
    MASK_BIT,
    MASK_BYTES,
    WHOLE,
    WHOLE_BINARY,
    WHOLE_TEXT,
    unmasked,
    whole,
)
from routeraudio.transport.poller import GONE, READ, WRITE, Poller
from routeraudio.transport.read_ahead import ReadAhead

UNSENT_PAUSE_BYTES: Final = 262_144
"""Above this much unsent output beyond what the session has sent nothing more is read from the peer, so that what
reading makes us write (pongs, refusals) is bounded too. The session's own is bounded by the session: a peer that reads
nothing until we have read what it says, as an echo of long messages does, would otherwise never go on."""

FRAMES_PER_PASS: Final = 256
"""Of one peer. What else it has sent waits for the next pass, so that others, and Trio, have their turn: 64 KiB can
hold 9,000 messages of one byte. The usual read holds one."""

ODD_FRAMES: Final = 16
"""A ping, a pong or a fragment counts as so many of them: the protocol object looks at it, and answers, in 30 µs."""

TINY_BYTES: Final = 40
"""5 ms of 8 kHz mu-law. Messages below count for the flood: nobody sends audio in pieces so small."""

log = structlog.get_logger(__name__)

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError)


class WebSocket:
    """A `MessageStream` over a socket whose opening handshake is done.

    Args:
        sock: non-blocking, plain or TLS; owned from here on.
        protocol: in state OPEN, at the beginning of a frame, with a bound on messages.
        ping_s, pong_s: silence after which we ping, and after which a pinged peer is given up.
        close_s: how long the closing handshake may take.
        flood: bound on messages that carry no audio; None: no bound.
        text_bytes_max: bound on text messages below the protocol's own bound on messages; None: no other bound.
        counts_texts: whether text messages count for the flood; not where audio travels in them, which back-pressure
            slows. Tiny messages always do.
        ahead_bytes_max: read from the peer while nobody takes it (`read_ahead`); 0: nothing is.
        unread: what came behind the opening handshake.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: Protocol,
        poller: Poller,
        *,
        ping_s: float,
        pong_s: float,
        close_s: float,
        flood: Bucket | None = None,
        text_bytes_max: int | None = None,
        counts_texts: bool = True,
        ahead_bytes_max: int = 0,
        unread: bytes = b"",
    ) -> None:
        self._socket: socket.socket | None = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._protocol = protocol
        self._poller = poller
        self._listener: Listener | None = None
        self._close_s = close_s
        self._flood = flood
        self._text_bytes_max = text_bytes_max
        self._counts_texts = counts_texts
        self._ahead_bytes_max = ahead_bytes_max
        self._ahead: ReadAhead | None = None
        """There while something read ahead has not been taken."""
        self._rest_is_work = False
        """Whole frames wait in `_rest`."""
        self._is_behind = False
        """The rest of what was read is for the next pass."""
        self._has_ended_ahead = False
        """The end of the stream was read ahead."""

        self._watched = 0
        self._paused = False
        self._unsent = bytearray()
        self._said_bytes = 0
        """Sent by the session since nothing was kept back."""
        self._flush_wanted = False
        self._rest = unread
        self._gathered = bytearray()
        self._is_text_gathered = False
        self._is_over = False
        self._is_masked = protocol.side is Side.SERVER
        self._bytes_max = protocol.max_message_size or 0

        self._drained: trio.Event | None = None
        self._gone = trio.Event()

        self._ping_s = ping_s
        self._pong_s = pong_s
        self._heard = True
        self._quiet_since_s = 0.0
        self._pinged = False

    def narrow(self, bytes_max: int) -> None:
        """Messages have at most so many bytes, until `widen`: of somebody who has shown no key yet."""
        self._bytes_max = bytes_max

    def widen(self) -> None:
        """The protocol's own bound holds."""
        self._bytes_max = self._protocol.max_message_size or 0

    # What a session calls.

    def start(self, listener: Listener) -> None:
        """See `MessageStream.start`."""
        self._listener = listener
        self._poller.add(self)
        self._watch()
        if self._rest:
            self._guard(lambda: self._take(b""))

    def resume(self) -> None:
        """See `MessageStream.resume`."""
        if self._paused:
            self._paused = False
            self._heard = True
            self._watch()
            if self._ahead is not None or self._is_behind:
                self._poller.again(self._go_on)

    @property
    def is_paused(self) -> bool:
        """See `MessageStream.is_paused`."""
        return self._paused

    def send(self, message: Message) -> None:
        """See `MessageStream.send`."""
        protocol = self._protocol
        if protocol.state is not OPEN:
            return
        if isinstance(message, str):
            frame = whole(WHOLE_TEXT, message.encode(), is_masked=not self._is_masked)
        else:
            frame = whole(WHOLE_BINARY, message, is_masked=not self._is_masked)
        # In its place among the frames that the protocol object itself wants written.
        protocol.writes.append(frame)
        self._said_bytes += len(frame)
        self._want_flush()

    @property
    def is_congested(self) -> bool:
        """See `MessageStream.is_congested`."""
        return bool(self._unsent)

    async def flushed(self) -> None:
        """See `MessageStream.flushed`."""
        while self._unsent and not self._gone.is_set():
            if self._drained is None:
                self._drained = trio.Event()
            await self._drained.wait()
        await trio.lowlevel.checkpoint_if_cancelled()

    def close(self, code: int, reason: str = "") -> None:
        """See `MessageStream.close`."""
        self._listener = None
        if self._protocol.state is OPEN:
            if code == CloseCode.NO_STATUS_RCVD:
                self._protocol.send_close()
            else:
                self._protocol.send_close(code, _fitting(reason))
            self._want_flush()
        self.resume()

    @property
    def has_said_goodbye(self) -> bool:
        """Whether the peer has sent a close frame."""
        return self._protocol.close_rcvd is not None

    async def aclose(self) -> None:
        """See `MessageStream.aclose`."""
        self.close(CloseCode.NORMAL_CLOSURE)
        try:
            with trio.move_on_after(self._close_s):
                await self._gone.wait()
        finally:
            self.release()

    # What the poller calls.

    def flush(self) -> None:
        """See `Member.flush`."""
        self._flush_wanted = False
        if self._socket is None:
            return
        # SEND_EOF, the empty string, vanishes here; `eof_sent` remembers it.
        data = b"".join(self._protocol.data_to_send())
        if self._unsent:
            self._unsent += data
            self._watch()
            return
        sent = self._send(data) if data else 0
        if sent < len(data):
            self._unsent += data[sent:]
            self._watch()
            return
        self._said_bytes = 0
        if self._protocol.eof_sent:
            self._level()

    def heartbeat(self, now_s: float) -> None:
        """See `Member.heartbeat`. Whatever a peer says proves that it lives; one we do not read cannot prove it."""
        if self._heard or self._paused:
            self._heard = self._pinged = False
            self._quiet_since_s = now_s
        elif self._pinged:
            if now_s - self._quiet_since_s >= self._ping_s + self._pong_s:
                self._end(Closed(None, f"no answer to a ping within {self._pong_s:g} s"))
                self.release()
        elif now_s - self._quiet_since_s >= self._ping_s:
            self._pinged = True
            try:
                self._protocol.send_ping(b"")
            except InvalidState:
                return  # closing: the close deadline is at work
            self._want_flush()

    # Reading.

    def _ready(self, events: int) -> None:
        if events & WRITE and self._socket is not None:
            self._write()
        if events & (READ | GONE) and self._socket is not None and not self._is_behind:
            self._guard(self._read)

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(READ_BYTES)
        except _WOULD_BLOCK:
            return
        except ssl.SSLWantWriteError:
            self._watch(WRITE)
            return
        except OSError:
            self.lose()
            return
        self._heard = True
        if not data and self._ahead is not None:
            self._has_ended_ahead = True
            self._watch()
            return
        if not data:
            self.lose()
            return
        # TLS may hold decrypted bytes that no readiness will ever announce.
        while self._is_tls and self._socket.pending():  # type: ignore[attr-defined]
            data += self._socket.recv(READ_BYTES)
        if self._ahead is not None or (self._paused and self._ahead_bytes_max):
            self._read_on(data)
        else:
            self._take(data)

    def lose(self) -> None:
        """The peer's side is gone, or is not wanted any more: the listener is told, the socket released."""
        self._heard = True
        self._protocol.receive_eof()
        self._end(Closed(None, "the connection was lost without a close frame"))
        self.release()

    def _read_on(self, data: bytes) -> None:
        """Keep what nobody takes yet."""
        if self._ahead is None:
            self._ahead = ReadAhead(
                self._poller.ahead,
                self._ahead_bytes_max,
                self._bytes_max,
                is_masked=self._is_masked,
                on_control=self._hand_over,
            )
            rest, self._rest = self._rest, b""
            self._ahead.feed(rest)
        self._ahead.feed(data)
        self._watch()

    def _go_on(self) -> None:
        """The next portion of what was read before."""
        self._is_behind = False
        if self._paused or self._socket is None:
            self._is_behind = bool(self._rest) and self._ahead is None
            return
        self._guard(self._take_portion)

    def _take_portion(self) -> None:
        data = b""
        if self._ahead is not None and not self._rest_is_work:
            found = self._ahead.next()
            if found is None:
                self._ahead = None
                if self._has_ended_ahead:
                    self.lose()
                else:
                    self._watch()
                return
            data = found
        self._rest_is_work = False
        self._take(data)
        if not self._is_behind and self._ahead is not None and not self._paused:
            self._poller.again(self._go_on)

    def _take(self, data: bytes) -> None:
        """Cut ``data`` into frames: whole data messages to the listener, everything else to the protocol object.

        The protocol object gets whole frames, so that it is at a frame's beginning whenever this is. A frame that
        may be wrong (mask, size) is its to judge, with all that follows.
        """
        if self._is_over:
            self._protocol.receive_data(data)
            self._take_events()
            return
        if self._rest:
            data = self._rest + data
            self._rest = b""
        begin, end = 0, len(data)
        left = FRAMES_PER_PASS
        while end - begin >= HEAD_BYTES:
            if left <= 0:
                self._is_behind = self._rest_is_work = True
                self._poller.again(self._go_on)
                break
            left -= 1
            first, second = data[begin], data[begin + 1]
            length = second & 0x7F
            start = begin + HEAD_BYTES
            if length >= LENGTH_16:
                width = 2 if length == LENGTH_16 else 8
                length = int.from_bytes(data[start : start + width])
                start += width
                if start > end:
                    break  # half a length is not the length
            if self._is_masked:
                start += MASK_BYTES
            stop = start + length
            if length > self._bytes_max or bool(second & MASK_BIT) is not self._is_masked:
                self._take_wrong(data[begin:], length)
                return
            if stop > end:
                break
            if first in WHOLE and self._protocol.current_size is None:
                payload = unmasked(data, start, stop) if self._is_masked else data[start:stop]
                self._deliver(first == WHOLE_TEXT, payload)
            else:
                self._hand_over(data[begin:stop])
                left -= ODD_FRAMES - 1
            if self._has_ended():
                self._hand_over(data[stop:])
                return
            begin = stop
        self._rest = data[begin:]

    def _take_wrong(self, data: bytes, length: int) -> None:
        """A frame that is not masked as it should be, or too long; the protocol object judges the rest."""
        if self._bytes_max < length <= (self._protocol.max_message_size or 0):
            self._violate(CloseCode.MESSAGE_TOO_BIG, f"this message has at most {self._bytes_max} bytes")
        else:
            self._hand_over(data)

    def _has_ended(self) -> bool:
        """Whether what was just taken ended the connection."""
        return self._is_over

    def _hand_over(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
            self._take_events()

    def _take_events(self) -> None:
        for frame in self._protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode is CLOSE:
                self._end(self._close_received())
            else:
                self._take_odd(frame)
        if self._protocol.parser_exc is not None:
            self._end(self._violation())
        if self._protocol.writes:
            self._want_flush()

    def _take_odd(self, frame: Frame) -> None:
        """Fragments, pings and pongs."""
        self._count()
        if frame.opcode is PING or frame.opcode is PONG:
            return
        if frame.opcode is not CONT:
            self._is_text_gathered = frame.opcode is TEXT
        # Only the bytes are kept: they are bounded, the number of empty fragments is not.
        self._gathered += frame.data
        if len(self._gathered) > self._bytes_max:
            self._violate(CloseCode.MESSAGE_TOO_BIG, f"this message has at most {self._bytes_max} bytes")
            return
        if frame.fin:
            data = bytes(self._gathered)
            self._gathered.clear()
            self._deliver(self._is_text_gathered, data)

    def _deliver(self, is_text: bool, data: bytes) -> None:
        if (is_text and self._counts_texts) or len(data) < TINY_BYTES:
            self._count()
        if self._listener is None:
            return
        message: Message = data
        if is_text:
            if self._text_bytes_max is not None and len(data) > self._text_bytes_max:
                self._violate(
                    CloseCode.MESSAGE_TOO_BIG, f"a text message has at most {self._text_bytes_max} bytes"
                )
                return
            try:
                message = data.decode()
            except UnicodeDecodeError:
                self._violate(CloseCode.INVALID_DATA, "a text message must be UTF-8")
                return
        try:
            has_room = self._listener.message(message)
        except Exception as exc:  # noqa: BLE001 - handed to the one error boundary of its session
            self._crash(exc)
            return
        if not has_room and not self._paused:
            self._paused = True
            self._watch()

    def _count(self) -> None:
        if self._flood is not None and not self._flood.take(trio.current_time()):
            self._flood = None
            self._violate(CloseCode.POLICY_VIOLATION, "too many messages without audio")

    # Writing.

    def _want_flush(self) -> None:
        if not self._flush_wanted:
            self._flush_wanted = True
            self._poller.flush_soon(self)

    def _write(self) -> None:
        """Write what was kept back."""
        sent = self._send(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._level()
        self._watch()

    def _send(self, data: bytes | bytearray) -> int:
        """How much of ``data`` the kernel took, or would have had the peer not gone."""
        assert self._socket is not None
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError:
            # The read side reports the end; what the peer said before it went still counts.
            return len(data)

    def _level(self) -> None:
        """Nothing is kept back any more."""
        self._said_bytes = 0
        if self._drained is not None:
            self._drained.set()
            self._drained = None
        if self._protocol.eof_sent and self._socket is not None:
            half_close(self._socket)

    # The end.

    def _close_received(self) -> Closed:
        received = self._protocol.close_rcvd
        assert received is not None
        return Closed(received.code, received.reason)

    def _violate(self, code: CloseCode, reason: str) -> None:
        """The peer broke a rule of ours that the protocol object does not know."""
        if self._protocol.state is OPEN:
            self._protocol.fail(code, reason)
            self._want_flush()
            self._end(self._violation())

    def _violation(self) -> Closed:
        sent = self._protocol.close_sent
        if sent is None:
            return Closed(None, "the connection was lost without a close frame")
        return Closed(sent.code, sent.reason, is_violation=True)

    def _end(self, closed: Closed) -> None:
        """Tell the listener, once."""
        self._is_over = True
        listener, self._listener = self._listener, None
        if listener is not None:
            try:
                listener.closed(closed)
            except Exception as exc:  # noqa: BLE001 - handed to the one error boundary of its session
                listener.crashed(exc)

    def release(self) -> None:
        """Close the socket and forget it. Safe at any time, any number of times."""
        sock, self._socket = self._socket, None
        if sock is None:
            return
        if self._ahead is not None:
            self._ahead.forget()
            self._ahead = None
        self._poller.discard(self)
        self._poller.watch(sock, 0, self._ready)
        self._watched = 0
        self._unsent.clear()
        close_socket(sock)
        self._gone.set()
        if self._drained is not None:
            self._drained.set()

    # Helpers.

    @property
    def _is_deaf(self) -> bool:
        if self._has_ended_ahead or len(self._unsent) - self._said_bytes > UNSENT_PAUSE_BYTES:
            return True
        if self._ahead is not None:
            return not self._ahead.has_room
        return self._paused and not self._ahead_bytes_max

    def _watch(self, also: int = 0) -> None:
        """Bring the poller's idea of what we wait for up to date."""
        if self._socket is None:
            return
        events = also | (0 if self._is_deaf else READ) | (WRITE if self._unsent else 0)
        if events != self._watched:
            self._poller.watch(self._socket, events, self._ready)
            self._watched = events

    def _guard(self, step: Callable[[], None]) -> None:
        """Run a step of the poller's: a bug in it ends this connection, not the poller everybody shares."""
        try:
            step()
        except Exception as exc:  # noqa: BLE001 - handed to the one error boundary of its session
            self._crash(exc)

    def _crash(self, error: Exception) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.crashed(error)
        else:
            log.error("connection_dropped", **bug_fields(error))
            self.release()


def _fitting(reason: str) -> str:
    """``reason`` cut to the 123 bytes a close frame has for it (RFC 6455, 5.5)."""
    return reason.encode()[:123].decode(errors="ignore")
