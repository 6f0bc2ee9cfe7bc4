"""`python -m tests.failover.litellm COMMAND`: the same cuts behind LiteLLM's proxy, for comparison.

LiteLLM is installed elsewhere; COMMAND is its `litellm`.

The vendor says a word for every ten messages of audio. Prints, for each way in which its line is cut, the words that
the client got, the errors it was told, and how its connection ended.
"""

import json
import os
import secrets
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from subprocess import DEVNULL

import trio
from rich.console import Console
from rich.table import Table
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    open_websocket_url,
    serve_websocket,
)

from tests.failover.lines import WAYS, Line, open_line
from tests.fleet.processes import free_ports

MESSAGES = 60
PER_WORD = 10
CUT_S = 1.2
PATIENCE_S = 15.0
START_S = 120.0
AUDIO = json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(bytes(2400)).decode()})
COMPLETED = "conversation.item.input_audio_transcription.completed"


async def vendor(request: WebSocketRequest) -> None:
    """One connection."""
    connection, messages = await request.accept(), 0
    await connection.send_message('{"type":"session.created","session":{}}')
    try:
        while True:
            asked = json.loads(await connection.get_message())
            messages += asked["type"] == "input_audio_buffer.append"
            if messages and messages % PER_WORD == 0:
                word = f"word {messages // PER_WORD}"
                await connection.send_message(json.dumps({"type": COMPLETED, "transcript": word}))
    except ConnectionClosed:
        pass


@asynccontextmanager
async def litellm(command: str, vendor_port: int) -> AsyncIterator[tuple[str, str]]:
    """The proxy; its address and key."""
    (port,), key = free_ports(1), "sk-" + secrets.token_hex(24)
    config = {
        "model_list": [
            {
                "model_name": "transcribe",
                "litellm_params": {
                    "model": "openai/gpt-4o-realtime-preview",
                    "api_base": f"http://127.0.0.1:{vendor_port}",
                    "api_key": "any",
                },
                "model_info": {"mode": "realtime"},
            }
        ],
        "general_settings": {"master_key": key},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = trio.Path(folder, "config.yaml")
        await file.write_text(json.dumps(config))  # JSON is YAML
        arguments = [command, "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
        environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        async with trio.open_nursery() as nursery:
            run = partial(
                trio.run_process, arguments, env=environ, stdout=DEVNULL, stderr=DEVNULL, check=False
            )
            await nursery.start(run)
            await _until_open(port)
            yield f"127.0.0.1:{port}", key
            nursery.cancel_scope.cancel()


async def _until_open(port: int) -> None:
    with trio.fail_after(START_S):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                return
            except OSError:
                await trio.sleep(1)


async def told(address: str, key: str) -> tuple[list[str], list[str], str]:
    """Words, errors, and the end of one session."""
    words: list[str] = []
    errors: list[str] = []
    url = f"ws://{address}/v1/realtime?model=transcribe"
    with trio.move_on_after(PATIENCE_S):
        async with open_websocket_url(url, extra_headers=[("authorization", f"Bearer {key}")]) as line:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_talk, line)
                try:
                    while True:
                        message = json.loads(await line.get_message())
                        if message["type"] == COMPLETED:
                            words.append(message["transcript"])
                        elif message["type"] == "error":
                            errors.append(message["error"]["message"])
                except ConnectionClosed:
                    nursery.cancel_scope.cancel()
            assert line.closed is not None
            return words, errors, str(int(line.closed.code))
    return words, errors, "nothing"


async def _talk(line: WebSocketConnection) -> None:
    try:
        for _ in range(MESSAGES):
            await line.send_message(AUDIO)
            await trio.sleep(0.05)
        await trio.sleep(2)
        await line.aclose()
    except ConnectionClosed:
        pass


async def main(command: str) -> None:
    """Every way once."""
    ways: list[str] = []
    table = Table("the line", f"words of {MESSAGES // PER_WORD}", "errors", "close code")
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, vendor, "127.0.0.1", 0, None)
        line = Line(server.port, lambda: (ways.pop(), CUT_S) if ways else None)
        port = await nursery.start(open_line, line)
        async with litellm(command, port) as (address, key):
            for way in ("holds", *WAYS):
                ways[:] = [] if way == "holds" else [way]
                words, errors, code = await told(address, key)
                table.add_row(way, str(len(words)), "; ".join(errors) or "none", code)
        nursery.cancel_scope.cancel()
    Console().print(table)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
