"""Streams a WAV file (16 kHz, 16 bit, mono), and survives every cut of its line and the death of whoever served it.

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
BYTES_PER_S = 32_000


class Gone(Exception):
    """The session is not there any more."""


class Talk:
    """One talk, over as many connections and sessions as it takes."""

    def __init__(self, router: str, key: str, audio: bytes) -> None:
        self._router, self._key, self._audio = router, key, audio
        self._token, self._read = "", 0
        self._began_s = 0.0
        """Where in the talk the session begins."""
        self._final_s = 0.0
        """Where its last final ends."""

    async def transcripts(self) -> AsyncIterator[dict]:
        """Every final, once, in order."""
        pause_s = 0.1
        while True:
            try:
                async for message in self._connection():
                    pause_s = 0.1
                    yield message
                return
            except (Gone, websockets.InvalidStatus):
                if not self._token:
                    raise  # a first request that is refused
                # Its worker or node has died: a new session with everything that was not final.
                self._token, self._read, self._began_s = "", 0, self._final_s
            except websockets.ConnectionClosedError as closed:
                if closed.rcvd is not None:
                    raise  # a close frame is an answer; a cut has none
            except OSError:
                pass  # no network: it may come back
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)

    async def _connection(self) -> AsyncIterator[dict]:
        back = f"/v1/listen?resume_token={self._token}&after={self._read}"
        address = self._router + (back if self._token else REQUEST)
        async with websockets.connect(address, additional_headers={"x-api-key": self._key}) as line:
            session = json.loads(await line.recv())
            if session["type"] != "session":
                raise Gone(session["error"])
            self._token = session["resume_token"]
            # What was sent and did not arrive is sent again; what arrived is not.
            arrived = int(self._began_s * BYTES_PER_S) // 2 * 2 + session["received_bytes"]
            sending = asyncio.create_task(send(line, self._audio[arrived:]))
            try:
                async for text in line:
                    message = json.loads(text)
                    self._read = message.get("seq", self._read)
                    if message["type"] == "transcript" and not message["is_partial"]:
                        message["start_time"] += self._began_s
                        message["end_time"] += self._began_s
                        self._final_s = message["end_time"]
                        yield message
                    elif message["type"] == "error":
                        raise RuntimeError(message["error"])
            finally:
                sending.cancel()


async def send(line: websockets.ClientConnection, audio: bytes) -> None:
    """As fast as it is spoken."""
    for start in range(0, len(audio), BLOCK_BYTES):
        await line.send(audio[start : start + BLOCK_BYTES])
        await asyncio.sleep(BLOCK_BYTES / BYTES_PER_S)
    await line.send('{"type":"end_of_stream"}')


async def main(router: str, key: str, file: str) -> None:
    with wave.open(file) as sound:
        audio = sound.readframes(sound.getnframes())
    async for message in Talk(router, key, audio).transcripts():
        print(f"{message['start_time']:8.2f}  {message['transcript']}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
