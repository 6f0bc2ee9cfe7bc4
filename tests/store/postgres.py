"""A PostgreSQL server of the tests' own, from the distribution's package."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psycopg

PROGRAMS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Of each installed version."""

START_S: Final = 600.0
"""Ends a test that hangs. After a crash the server recovers, for minutes on a busy disk."""


def is_installed() -> bool:
    """Whether there is a server to start."""
    return bool(PROGRAMS)


def _identity() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: somebody else then, for `subprocess`."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Postgres:
    """One server on a loopback port. Settings that concern durability are the defaults."""

    def __init__(self) -> None:
        self._programs = PROGRAMS[-1]
        self._who = _identity()
        self._folder = Path(tempfile.mkdtemp(prefix="routeraudio-postgres-"))
        if self._who:
            os.chown(self._folder, self._who["user"], self._who["group"])
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._run(
            self._programs / "initdb", "-D", self._folder / "data", "-U", "tests", "--auth=trust", "--no-sync"
        )

    def url(self, database: str) -> str:
        """Of a database on this server."""
        return f"postgresql://tests@127.0.0.1:{self._port}/{database}"

    def create(self, database: str) -> str:
        """A new database, empty. Returns its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.url(database)

    def demand_password(self, role: str) -> None:
        """Of this role from now on; everybody else is trusted."""
        file = self._folder / "data" / "pg_hba.conf"
        file.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{file.read_text()}")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [
            self._programs / "postgres",
            "-D",
            self._folder / "data",
            "-c",
            f"port={self._port}",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={self._folder}",
        ]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **self._who)
        give_up_s = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > give_up_s or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: a fast shutdown, which ends connections; SIGQUIT: at once, as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_S)
            self._process = None

    def freeze(self) -> None:
        """No part of the server runs; its connections stay open and say nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in [pid, *map(int, children)]:
            os.kill(one, number)

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **self._who)
