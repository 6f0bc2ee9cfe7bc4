"""OpenAI's own SDK as a process of its own: takes a plan (JSON) as its argument, prints a report (JSON).

    {"port": 1, "key": "k", "session": {…}, "audio": "file of PCM at 24 kHz", "actions": ["audio", "commit", "clear"],
     "until": 1, "query": {"intent": "transcription"}, "model": null, "path": "/v1", "is_beta": false}

With `"secret"`, a body for `client_secrets`, the session is opened with one that is fetched first.
`path` is the base address's, and `is_beta` whether the client's beta speaks. `until` is how many turns are waited for.
A process, because the SDK lives on asyncio, and warns about its imports.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import openai
from openai import AsyncOpenAI

CHUNK_BYTES = 2400  # 50 ms

ENDS = (
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
)


async def act(connection: Any, plan: dict[str, Any], data: bytes) -> None:
    if plan.get("is_beta"):
        update = {"type": "transcription_session.update", "session": plan["session"]}
        await connection.send(update)
    elif plan["session"] is not None:
        await connection.session.update(session=plan["session"])
    for action in plan["actions"]:
        if action == "audio":
            for start in range(0, len(data), CHUNK_BYTES):
                audio = base64.b64encode(data[start : start + CHUNK_BYTES]).decode()
                await connection.input_audio_buffer.append(audio=audio)
        else:
            await getattr(connection.input_audio_buffer, action)()


async def talk(plan: dict[str, Any], data: bytes, report: dict[str, Any]) -> None:
    path = plan.get("path", "/v1")
    client = AsyncOpenAI(api_key=plan["key"], websocket_base_url=f"ws://127.0.0.1:{plan['port']}{path}")
    if "secret" in plan:
        base_url = f"http://127.0.0.1:{plan['port']}{path}"
        secret = await AsyncOpenAI(api_key=plan["key"], base_url=base_url).realtime.client_secrets.create(
            **plan["secret"]
        )
        client = client.copy(api_key=secret.value)
    realtime = client.beta.realtime if plan.get("is_beta") else client.realtime
    model = {} if plan["model"] is None else {"model": plan["model"]}
    async with realtime.connect(extra_query=plan["query"], **model) as connection:
        acting = asyncio.create_task(act(connection, plan, data))
        ended = 0
        async for event in connection:
            report["messages"].append(event.to_dict())
            report["kinds"].append(type(event).__name__)
            ended += event.type in ENDS
            if ended >= plan["until"] and acting.done():
                break
        await acting


def main() -> None:
    plan = json.loads(sys.argv[1])
    data = Path(plan["audio"]).read_bytes() if plan["audio"] else b""
    report: dict[str, Any] = {"sdk": openai.__version__, "messages": [], "kinds": [], "errors": []}
    try:
        asyncio.run(talk(plan, data, report))
    except Exception as error:  # noqa: BLE001 — the report is for the test to judge
        report["errors"].append(f"{type(error).__name__}: {error}")
    print(json.dumps(report, default=str))


main()
