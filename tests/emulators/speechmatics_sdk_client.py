"""Speechmatics' own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "audio": "file", "rate": 16000, "chunk": 4096, "config": {…}, "force": false}

``rate`` 0 declares a file. A process, because the SDK lives on asyncio and logs as it likes.
"""

import asyncio
import importlib.metadata
import io
import json
import sys
from pathlib import Path
from typing import Any

from speechmatics.rt import (
    AsyncClient,
    AudioEncoding,
    AudioFormat,
    ConversationConfig,
    ServerMessageType,
    TranscriptionConfig,
)


def audio_format(plan: dict[str, Any]) -> AudioFormat:
    if not plan["rate"]:
        return AudioFormat(chunk_size=plan["chunk"])
    return AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=plan["rate"], chunk_size=plan["chunk"])


def transcription_config(plan: dict[str, Any]) -> TranscriptionConfig:
    config = dict(plan["config"])
    if "conversation_config" in config:
        config["conversation_config"] = ConversationConfig(**config["conversation_config"])
    return TranscriptionConfig(**config)


async def talk(plan: dict[str, Any], audio: bytes, messages: list[Any]) -> None:
    async with AsyncClient(api_key=plan["key"], url=f"ws://127.0.0.1:{plan['port']}/v2") as client:
        for kind in ServerMessageType:
            client.on(kind, messages.append)
        wish = {"transcription_config": transcription_config(plan), "audio_format": audio_format(plan)}
        if not plan["force"]:
            await client.transcribe(io.BytesIO(audio), **wish)
            return
        await client.start_session(**wish)
        for start in range(0, len(audio), plan["chunk"]):
            await client.send_audio(audio[start : start + plan["chunk"]])
        await client.force_end_of_utterance()
        await client.stop_session()


def main() -> None:
    plan = json.loads(sys.argv[1])
    messages: list[Any] = []
    errors: list[str] = []
    try:
        asyncio.run(talk(plan, Path(plan["audio"]).read_bytes(), messages))
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        errors.append(f"{type(error).__name__}: {error}")
    version = importlib.metadata.version("speechmatics-rt")
    print(json.dumps({"sdk": version, "messages": messages, "errors": errors}))


main()
