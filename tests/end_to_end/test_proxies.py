"""The examples for nginx and Caddy, run with a daemon behind them. HAProxy's has the fleet's tests."""

import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.edge.fakes import client, free_port, get
from tests.edge.processes import running

CONF = Path(__file__).parents[2] / "conf"

CLOSE = "Connection: close"

DAEMON = """
server.bind = ["127.0.0.1:0"]
server.trusted_proxies = ["127.0.0.1"]
log.format = "json"
store.url = "sqlite://"
"""


def nginx(folder: Path, port: int, daemon: int) -> list[str]:
    """The example with other ports and writable places."""
    text = (CONF / "nginx.conf").read_text()
    text = text.replace("listen 8443;", f"listen 127.0.0.1:{port};").replace(
        "server 127.0.0.1:8080;", f"server 127.0.0.1:{daemon};"
    )
    text = text.replace("/var/log/nginx/routeraudio.log", f"{folder}/access.log")
    (folder / "nginx.conf").write_text(text)
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    options = f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;"
    return [
        program,
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        f"{folder}/error.log",
        "-g",
        options,
    ]


def caddy(folder: Path, port: int, daemon: int) -> list[str]:
    """The example with other addresses, without its port for administration, and without TLS."""
    text = (CONF / "Caddyfile").read_text()
    text = text.replace("{$SITE:stt.example.com}", f"http://:{port}")
    text = text.replace("{$DAEMON:127.0.0.1:8080}", f"127.0.0.1:{daemon}")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{text}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


Command = Callable[[Path, int, int], list[str]]


@asynccontextmanager
async def proxy(command: Command, folder: Path, daemon: int) -> AsyncIterator[int]:
    """The port where it listens in front of the daemon."""
    port = free_port()
    with (folder / "proxy.log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            command(folder, port, daemon),
            stdout=log,
            stderr=log,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        )
    try:
        with trio.fail_after(60):
            while True:
                assert process.poll() is None, (folder / "proxy.log").read_text()
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                await trio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(10):
                await process.wait()
            process.kill()
            await process.wait()


@pytest.mark.parametrize("command", [nginx, caddy])
async def test_an_example_serves_streams(command: Command, tmp_path: Path) -> None:
    """Upgrades and messages pass, /metrics does not, and the daemon hears who the client is from the proxy alone."""
    async with running(tmp_path, DAEMON) as daemon, proxy(command, tmp_path, daemon.port) as port:
        path = "/v1/listen?provider=deepgram&encoding=pcm_s16le&sample_rate=16000"
        async with client(port, path, headers={}) as caller:
            (error,), code = await caller.rest()
        assert (error["code"], code) == ("unauthorized", 3000)
        assert (await get(port, "/metrics", CLOSE)).status == 404
        assert (await get(daemon.port, "/metrics")).status == 200
