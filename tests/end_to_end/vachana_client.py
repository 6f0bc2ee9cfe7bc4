"""The unmodified SDK `gnani-vachana` against our door: takes a plan (JSON) as its argument, prints a report (JSON).

    {"address": "127.0.0.1:1", "key": "k", "options": {…}, "audio": "file", "speed": 20, "transcripts": 3}

Audio goes out in the SDK's frames at `speed` times real time; so many transcripts are waited for.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from gnani.stt import GnaniSTTStreamClient

FRAME_BYTES = 1024


async def send(client: GnaniSTTStreamClient, audio: bytes, frame_s: float) -> None:
    began_s = time.monotonic()
    for number, start in enumerate(range(0, len(audio), FRAME_BYTES), 1):
        await client.send_audio(audio[start : start + FRAME_BYTES])
        await asyncio.sleep(max(began_s + number * frame_s - time.monotonic(), 0))


async def talk(plan: dict[str, Any], audio: bytes, messages: list[Any]) -> None:
    client = GnaniSTTStreamClient(
        api_key=plan["key"], base_url=f"http://{plan['address']}", **plan["options"]
    )
    messages.append((await client.connect(request_id="req-1")).raw)
    rate = plan["options"].get("sample_rate", 16000)
    sending = asyncio.create_task(send(client, audio, FRAME_BYTES / 2 / rate / plan["speed"]))
    missing = plan["transcripts"]
    async for event in client:
        messages.append(event.raw)
        missing -= event.raw["type"] == "transcript"
        if not missing or event.raw["type"] == "error":
            break
    await sending
    await client.close()


def main() -> None:
    plan = json.loads(sys.argv[1])
    messages: list[Any] = []
    errors: list[str] = []
    try:
        asyncio.run(talk(plan, Path(plan["audio"]).read_bytes(), messages))
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        errors.append(f"{type(error).__name__}: {error}")
    print(json.dumps({"messages": messages, "errors": errors}, default=str))


main()
