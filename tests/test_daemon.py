"""The daemon under signals, as a process of its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.edge.fakes import free_port

PATIENCE_S = 60.0
"""Ends a test that hangs."""


class Process:
    """A running daemon and its log."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._process = subprocess.Popen(
            [sys.executable, "-m", "routeraudio", "serve", "--config", str(file)],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.put(line)

    def logged(self, event: str) -> Any:
        """Wait for a log line."""
        while True:
            line = json.loads(self._lines.get(timeout=PATIENCE_S))
            if line["event"] == event:
                return line

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> int:
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stderr is not None
            self._process.stderr.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Process]:
    file = tmp_path / "routeraudio.toml"
    write(file, "router_old")
    process = Process(file)
    try:
        yield process
    finally:
        assert process.stop() == 0


def test_hangup_reloads(daemon: Process) -> None:
    """SIGHUP brings new keys into force; a file that cannot be used changes nothing and is told of."""
    address = daemon.logged("listening")["addresses"][0]
    assert told(address, "router_old") != "unauthorized"
    assert told(address, "router_new") == "unauthorized"
    write(daemon.file, "router_new")
    daemon.signal(signal.SIGHUP)
    daemon.logged("reloaded")
    assert told(address, "router_old") == "unauthorized"
    assert told(address, "router_new") != "unauthorized"
    daemon.file.write_text("limits.idle_s = 'soon'")
    daemon.signal(signal.SIGHUP)
    assert "limits.idle_s" in daemon.logged("reload_refused")["why"]
    assert told(address, "router_new") != "unauthorized"


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_stop_while_the_store_is_away(workers: int, tmp_path: Path) -> None:
    """A daemon that waits for its store ends at once, and well."""
    file = tmp_path / "routeraudio.toml"
    file.write_text(
        f"""
        server.bind = ["127.0.0.1:0"]
        server.workers = {workers}
        store.url = "postgresql://nobody@127.0.0.1:{free_port()}/none"
        store.spool_dir = "{tmp_path}/spool"
        access.token_secret = "{"s" * 40}"
        log.format = "json"
        """
    )
    process = Process(file)
    process.logged("store_unavailable")
    assert process.stop() == 0


def write(file: Path, key: str) -> None:
    """A configuration that knows one router key."""
    file.write_text(
        f"""
        server.bind = ["127.0.0.1:0"]
        log.format = "json"
        keys = [{{ id = "test", hash = "sha256:{sha256(key.encode()).hexdigest()}" }}]
        """
    )


def told(address: str, key: str) -> str:
    """The code of the error a client gets; Deepgram has no stored credential here, so there always is one."""
    url = f"ws://{address}/v1/listen?provider=deepgram&encoding=pcm_s16le&sample_rate=16000&api_key={key}"
    with connect(url) as client:
        try:
            code: str = json.loads(client.recv(PATIENCE_S))["code"]
        except ConnectionClosed as closed:
            pytest.fail(f"closed without an error: {closed}")
        return code
