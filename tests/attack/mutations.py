"""Conversations of every kind, with bytes changed, taken out, put in, doubled and moved."""

import json
import random
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from tests.audio import written
from tests.audio.made import opus_packets

CHANGES_MAX: Final = 8

KEY = "x-api-key: invented-by-nobody"


def head(target: str, *headers: str, method: str = "GET") -> bytes:
    """An upgrade request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", *headers, "", ""]
    return "\r\n".join(lines).encode()


def frame(first: int, payload: bytes) -> bytes:
    """One masked frame; the mask is nothing."""
    length = len(payload)
    if length < 126:
        size = bytes((0x80 | length,))
    elif length < 65_536:
        size = b"\xfe" + struct.pack("!H", length)
    else:
        size = b"\xff" + struct.pack("!Q", length)
    return bytes((first,)) + size + bytes(4) + payload


def listen(encoding: str, *, model: str = "flux-general-en") -> bytes:
    """A model that takes raw audio only: containers are read here."""
    return head(f"/v1/listen?provider=deepgram&model={model}&encoding={encoding}&sample_rate=16000", KEY)


def controls(*messages: object) -> bytes:
    return b"".join(frame(0x81, json.dumps(message).encode()) for message in messages)


@cache
def conversations() -> Sequence[Sequence[bytes]]:
    """What clients say, in the pieces in which they say it."""
    packets = opus_packets(2.0)
    end = controls({"type": "end_of_stream"})
    pcm = frame(0x82, bytes(range(256)) * 25)
    sound = b"\xff\xe3\x18\xc4" + bytes(68)
    deep = frame(0x81, b'{"type":' + b"[" * 20_000)
    body = b'{"name":"x","budget":"1/day","providers":["deepgram"]}'
    rest = f"POST /v1/keys HTTP/1.1\r\nHost: x\r\n{KEY}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    soniox = {"api_key": "k", "model": "stt-rt-v5", "audio_format": "pcm_s16le", "sample_rate": 16000}
    update = {"type": "session.update", "session": {"type": "transcription", "audio": {"input": {}}}}
    return (
        (listen("pcm_s16le"), pcm, pcm, controls({"type": "keepalive"}, {"type": "finalize"}), end),
        (listen("pcm_mulaw"), pcm, pcm, deep, end),
        (listen("ogg_opus"), *(frame(0x82, page) for page in written.ogg_pages(packets)), end),
        (listen("webm"), frame(0x82, written.webm(packets)), end),
        (listen("mp3"), frame(0x82, sound * 40), end),
        (listen("pcm_s16le&resume=30&acks=true"), pcm, pcm),
        (
            head("/as/deepgram/v1/listen?encoding=linear16&sample_rate=16000", "authorization: Token k"),
            pcm,
            end,
        ),
        (head("/as/assemblyai/deepgram/v3/ws?sample_rate=16000", "authorization: k"), pcm, end),
        (head("/v1/realtime?intent=transcription", "authorization: Bearer k"), controls(update), end),
        (
            head("/gateway/deepgram/v1/listen?encoding=linear16&sample_rate=16000", "authorization: Token k"),
            pcm,
        ),
        (head("/gateway/soniox/transcribe-websocket"), controls(soniox), pcm),
        (head("/stt/v3/stream", "x-api-key-id: k", "lang_code: en-IN"), pcm),
        (rest, body),
        (b"GET /v1/providers?since=1 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506),),
        (b"PROXY TCP4 198.51.100.1 198.51.100.2 56324 443\r\n" + listen("pcm_s16le"), pcm),
    )


def _changed(data: bytes, draw: random.Random) -> bytes:
    at, length = draw.randrange(len(data) + 1), draw.choice((1, 2, 4, 64, 1000))
    before, piece, after = data[:at], data[at : at + length], data[at + length :]
    changes: Sequence[Callable[[], bytes]] = (
        lambda: before + draw.randbytes(len(piece)) + after,
        lambda: before + after,
        lambda: before + piece + piece + after,
        lambda: before + draw.randbytes(length) + piece + after,
        lambda: before + b"\xff" * len(piece) + after,
        lambda: before + bytes(len(piece)) + after,
        lambda: after + before,
    )
    return draw.choice(changes)()


def mutated(draw: random.Random) -> list[bytes]:
    """One of them, changed in a few places; some pieces said twice, left out, or in another order."""
    pieces = list(draw.choice(conversations()))
    # Half of the time the head is left as it is: behind a broken one nothing is read.
    first = draw.randrange(2) if len(pieces) > 1 else 0
    for _ in range(draw.randrange(1, CHANGES_MAX)):
        at = draw.randrange(first, len(pieces)) if first < len(pieces) else 0
        match draw.randrange(8):
            case 0:
                pieces.insert(at, draw.choice(pieces))
            case 1 if len(pieces) > first + 1:
                del pieces[at]
            case _:
                pieces[at] = _changed(pieces[at], draw)
    return pieces
