"""Processes of a fleet: a daemon on a port of its own, and the balancer in front."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import trio

ROOT: Final = Path(__file__).parents[2]
HAPROXY: Final = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin") or "haproxy"
"""Debian keeps it where only administrators look."""

PATIENCE_S: Final = 120.0
"""For a loaded machine that starts everything at once."""


def free_ports(count: int) -> list[int]:
    """Ports nobody has right now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Program:
    """A program that is started, killed and started again; ended on leaving. Its output goes to a file."""

    def __init__(self, command: list[str], environ: dict[str, str], output: Path) -> None:
        self._command = command
        self._environ = environ
        self.output = output
        self.process: trio.Process | None = None

    async def start(self) -> None:
        """Start it. What it has said stays in the file."""
        assert self.process is None
        with self.output.open("ab") as output:
            self.process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environ,
                process_group=0,
            )

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and wait; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        with trio.fail_after(PATIENCE_S):
            code = await self.process.wait()
        self.process = None
        return code

    async def aclose(self) -> None:
        """End it at once, if it runs."""
        if self.process is not None:
            with trio.CancelScope(shield=True):
                await self.stop(signal.SIGKILL)


class Daemon:
    """One node of a fleet.

    Args:
        toml: its configuration beside `[server]`; the same for all nodes.
        server: more lines of `[server]`.
    """

    def __init__(self, folder: Path, name: str, port: int, toml: str, *, server: str = "") -> None:
        self.name = name
        self.address = f"127.0.0.1:{port}"
        self.config = folder / f"{name}.toml"
        self.config.write_text(
            f"""\
[server]
bind = ["{self.address}"]
node = "{name}"
trusted_proxies = ["127.0.0.1"]
{server}
[log]
format = "json"
{toml}
"""
        )
        state = folder / f"{name}.state"
        state.mkdir()
        own = {name: value for name, value in os.environ.items() if not name.startswith("ROUTERAUDIO__")}
        self.program = Program(
            [sys.executable, "-m", "routeraudio", "serve", "--config", str(self.config)],
            {**own, "STATE_DIRECTORY": str(state)},
            folder / f"{name}.log",
        )

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        await self.program.start()
        await self.until_ready()

    async def until_ready(self) -> None:
        """Wait until it takes sessions."""
        assert self.program.process is not None
        with trio.fail_after(PATIENCE_S):
            while not await is_ready(self.address):
                assert self.program.process.poll() is None, self.program.output.read_text()
                await trio.sleep(0.1)

    async def kill(self) -> None:
        """As a machine that dies: nothing is said to anybody."""
        await self.program.stop(signal.SIGKILL)


class Balancer:
    """HAProxy with the configuration that is shipped."""

    def __init__(self, folder: Path, port: int, nodes: list[str]) -> None:
        self.address = f"127.0.0.1:{port}"
        names = ("NODE_ONE", "NODE_TWO", "NODE_THREE")
        environ = {**os.environ, "BALANCER": self.address, **dict(zip(names, nodes, strict=True))}
        self.program = Program(
            [HAPROXY, "-db", "-f", str(ROOT / "conf" / "haproxy.cfg")], environ, folder / "haproxy.log"
        )

    async def start(self) -> None:
        """Start it and wait until it has found a node that is ready."""
        await self.program.start()
        assert self.program.process is not None
        with trio.fail_after(PATIENCE_S):
            while not await is_ready(self.address):
                assert self.program.process.poll() is None, self.program.output.read_text()
                await trio.sleep(0.1)


async def is_ready(address: str) -> bool:
    """What `/readyz` says there."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            return (await client.get(f"http://{address}/readyz")).status_code == 200
        except httpx.TransportError:
            return False
