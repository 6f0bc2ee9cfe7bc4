"""Streams a WAV file (16 kHz, 16 bit, mono), and survives every cut of its line.

pip install websockets
python resume.py ws://127.0.0.1:8080 router_… talk.wav
"""

import asyncio
import json
import sys
import wave
from collections.abc import AsyncIterator

import websockets

REQUEST = "/v1/listen?provider=auto&encoding=pcm_s16le&sample_rate=16000&resume=60"
BLOCK_BYTES = 3200
"""A tenth of a second."""


async def transcripts(router: str, key: str, audio: bytes) -> AsyncIterator[dict]:
    """Every final, once, in order."""
    path, read, pause_s = REQUEST, 0, 0.1
    while True:
        try:
            async with websockets.connect(router + path, additional_headers={"x-api-key": key}) as line:
                session = json.loads(await line.recv())
                if session["type"] != "session":
                    raise RuntimeError(session["error"])
                pause_s = 0.1
                # What was sent and did not arrive is sent again; what arrived is not.
                sending = asyncio.create_task(send(line, audio[session["received_bytes"] :]))
                path = f"/v1/listen?resume_token={session['resume_token']}&after="
                try:
                    async for text in line:
                        message = json.loads(text)
                        read = message.get("seq", read)
                        if message["type"] == "transcript" and not message["is_partial"]:
                            yield message
                        elif message["type"] == "error":
                            raise RuntimeError(message["error"])
                finally:
                    sending.cancel()
                return
        except websockets.ConnectionClosedError as closed:
            if closed.rcvd is not None:
                raise  # a close frame is an answer; a cut has none
        except OSError:
            pass  # no network: it may come back
        path = path.partition("&after=")[0] + (f"&after={read}" if "resume_token" in path else "")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, 5.0)


async def send(line: websockets.ClientConnection, audio: bytes) -> None:
    """As fast as it is spoken."""
    for start in range(0, len(audio), BLOCK_BYTES):
        await line.send(audio[start : start + BLOCK_BYTES])
        await asyncio.sleep(BLOCK_BYTES / 32_000)
    await line.send('{"type":"end_of_stream"}')


async def main(router: str, key: str, file: str) -> None:
    with wave.open(file) as sound:
        audio = sound.readframes(sound.getnframes())
    async for message in transcripts(router, key, audio):
        print(f"{message['start_time']:8.2f}  {message['transcript']}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
