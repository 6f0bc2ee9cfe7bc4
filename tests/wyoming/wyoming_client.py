"""The protocol's own package as a process of its own: describes, then one utterance for each plan; prints a report.

{"port": 1, "audio": "file of PCM at 16 kHz", "count": 2}
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

CHUNK_BYTES = 2048


async def main(plan: dict[str, Any], audio: bytes) -> None:
    texts = []
    async with AsyncTcpClient("127.0.0.1", plan["port"]) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        info = Info.from_event(event)
    for _ in range(plan["count"]):
        async with AsyncTcpClient("127.0.0.1", plan["port"]) as client:
            await client.write_event(Transcribe(language="en").event())
            await client.write_event(AudioStart(rate=16000, width=2, channels=1).event())
            for start in range(0, len(audio), CHUNK_BYTES):
                piece = audio[start : start + CHUNK_BYTES]
                await client.write_event(AudioChunk(rate=16000, width=2, channels=1, audio=piece).event())
            await client.write_event(AudioStop().event())
            event = await client.read_event()
            texts.append(
                Transcript.from_event(event).text if event and Transcript.is_type(event.type) else None
            )
    languages = [language for model in info.asr[0].models for language in model.languages]
    print(json.dumps({"name": info.asr[0].name, "languages": languages, "texts": texts}))


PLAN = json.loads(sys.argv[1])
asyncio.run(main(PLAN, Path(PLAN["audio"]).read_bytes()))
