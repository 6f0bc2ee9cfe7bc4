"""The documentation's own clients, over a line that is cut again and again."""

import json
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server
from tests.end_to_end.chromium import open_page
from tests.end_to_end.router import AUDIO, PATIENCE_S, WORDS, speech

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
CUTS = 3
CUT_BYTES = 20_000
"""A line is cut when it has carried so much from the client: in the middle of the clip's words."""


class Line:
    """Between clients and a daemon: carries bytes, and is cut a few times."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.cuts = 0

    async def serve(self, client: trio.SocketStream) -> None:
        host, _, port = self._target.partition(":")
        async with await trio.open_tcp_stream(host, int(port)) as server, trio.open_nursery() as nursery:
            nursery.start_soon(self._carry, server, client, sys.maxsize, nursery.cancel_scope)
            is_stream = self.cuts < CUTS
            nursery.start_soon(
                self._carry, client, server, CUT_BYTES if is_stream else sys.maxsize, nursery.cancel_scope
            )
        await trio.aclose_forcefully(client)

    async def _carry(
        self, source: trio.SocketStream, sink: trio.SocketStream, bytes_max: int, line: trio.CancelScope
    ) -> None:
        carried = 0
        try:
            async for data in source:
                carried += len(data)
                if carried > bytes_max:
                    self.cuts += 1
                    break
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        line.cancel()


@asynccontextmanager
async def cut_line() -> AsyncIterator[tuple[str, Line]]:
    """A daemon with its engine behind a line; the line's address."""
    config = Config(server=Server(bind=("127.0.0.1:0",)), providers={"local": Provider(spawn=True)})
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            addresses = await nursery.start(daemon.serve, config)
            line = Line(addresses[0])
            (listener,) = await nursery.start(lambda task_status: _listen(line, task_status))
            yield f"127.0.0.1:{listener.socket.getsockname()[1]}", line
            nursery.cancel_scope.cancel()


async def _listen(line: Line, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
    await trio.serve_tcp(line.serve, 0, host="127.0.0.1", task_status=task_status)


async def test_the_python_client() -> None:
    async with cut_line() as (address, line):
        clip = str(AUDIO / "goforward.wav")
        command = [sys.executable, str(EXAMPLES / "resume.py"), f"ws://{address}", "any", clip]
        done = await trio.run_process(command, capture_stdout=True)
    assert line.cuts == CUTS
    assert [text.split(maxsplit=1)[1] for text in done.stdout.decode().splitlines()] == [WORDS]


async def test_the_javascript_client(tmp_path: Path) -> None:
    """In a real browser."""
    source = (EXAMPLES / "resume.js").read_text().replace("export class", "class")
    audio = json.dumps(b64encode(speech()).decode())
    script = f"""(async () => {{
        {source}
        const audio = Uint8Array.from(atob({audio}), (one) => one.charCodeAt(0));
        const said = [];
        const parameters = {{ provider: "local", encoding: "pcm_s16le", sample_rate: 16000, api_key: "any" }};
        const line = new Line(`ws://${{location.host}}`, parameters, (message) => said.push(message));
        for (let start = 0; start < audio.length; start += 3200) {{
            line.send(audio.slice(start, start + 3200));
            await new Promise((resolve) => setTimeout(resolve, 50));
        }}
        await line.finish();
        return said.filter((message) => message.type === "transcript").map((message) => message.transcript);
    }})()"""
    async with cut_line() as (address, line):
        async with open_page(f"http://{address}/", tmp_path / "none.wav") as page:
            await page.until("document.querySelector('#provider') !== null")
            before = line.cuts
            said = await page.run(script)
        assert line.cuts - before >= 1
    assert said == [WORDS]
