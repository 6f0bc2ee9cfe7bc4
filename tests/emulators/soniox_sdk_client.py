"""Soniox's own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "is_async": false, "config": {…}, "audio": "file",
     "actions": ["keep_alive", "audio", "finalize", "pause", "resume", "finish"]}

A process, because the SDK lives on threads and asyncio.
"""

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from soniox import AsyncSonioxClient, SonioxClient
from soniox.types.realtime import RealtimeSTTConfig

CHUNK_BYTES = 3840  # 120 ms of 16 kHz PCM, as in the vendor's examples

Plan = dict[str, Any]
Events = list[Any]


def client_options(plan: Plan) -> dict[str, Any]:
    url = f"ws://127.0.0.1:{plan['port']}/transcribe-websocket"
    return {"api_key": plan["key"], "websocket_base_url": url}


def calls(session: Any, plan: Plan) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """What to call on the session, in order."""
    data = Path(plan["audio"]).read_bytes() if plan["audio"] else b""
    for action in plan["actions"]:
        if action == "audio":
            for start in range(0, len(data), CHUNK_BYTES):
                yield session.send_byte_chunk, (data[start : start + CHUNK_BYTES],)
        else:
            yield getattr(session, action), ()


def listen(session: Any, events: Events) -> None:
    events.extend(event.model_dump(exclude_none=True) for event in session.receive_events())


def talk(plan: Plan, events: Events) -> None:
    stt = SonioxClient(**client_options(plan)).realtime.stt
    with stt.connect(config=RealtimeSTTConfig(**plan["config"])) as session:
        listening = threading.Thread(target=listen, args=(session, events))
        listening.start()
        for call, arguments in calls(session, plan):
            call(*arguments)
        listening.join()


async def listen_async(session: Any, events: Events) -> None:
    async for event in session.receive_events():
        events.append(event.model_dump(exclude_none=True))


async def talk_async(plan: Plan, events: Events) -> None:
    stt = AsyncSonioxClient(**client_options(plan)).realtime.stt
    async with stt.connect(config=RealtimeSTTConfig(**plan["config"])) as session:
        listening = asyncio.create_task(listen_async(session, events))
        for call, arguments in calls(session, plan):
            await call(*arguments)
        await listening


def main() -> None:
    plan = json.loads(sys.argv[1])
    events: Events = []
    errors = []
    try:
        if plan["is_async"]:
            asyncio.run(talk_async(plan, events))
        else:
            talk(plan, events)
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        errors.append(f"{type(error).__name__}: {error}")
    print(json.dumps({"sdk": version("soniox"), "events": events, "errors": errors}))


main()
