"""Vachana's own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "way": "events", "options": {…}, "audio": "file", "transcripts": 1, "frame": 1024}

`way`: `events` sends frames and listens until so many transcripts, or an error, have come; `stream` leaves all to
`stream_audio`: the pace of real time, and a second of waiting at the end.
"""

import asyncio
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gnani.stt import GnaniSTTStreamClient


def samples(plan: dict[str, Any]) -> bytes:
    return Path(plan["audio"]).read_bytes() if plan["audio"] else b""


async def events(client: GnaniSTTStreamClient, plan: dict[str, Any], messages: list[Any]) -> None:
    audio = samples(plan)
    for start in range(0, len(audio), plan["frame"]):
        await client.send_audio(audio[start : start + plan["frame"]])
    missing = plan["transcripts"]
    if not missing:
        return
    async for event in client:
        messages.append(event.raw)
        missing -= event.raw["type"] == "transcript"
        if not missing or event.raw["type"] == "error":
            return


async def stream(client: GnaniSTTStreamClient, plan: dict[str, Any], messages: list[Any]) -> None:
    audio = io.BytesIO(samples(plan))
    await client.stream_audio(
        audio,
        on_transcript=lambda event: messages.append(event.raw),
        on_processing=lambda event: messages.append(event.raw),
    )


WAYS = {"events": events, "stream": stream}


async def talk(plan: dict[str, Any], messages: list[Any]) -> None:
    client = GnaniSTTStreamClient(
        api_key=plan["key"], base_url=f"http://127.0.0.1:{plan['port']}", **plan["options"]
    )
    messages.append((await client.connect(request_id="req-1")).raw)
    try:
        await WAYS[plan["way"]](client, plan, messages)
    finally:
        await client.close()


def main() -> None:
    plan = json.loads(sys.argv[1])
    messages: list[Any] = []
    errors: list[str] = []
    try:
        asyncio.run(talk(plan, messages))
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        errors.append(f"{type(error).__name__}: {error}")
    print(json.dumps({"sdk": version("gnani-vachana"), "messages": messages, "errors": errors}, default=str))


main()
