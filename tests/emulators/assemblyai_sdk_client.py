"""AssemblyAI's own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "is_async": false, "params": {…}, "audio": "file",
     "actions": ["keep_alive", "audio", "force_endpoint"]}

A process, because the SDK lives on threads and asyncio. Its patience is a second; here it is longer, for machines that
are busy with other things.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import assemblyai
from assemblyai.streaming.v3 import (
    AsyncRealTimeTranscriber,
    RealTimeEvents,
    RealTimeParameters,
    RealTimeTranscriber,
    RealTimeTranscriberOptions,
)

CHUNK_BYTES = 3200  # 100 ms of 16 kHz PCM
PATIENCE_S = 60.0


class Report:
    """What the SDK tells its user."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.errors: list[Any] = []

    def attach(self, client: Any) -> None:
        for event in RealTimeEvents:
            if event is not RealTimeEvents.Error:
                client.on(
                    event, lambda _, message: self.messages.append(json.loads(message.model_dump_json()))
                )
        client.on(RealTimeEvents.Error, lambda _, error: self.errors.append([error.code, str(error)]))


def calls(client: Any, plan: dict[str, Any]) -> Any:
    """What to call on the client, in order."""
    data = Path(plan["audio"]).read_bytes() if plan["audio"] else b""
    for action in plan["actions"]:
        if action == "audio":
            for start in range(0, len(data), CHUNK_BYTES):
                yield client.stream, (data[start : start + CHUNK_BYTES],)
        else:
            yield getattr(client, action), ()


def options(plan: dict[str, Any]) -> RealTimeTranscriberOptions:
    return RealTimeTranscriberOptions(
        api_key=plan["key"],
        api_host=f"ws://127.0.0.1:{plan['port']}",
        connect_timeout=PATIENCE_S,
        terminate_timeout=PATIENCE_S,
    )


def talk(plan: dict[str, Any], report: Report) -> None:
    client = RealTimeTranscriber(options(plan))
    report.attach(client)
    client.connect(RealTimeParameters(**plan["params"]))
    for call, arguments in calls(client, plan):
        call(*arguments)
    client.disconnect(terminate=True)


async def talk_async(plan: dict[str, Any], report: Report) -> None:
    client = AsyncRealTimeTranscriber(options(plan))
    report.attach(client)
    await client.connect(RealTimeParameters(**plan["params"]))
    for call, arguments in calls(client, plan):
        await call(*arguments)
    await client.disconnect(terminate=True)


def main() -> None:
    plan = json.loads(sys.argv[1])
    report = Report()
    try:
        if plan["is_async"]:
            asyncio.run(talk_async(plan, report))
        else:
            talk(plan, report)
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        report.errors.append([type(error).__name__, str(error)])
    print(json.dumps({"sdk": assemblyai.__version__, **vars(report)}))


main()
