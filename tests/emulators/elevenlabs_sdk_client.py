"""ElevenLabs' own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "options": {"commit_strategy": "vad", …}, "audio": "file", "until": "One.",
     "actions": ["audio", "silence", "commit", "wait"]}

`wait` waits for the close, or for a commit with the text `until` (null: any). A process, because the SDK
lives on asyncio, and warns about its own imports.
"""

import asyncio
import base64
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

from elevenlabs import AudioFormat, CommitStrategy
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.realtime.connection import RealtimeConnection, RealtimeEvents

CHUNK_BYTES = 8192  # what the SDK itself cuts its audio into
SILENCE_BYTES = 64_000


class Report:
    """What the SDK tells its user."""

    def __init__(self, until: str | None) -> None:
        self.messages: list[Any] = []
        self.errors: list[Any] = []
        self.close: Any = None
        self._until = until
        self._is_over = asyncio.Event()

    def attach(self, connection: RealtimeConnection) -> None:
        for event in RealtimeEvents:
            if event is RealtimeEvents.ERROR:
                connection.on(event, self.errors.append)
            elif event is RealtimeEvents.CLOSE:
                connection.on(event, self._closed)
            elif event is not RealtimeEvents.OPEN:
                connection.on(event, self._heard)

    async def wait(self) -> None:
        await self._is_over.wait()

    def _heard(self, message: Any) -> None:
        self.messages.append(message)
        is_commit = message["message_type"] == "committed_transcript"
        if is_commit and self._until in (None, message["text"]):
            self._is_over.set()

    def _closed(self, info: Any) -> None:
        self.close = info
        self._is_over.set()


async def talk(plan: dict[str, Any], audio: bytes, report: Report) -> None:
    options = {"model_id": "scribe_v2_realtime", "audio_format": "pcm_16000", "sample_rate": 16000}
    options |= plan["options"]
    options["audio_format"] = AudioFormat(options["audio_format"])
    if "commit_strategy" in options:
        options["commit_strategy"] = CommitStrategy(options["commit_strategy"])
    client = AsyncElevenLabs(api_key=plan["key"], base_url=f"http://127.0.0.1:{plan['port']}")
    connection = await client.speech_to_text.realtime.connect(options)
    report.attach(connection)
    for action in plan["actions"]:
        if action == "commit":
            await connection.commit()
        elif action == "wait":
            await report.wait()
        else:
            await send(connection, audio if action == "audio" else bytes(SILENCE_BYTES))
    await connection.close()


async def send(connection: RealtimeConnection, data: bytes) -> None:
    for start in range(0, len(data), CHUNK_BYTES):
        chunk = base64.b64encode(data[start : start + CHUNK_BYTES]).decode()
        await connection.send({"audio_base_64": chunk})


def main() -> None:
    plan = json.loads(sys.argv[1])
    audio = Path(plan["audio"]).read_bytes() if plan["audio"] else b""
    report = Report(plan["until"])
    try:
        asyncio.run(talk(plan, audio, report))
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        report.errors.append(f"{type(error).__name__}: {error}")
    shown = {"messages": report.messages, "errors": report.errors, "close": report.close}
    print(json.dumps({"sdk": importlib.metadata.version("elevenlabs"), **shown}))


main()
