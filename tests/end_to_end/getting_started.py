"""The shape of router.audio's published Getting Started client: plain `websockets` on asyncio, the key as x-api-key,
blocks of 4,000 samples, and every message ignored whose type is not "transcript". It has no end of stream: it sends
what the microphone gives (here a file, then silence) and reads beside it. Stops after the first transcript.
"""

import asyncio
import json
import sys
import wave

import websockets

URL, PATH = sys.argv[1:]


async def send_audio(router: websockets.ClientConnection) -> None:
    with wave.open(PATH) as sound:
        while block := sound.readframes(4000):
            await router.send(block)
    while True:
        await router.send(bytes(8000))
        await asyncio.sleep(0.05)


async def main() -> None:
    async with websockets.connect(URL, additional_headers={"x-api-key": "a-provider-key"}) as router:
        sender = asyncio.create_task(send_audio(router))
        async for text in router:
            message = json.loads(text)
            if message["type"] == "transcript":
                print(message["transcript"])
                break
        sender.cancel()


asyncio.run(main())
