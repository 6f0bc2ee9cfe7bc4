"""Servers of sound on loopback: HTTP, RTMP (nginx), RTSP (a small one of our own), and files for them."""

import os
import shutil
import socket
import struct
import subprocess
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio

from .world import CLIP, run

CHUNK_S: Final = 0.1

ALIVE: Final = "127.0.0.1"
"""What tests allow."""
PRIVATE: Final = "127.0.0.2"
"""What they do not: loopback, too, so that a connection to it would be seen."""


class Page(msgspec.Struct):
    """What a path answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = {}
    live_s: float | None = None
    """None: at once and with a length. Else: slowly, over so long, without one; then the connection closes."""
    breaks_at: int | None = None
    """The connection is closed after so many bytes of the body, once."""


class Web:
    """An HTTP server. Knows ranges."""

    def __init__(self, pages: Mapping[str, Page], host: str = ALIVE) -> None:
        self.pages = dict(pages)
        self.asked: list[str] = []
        self.heads: list[str] = []
        self._host = host
        self.port = 0
        self.scope = trio.CancelScope()

    def url(self, path: str) -> str:
        return f"http://{self._host}:{self.port}{path}"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(self.port, host=self._host)
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        with self.scope:
            await trio.serve_listeners(self._answer, listeners)
        for listener in listeners:
            await trio.aclose_forcefully(listener)

    async def _answer(self, stream: trio.SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = await stream.receive_some()
                if not piece:
                    return
                head += piece
            text = head.decode()
            self.heads.append(text)
            path = text.split()[1]
            self.asked.append(path)
            try:
                await self._send(stream, self.pages.get(path, Page(status=404)), _range(text))
            except trio.BrokenResourceError:
                pass  # the client has heard enough

    async def _send(
        self, stream: trio.SocketStream, page: Page, first_end: tuple[int, int | None] | None
    ) -> None:
        body, status, headers = page.body, page.status, dict(page.headers)
        if first_end is not None and status == 200:
            first, end = first_end
            status, body = 206, body[first:end]
            headers["content-range"] = f"bytes {first}-{first + len(body) - 1}/{len(page.body)}"
        if page.live_s is None:
            headers = {"content-length": str(len(body)), "accept-ranges": "bytes"} | headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await stream.send_all(f"HTTP/1.1 {status} OK\r\nconnection: close\r\n{lines}\r\n".encode())
        if page.breaks_at is not None:
            body, page.breaks_at = body[: page.breaks_at], None
        if page.live_s is None:
            await stream.send_all(body)
            return
        step = max(1, int(len(body) * CHUNK_S / page.live_s))
        for start in range(0, len(body), step):
            await stream.send_all(body[start : start + step])
            await trio.sleep(CHUNK_S)


def _range(head: str) -> tuple[int, int | None] | None:
    for line in head.splitlines():
        if line.lower().startswith("range: bytes="):
            first, _, last = line.partition("=")[2].partition("-")
            return int(first), int(last) + 1 if last else None
    return None


@asynccontextmanager
async def serving(*webs: Web) -> AsyncIterator[None]:
    """Servers while the block runs."""
    async with trio.open_nursery() as nursery:
        for web in webs:
            await nursery.start(web.serve)
        yield
        nursery.cancel_scope.cancel()


def pcm() -> bytes:
    """The clip's samples."""
    with wave.open(str(CLIP)) as sound:
        return sound.readframes(sound.getnframes())


def wav() -> bytes:
    """The clip."""
    return CLIP.read_bytes()


def live() -> Page:
    """Half a minute of sound that never stands still, like a radio station that is ahead of its time."""
    return Page(wav() + pcm() * 10, live_s=15.0)


async def encoded(folder: Path, name: str, *options: str) -> bytes:
    """The clip as FFmpeg encodes it."""
    await run("ffmpeg", "-v", "error", "-y", "-i", CLIP, *options, folder / name)
    return (folder / name).read_bytes()


async def playlist(folder: Path, *options: str) -> dict[str, Page]:
    """The clip as an HLS playlist of one-second segments, `/live.m3u8`."""
    hls = ("-c:a", "aac", "-f", "hls", "-hls_time", "1", "-hls_list_size", "0")
    await run("ffmpeg", "-v", "error", "-y", "-i", CLIP, *hls, *options, folder / "live.m3u8")
    return _pages(folder)


def _pages(folder: Path) -> dict[str, Page]:
    return {f"/{file.name}": Page(file.read_bytes()) for file in folder.iterdir()}


# RTMP.

_NGINX: Final = """
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; master_process off; pid nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}
"""


@asynccontextmanager
async def rtmp(folder: Path) -> AsyncIterator[tuple[str, trio.Process]]:
    """An RTMP server: where to publish and play, and its process."""
    port = _free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(port=port))
    # As root nginx wants to become somebody who may not enter the test's folder.
    identity = "user root;" if os.getuid() == 0 else ""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx is not None
    command = [nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", "-g", identity]
    async with _program(command) as process:
        await _until_listening(port)
        yield f"rtmp://127.0.0.1:{port}/live/press", process


@asynccontextmanager
async def published(url: str) -> AsyncIterator[trio.Process]:
    """FFmpeg publishing the clip over and over, in real time."""
    source = ["-re", "-stream_loop", "-1", "-i", str(CLIP)]
    target = ["-ar", "44100", "-c:a", "aac", "-f", "flv", url]
    async with _program(["ffmpeg", "-v", "error", *source, *target]) as process:
        yield process


@asynccontextmanager
async def _program(command: list[str]) -> AsyncIterator[trio.Process]:
    """A program, killed on leaving."""
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def _until_listening(port: int) -> None:
    with trio.fail_after(30):
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(0.02)
            else:
                await stream.aclose()
                return


# RTSP: what RFC 2326 asks of a server of one track of mu-law, interleaved.

_SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=clip\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=audio 0 RTP/AVP 0\r\na=control:track1\r\n"
)
_PACKET_SAMPLES: Final = 160


class Rtsp:
    """An RTSP server. Plays 8 kHz mu-law in real time, then closes.

    Args:
        moved_to: answers every DESCRIBE with a redirect there.
    """

    def __init__(self, mulaw: bytes, moved_to: str | None = None) -> None:
        self.port = 0
        self.methods: list[str] = []
        self._mulaw = mulaw
        self._moved_to = moved_to

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/clip"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._talk, listeners)

    async def _talk(self, stream: trio.SocketStream) -> None:
        async with stream:
            held = b""
            try:
                while data := await stream.receive_some():
                    held += data
                    while b"\r\n\r\n" in held:
                        head, _, held = held.partition(b"\r\n\r\n")
                        await self._answer(stream, head.decode())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the client has heard enough, or all

    async def _answer(self, stream: trio.SocketStream, head: str) -> None:
        method = head.split()[0]
        self.methods.append(method)
        sequence = next(line for line in head.splitlines() if line.lower().startswith("cseq"))
        lines, body = [sequence, "Session: 1"], ""
        status = "200 OK"
        if method == "OPTIONS":
            lines.append("Public: DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE" and self._moved_to is not None:
            status = "302 Moved"
            lines.append(f"Location: {self._moved_to}")
        elif method == "DESCRIBE":
            body = _SDP
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        await stream.send_all(("\r\n".join([f"RTSP/1.0 {status}", *lines]) + "\r\n\r\n" + body).encode())
        if method == "PLAY":
            await self._play(stream)

    async def _play(self, stream: trio.SocketStream) -> None:
        for number, start in enumerate(range(0, len(self._mulaw), _PACKET_SAMPLES)):
            samples = self._mulaw[start : start + _PACKET_SAMPLES]
            packet = struct.pack("!BBHII", 0x80, 0, number, start, 7) + samples
            await stream.send_all(b"$\0" + struct.pack("!H", len(packet)) + packet)
            await trio.sleep(0.02)
        await stream.aclose()


class Names(trio.abc.HostnameResolver):
    """A name server's answers: each look-up of a name takes the next of its lists, the last one for ever."""

    def __init__(self, answers: Mapping[str, list[list[str]]]) -> None:
        self.lookups: list[str] = []
        self._answers = {name: list(lists) for name, lists in answers.items()}

    async def getaddrinfo(self, host: object, port: object, *_: object, **__: object) -> list[object]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.lookups.append(name)
        lists = self._answers[name]
        addresses = lists.pop(0) if len(lists) > 1 else lists[0]
        return [_info(address, port) for address in addresses]

    async def getnameinfo(self, *_: object) -> object:
        raise NotImplementedError


def _info(address: str, port: object) -> object:
    family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
    place = (address, port, 0, 0) if ":" in address else (address, port)
    return (family, trio.socket.SOCK_STREAM, 6, "", place)
