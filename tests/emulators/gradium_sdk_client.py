"""Gradium's own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "way": "realtime", "setup": {…}, "audio": "file",
     "actions": ["audio", "flush", "eos"]}

`way`: `realtime` performs the actions; `stream` and `buffered` send the audio and the end themselves.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gradium import version
from gradium.client import GradiumClient

CHUNK_BYTES = 2560  # 80 ms of 16 kHz PCM


def pieces(plan: dict[str, Any]) -> list[bytes]:
    data = Path(plan["audio"]).read_bytes() if plan["audio"] else b""
    return [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]


async def realtime(client: GradiumClient, plan: dict[str, Any], messages: list[Any]) -> None:
    async with client.stt_realtime(**plan["setup"]) as socket:
        listening = asyncio.create_task(listen(socket, messages))
        for action in plan["actions"]:
            if action == "audio":
                for piece in pieces(plan):
                    await socket.send_audio(piece)
            elif action == "flush":
                await socket.send_flush(7)
            else:
                await socket.send_eos()
        await listening


async def listen(socket: Any, messages: list[Any]) -> None:
    async for message in socket:
        messages.append(message)


async def stream(client: GradiumClient, plan: dict[str, Any], messages: list[Any]) -> None:
    async def audio() -> AsyncIterator[bytes]:
        for piece in pieces(plan):
            yield piece

    opened = await client.stt_stream(dict(plan["setup"]), audio())
    async for segment in opened.iter_text():
        messages.append({"type": "text", "text": segment.text, "start_s": segment.start_s})


async def buffered(client: GradiumClient, plan: dict[str, Any], messages: list[Any]) -> None:
    result = await client.stt(dict(plan["setup"]), b"".join(pieces(plan)))
    messages.append({"type": "text", "text": result.text})


WAYS = {"realtime": realtime, "stream": stream, "buffered": buffered}


def main() -> None:
    plan = json.loads(sys.argv[1])
    messages: list[Any] = []
    errors: list[str] = []
    try:
        client = GradiumClient(base_url=f"http://127.0.0.1:{plan['port']}/api/", api_key=plan["key"])
        asyncio.run(WAYS[plan["way"]](client, plan, messages))
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        errors.append(f"{type(error).__name__}: {error}")
    print(json.dumps({"sdk": version.__version__, "messages": messages, "errors": errors}, default=str))


main()
