"""Deepgram's own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "endpoint": "v1", "is_async": false, "params": {…}, "audio": "file",
     "actions": ["keep_alive", "audio", "finalize", "close_stream"]}

A process, because the SDK lives on threads and asyncio, and warns about its own imports.
"""

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import deepgram
from deepgram import AsyncDeepgramClient, DeepgramClient, DeepgramClientEnvironment
from deepgram.core.events import EventType

CHUNK_BYTES = 2560  # 80 ms of 16 kHz PCM


class Report:
    """What the SDK tells its user."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.errors: list[str] = []
        self.is_closed = False

    def attach(self, socket: Any) -> None:
        socket.on(EventType.MESSAGE, lambda message: self.messages.append(message.dict()))
        socket.on(EventType.ERROR, lambda error: self.errors.append(f"{type(error).__name__}: {error}"))
        socket.on(EventType.CLOSE, lambda _: setattr(self, "is_closed", True))


def client_options(plan: dict[str, Any]) -> dict[str, Any]:
    host = f"127.0.0.1:{plan['port']}"
    environment = DeepgramClientEnvironment(
        base=f"http://{host}", production=f"ws://{host}", agent=f"ws://{host}", agent_rest=f"http://{host}"
    )
    return {"api_key": plan["key"], "environment": environment}


def calls(socket: Any, plan: dict[str, Any]) -> Any:
    """What to call on the socket, in order."""
    data = Path(plan["audio"]).read_bytes() if plan["audio"] else b""
    for action in plan["actions"]:
        if action == "audio":
            for start in range(0, len(data), CHUNK_BYTES):
                yield socket.send_media, (data[start : start + CHUNK_BYTES],)
        else:
            yield getattr(socket, f"send_{action}"), ()


def talk(plan: dict[str, Any], report: Report) -> None:
    listen = getattr(DeepgramClient(**client_options(plan)).listen, plan["endpoint"])
    with listen.connect(**plan["params"]) as socket:
        report.attach(socket)
        listening = threading.Thread(target=socket.start_listening)
        listening.start()
        for call, arguments in calls(socket, plan):
            call(*arguments)
        listening.join()


async def talk_async(plan: dict[str, Any], report: Report) -> None:
    listen = getattr(AsyncDeepgramClient(**client_options(plan)).listen, plan["endpoint"])
    async with listen.connect(**plan["params"]) as socket:
        report.attach(socket)
        listening = asyncio.create_task(socket.start_listening())
        for call, arguments in calls(socket, plan):
            await call(*arguments)
        await listening


def main() -> None:
    plan = json.loads(sys.argv[1])
    report = Report()
    try:
        if plan["is_async"]:
            asyncio.run(talk_async(plan, report))
        else:
            talk(plan, report)
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        report.errors.append(f"{type(error).__name__}: {error}")
    print(json.dumps({"sdk": deepgram.__version__, **vars(report)}, default=str))


main()
