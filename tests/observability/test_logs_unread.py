"""A daemon whose log nobody reads serves on, and stops when it is told to."""

import os
import signal
import socket
from pathlib import Path

import trio

from tests.edge.fakes import free_port, get, whole_refusal
from tests.edge.processes import PATIENCE_S, command, configured, environment

TOML = """
server.bind = ["127.0.0.1:{port}"]
store.url = "sqlite://"
log.format = "json"
"""


async def test_a_log_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    """Before, the first line that found the pipe full stopped every session of the process."""
    port = free_port()
    receive, send = os.pipe()  # `receive` is never read
    fill(send)
    process = await trio.lowlevel.open_process(
        command(configured(tmp_path, TOML.format(port=port))), stderr=send, env=environment({})
    )
    try:
        with trio.fail_after(PATIENCE_S):
            await listening(port)
            for _ in range(3):
                assert await whole_refusal(port) == 3000  # each writes a line
            assert (await get(port, "/healthz")).status == 200
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        os.close(receive)
        os.close(send)


def fill(descriptor: int) -> None:
    """Until nothing more goes in; then as blocking as a daemon finds it."""
    os.set_blocking(descriptor, False)
    try:
        while True:
            os.write(descriptor, bytes(65_536))
    except BlockingIOError:
        os.set_blocking(descriptor, True)


async def listening(port: int) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        await trio.sleep(0.05)
