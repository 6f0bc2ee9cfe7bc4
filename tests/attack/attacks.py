"""What attackers do, each in a process of its own: `python -m tests.attack.attacks NAME PORT SECONDS`.

None of them has a router key. Blocking sockets and threads: an attacker needs no manners.
"""

import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.attack.mutations import frame, head, mutated

KEY = "invented-by-nobody"
CONNECTIONS = 8
ADDRESS = "127.0.0.9"
"""The bystander has another one."""

LISTEN = "/v1/listen?provider=deepgram&model=flux-general-en&encoding={encoding}&sample_rate=16000"
"""That model takes raw audio only: containers are read here."""
GATEWAY = "/gateway/deepgram/v1/listen?encoding=linear16&sample_rate=16000"
LATE = "/gateway/soniox/transcribe-websocket"

Peer = socket.socket


@contextmanager
def connected(port: int, data: bytes = b"") -> Iterator[Peer]:
    with socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(ADDRESS, 0)) as peer:
        peer.sendall(data)
        yield peer


def session(port: int, target: str, messages: bytes, *headers: str) -> None:
    """Connect, and send the same over and over."""
    with connected(port, head(target, *headers)) as peer:
        peer.recv(4096)
        while True:
            peer.sendall(messages)


def members(port: int) -> None:
    """A first message without a key in which the member that could hold it is there thousands of times."""
    text = b"{" + b",".join([b'"api_key":1'] * 90_000) + b"}"
    with connected(port, head(LATE)) as peer:
        peer.recv(4096)
        peer.sendall(frame(0x81, text))
        peer.recv(4096)


def mp3_junk(port: int) -> None:
    """Half headers between frames."""
    sound = b"\xff\xe3\x18\xc4" + bytes(68)
    data = frame(0x82, sound * 3 + b"\xff" * 20_000)
    session(port, LISTEN.format(encoding="mp3"), data, f"x-api-key: {KEY}")


def webm_marks(port: int) -> None:
    """A header, then nothing but the beginnings of clusters."""
    from tests.audio import written

    with connected(port, head(LISTEN.format(encoding="webm"), f"x-api-key: {KEY}")) as peer:
        peer.recv(4096)
        peer.sendall(frame(0x82, written.webm_head()))
        while True:
            peer.sendall(frame(0x82, b"\x1f\x43\xb6\x75" * 15_000))


def crumbs(port: int) -> None:
    """Messages of one byte of audio."""
    data = frame(0x82, b"\0") * 9000
    session(port, LISTEN.format(encoding="pcm_s16le"), data, f"x-api-key: {KEY}")


def crumbs_of_text(port: int) -> None:
    """Tiny texts through the gateway."""
    session(port, GATEWAY, frame(0x81, b"{}") * 9000, f"authorization: Token {KEY}")


def pings(port: int) -> None:
    """Each wants an answer."""
    session(port, LISTEN.format(encoding="pcm_s16le"), frame(0x89, b"x") * 9000, f"x-api-key: {KEY}")


def silence(port: int) -> None:
    """Connections that never say a word, as many as there may be."""
    peers = []
    for _ in range(60):
        peers.append(socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(ADDRESS, 0)))
        peers[-1].sendall(b"GET / HT")
    time.sleep(2)
    for peer in peers:
        peer.close()


def queries(port: int) -> None:
    """Eight kilobytes of escaped parameters."""
    with connected(port, head(f"{GATEWAY}{'&%41' * 1900}", f"authorization: Token {KEY}")) as peer:
        peer.recv(4096)


def refused(port: int) -> None:
    """Requests that leave a line in the log, if they may."""
    with connected(port, head("/v1/listen?provider=nobody")) as peer:
        peer.recv(4096)


def invented_keys(port: int) -> None:
    """A dial to the provider each."""
    with connected(
        port, head(LISTEN.format(encoding="pcm_s16le"), f"x-api-key: {os.urandom(8).hex()}")
    ) as peer:
        peer.recv(4096)


def noise(port: int) -> None:
    """Bytes of no protocol."""
    with connected(port, os.urandom(3000)) as peer:
        peer.recv(4096)


def ogg_junk(port: int) -> None:
    """Pages with wrong checksums, behind a good head."""
    from tests.audio import written

    good, *others = written.ogg_pages([b"\xfc\xff\xfe"] * 50)
    bad = b"".join(page[:22] + b"\0\0\0\0" + page[26:] for page in others) * 40
    session(
        port, LISTEN.format(encoding="ogg_opus"), frame(0x82, good) + frame(0x82, bad), f"x-api-key: {KEY}"
    )


def deep_texts(port: int) -> None:
    """JSON in JSON in JSON, as far as a message goes."""
    data = frame(0x81, b'{"type":' + b"[" * 60_000) * 20
    session(port, LISTEN.format(encoding="pcm_s16le"), data, f"x-api-key: {KEY}")


def headers(port: int) -> None:
    """As many as there may be, then one at a time."""
    lines = b"".join(b"x-%d: %s\r\n" % (number, b"a" * 70) for number in range(90))
    with connected(port, b"GET /v1/listen HTTP/1.1\r\n" + lines) as peer:
        for _ in range(40):
            peer.sendall(b"y: z\r\n")
            time.sleep(0.01)


def comebacks(port: int) -> None:
    """Clients that come back to sessions that never were."""
    token = f"resume~~1~{os.urandom(18).hex()}"
    with connected(port, head(f"/v1/listen?resume_token={token}&after=0", f"x-api-key: {KEY}")) as peer:
        peer.recv(4096)


def mutations(port: int) -> None:
    """Traffic of every kind with bytes changed: one connection each."""
    draw = random.Random(os.urandom(8))
    with connected(port) as peer:
        peer.settimeout(0.2)
        for piece in mutated(draw):
            peer.sendall(piece)
            time.sleep(draw.choice((0, 0, 0.01)))
        try:
            while peer.recv(65_536):
                pass
        except TimeoutError:
            pass


ATTACKS: dict[str, Callable[[int], None]] = {
    one.__name__: one
    for one in (
        members,
        mp3_junk,
        webm_marks,
        crumbs,
        crumbs_of_text,
        pings,
        silence,
        queries,
        refused,
        invented_keys,
        noise,
        ogg_junk,
        deep_texts,
        headers,
        comebacks,
        mutations,
    )
}


def attack(name: str, port: int, seconds: float) -> None:
    """Several at once, again and again, until the time is up."""
    until = time.monotonic() + seconds

    def again() -> None:
        while time.monotonic() < until:
            try:
                ATTACKS[name](port)
            except OSError:
                time.sleep(0.01)

    threads = [threading.Thread(target=again, daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)


if __name__ == "__main__":
    attack(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    os._exit(0)  # whoever still sends need not be waited for
