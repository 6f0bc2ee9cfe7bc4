"""A real Chromium, headless, with a sound file for its microphone; driven through its DevTools protocol."""

import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import trio
from trio_websocket import WebSocketConnection, open_websocket_url

START_S = 60.0
"""For the browser to come up; on a busy machine a cold start takes ten seconds."""

FLAGS = (
    "--headless",
    "--no-sandbox",  # continuous integration runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


class Page:
    """One tab."""

    def __init__(self, connection: WebSocketConnection, session_id: str) -> None:
        self._connection = connection
        self._session_id = session_id
        self._calls = 100

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        self._calls += 1
        message = {
            "id": self._calls,
            "sessionId": self._session_id,
            "method": "Runtime.evaluate",
            "params": {"expression": script, "returnByValue": True, "awaitPromise": True},
        }
        answer = await _call(self._connection, message)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until a JavaScript expression is true, and return it. The caller sets the deadline."""
        while not (value := await self.run(script)):  # noqa: ASYNC110
            await trio.sleep(0.1)  # the page has no event that reaches us
        return value


async def _call(connection: WebSocketConnection, message: dict[str, Any]) -> Any:
    await connection.send_message(json.dumps(message))
    while True:
        answer = json.loads(await connection.get_message())
        if answer.get("id") == message["id"]:
            assert "error" not in answer, answer["error"]
            return answer["result"]


@asynccontextmanager
async def open_page(url: str, microphone: Path) -> AsyncIterator[Page]:
    """Open ``url`` in a browser of its own that hears ``microphone``, once, and then silence."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await trio.lowlevel.open_process(
            [
                "chromium",
                *FLAGS,
                f"--user-data-dir={folder}",
                f"--use-file-for-fake-audio-capture={microphone}%noloop",
                "about:blank",
            ],
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            with trio.fail_after(START_S):
                address = await _devtools(process)
            async with open_websocket_url(address) as connection:
                yield await _open_tab(connection, url)
        finally:
            process.kill()
            with trio.CancelScope(shield=True), trio.move_on_after(10):
                await process.wait()


async def _devtools(process: trio.Process) -> str:
    """Where the browser is driven from; it says so on standard error."""
    assert process.stderr is not None
    said = b""
    async for more in process.stderr:
        said += more
        if found := re.search(rb"DevTools listening on (ws://\S+)\s", said):
            return found[1].decode()
    raise AssertionError("chromium ended before it listened")


async def _open_tab(connection: WebSocketConnection, url: str) -> Page:
    tab = await _call(connection, {"id": 1, "method": "Target.createTarget", "params": {"url": url}})
    attached = await _call(
        connection,
        {
            "id": 2,
            "method": "Target.attachToTarget",
            "params": {"targetId": tab["targetId"], "flatten": True},
        },
    )
    return Page(connection, attached["sessionId"])
