"""The daemon under signals, as a process of its own."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
import trustme
from cryptography import x509
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


def test_a_renewed_certificate_is_served_after_a_hangup(tmp_path: Path) -> None:
    """SIGHUP puts renewed files in place for new connections, and refuses files that cannot be used."""
    authority = trustme.CA()
    file = tmp_path / "routeraudio.toml"
    issue(authority, tmp_path, "old.example")
    file.write_text(
        f"""
        server.bind = ["127.0.0.1:0"]
        server.tls_certificate = "tls.crt"
        server.tls_key = "tls.key"
        store.url = "sqlite:///{tmp_path}/routeraudio.db"
        log.format = "json"
        """
    )
    process = Process(file)
    try:
        address = process.logged("listening")["addresses"][0]
        assert "old.example" in certificate_of(address)
        (tmp_path / "tls.crt").write_text("half a file")
        process.signal(signal.SIGHUP)
        assert "tls.crt" in process.logged("reload_refused")["why"]
        assert "old.example" in certificate_of(address)
        issue(authority, tmp_path, "new.example")
        process.signal(signal.SIGHUP)
        process.logged("reloaded")
        assert "new.example" in certificate_of(address)
    finally:
        assert process.stop() == 0


def issue(authority: trustme.CA, folder: Path, name: str) -> None:
    issued = authority.issue_cert(name)
    issued.cert_chain_pems[0].write_to_path(str(folder / "tls.crt"))
    issued.private_key_pem.write_to_path(str(folder / "tls.key"))


def certificate_of(address: str) -> str:
    """The PEM certificate that a new connection is shown, with its names in plain text."""
    host, port = address.split(":")
    pem = ssl.get_server_certificate((host, int(port)))
    names = x509.load_pem_x509_certificate(pem.encode()).extensions
    return str(
        names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    )


def test_a_drain_ends_whatever_a_client_does(tmp_path: Path) -> None:
    """A client that has stopped reading is cut off at `drain_s` + 5 s, and not after every deadline of its own."""
    file = tmp_path / "routeraudio.toml"
    write(file, "router_old")
    file.write_text(file.read_text() + "\nserver.drain_s = 0.2\nproviders.deepgram.api_key = 'k'\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # A provider that accepts and says nothing keeps the session busy dialling.
        file.write_text(
            file.read_text() + f"providers.deepgram.url = 'ws://127.0.0.1:{silent.getsockname()[1]}'\n"
        )
        process = Process(file)
        host, port = process.logged("listening")["addresses"][0].split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"GET /v1/listen?provider=deepgram&encoding=pcm_s16le&sample_rate=16000&api_key=router_old HTTP/1.1\r\n"
                b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b" 101 " in client.recv(4096)
            process.logged("session_started")
            began_s = time.monotonic()
            assert process.stop() == 0
            # The bound is the daemon's own, not the machine's speed: without it this takes 20 s and more.
            assert time.monotonic() - began_s < 15
