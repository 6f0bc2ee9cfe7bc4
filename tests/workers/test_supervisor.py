"""Several processes on one port, as processes: they share it, and nothing that happens to one of them closes it."""

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from trio_websocket import ConnectionClosed

from tests.edge.fakes import AUDIO, LISTEN, FakeDeepgram, client, client_on, get, whole_session
from tests.edge.processes import PATIENCE_S, Running, configured, failing, running


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each daemon keeps its books, and what a killed one leaves behind, in the test's folder."""
    for variable in ("STATE_DIRECTORY", "TMPDIR"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))


def toml(deepgram: str = "ws://127.0.0.1:9", *, workers: int = 2, server: str = "", more: str = "") -> str:
    return f"""
[server]
bind = ["127.0.0.1:0"]
workers = {workers}
{server}
[log]
format = "json"
[providers.deepgram]
url = "{deepgram}"
{more}
"""


def workers_of(daemon: Running) -> dict[int, int]:
    """Worker number → process id, as they are now."""
    return {line["worker"]: line["pid"] for line in daemon.log() if line["event"] == "worker_ready"}


async def scraped(port: int) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels → its value."""
    text = (await get(port, "/metrics")).body.decode()
    return {
        (sample.name.removeprefix("routeraudio_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def until(port: int, *name: str, value: float) -> None:
    """Wait until a sample has a value."""
    with trio.fail_after(PATIENCE_S):
        while (await scraped(port)).get(name) != value:  # noqa: ASYNC110  (another process sets no event)
            await trio.sleep(0.05)


async def until_standing(port: int, status: str) -> None:
    """Wait until `/readyz` says so; workers know of each other what was true a beat ago."""
    with trio.fail_after(PATIENCE_S):
        while (await get(port, "/readyz")).json != {"status": status}:  # noqa: ASYNC110
            await trio.sleep(0.05)


async def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    with trio.fail_after(PATIENCE_S):
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110, ASYNC240
            await trio.sleep(0.02)


@asynccontextmanager
async def open_sessions(port: int, count: int) -> AsyncIterator[None]:
    """So many clients that have sent audio and wait."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            caller = await stack.enter_async_context(client(port))
            await caller.send(AUDIO)
        yield


async def test_they_share_the_work(tmp_path: Path) -> None:
    """Connections are dealt out to all, and whoever is asked tells about all."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, running(tmp_path, toml(url, server="max_sessions = 101")) as daemon:
        async with AsyncExitStack() as stack:
            for opened in range(1, 31):
                await stack.enter_async_context(open_sessions(daemon.port, 1))
                await deepgram.until(opened)
            await until(daemon.port, "sessions_open", "listen", "deepgram", value=30)
            samples: dict[tuple[str, ...], float] = {}
            with trio.fail_after(PATIENCE_S):
                # Workers tell once a second; whoever answers has one connection more, for the question.
                while sum(samples.get(("connections_open", worker), 0) for worker in "12") < 30:
                    await trio.sleep(0.05)
                    samples = await scraped(daemon.port)
            assert min(samples["connections_open", worker] for worker in "12") >= 3
        assert samples["sessions_max",] == 101
        assert samples["workers", "ready"] == 2
        await until(daemon.port, "sessions_open", "listen", "deepgram", value=0)


async def test_ready_while_one_is(tmp_path: Path) -> None:
    """The daemon is full when all workers are, and then every place is taken."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url, server="max_sessions = 3")) as daemon,
        AsyncExitStack() as stack,
    ):
        while deepgram.open_now < 3:
            assert (await get(daemon.port, "/readyz")).json == {"status": "ready"}
            # One that meets a full worker while the others are stuck is turned away; clients try again then.
            caller = await stack.enter_async_context(client(daemon.port))
            with suppress(ConnectionClosed), trio.move_on_after(1):
                await caller.send(AUDIO)
                await deepgram.changed.wait()
        await until_standing(daemon.port, "full")


async def test_a_dead_worker_is_replaced(tmp_path: Path) -> None:
    """Its sessions end, the other's go on, and nobody is refused meanwhile."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url)) as daemon,
        open_sessions(daemon.port, 2),
    ):
        await deepgram.until(2)
        await until(daemon.port, "sessions_open", "listen", "deepgram", value=2)
        await trio.sleep(1.1)  # connections are counted once a second
        lost = (await scraped(daemon.port))["connections_open", "1"]
        before = workers_of(daemon)
        os.kill(before[1], signal.SIGKILL)
        await deepgram.until(2 - int(lost))
        for _ in range(4):
            await whole_session(daemon.port)
        died = await daemon.said("worker_died")
        assert (died["worker"], died["exit_code"]) == (1, -signal.SIGKILL)
        await daemon.said("worker_ready", times=3)
        await until(daemon.port, "workers", "ready", value=2)
        after = workers_of(daemon)
        assert after[2] == before[2]
        assert after[1] != before[1]
        samples = await scraped(daemon.port)
        assert samples["worker_starts_total",] == 3
        assert samples["sessions_open", "listen", "deepgram"] == 2 - lost


async def test_a_connection_waits_for_a_worker(tmp_path: Path) -> None:
    """With all workers dead a client is not refused but served by the next one."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, running(tmp_path, toml(url)) as daemon:
        for pid in workers_of(daemon).values():
            os.kill(pid, signal.SIGKILL)
        await whole_session(daemon.port)
        await daemon.said("worker_died", times=2)


async def test_they_die_with_their_parent(tmp_path: Path) -> None:
    """A killed parent takes its workers along, so that a successor finds the port free."""
    async with running(tmp_path, toml()) as daemon:
        pids = workers_of(daemon).values()
        daemon.signal(signal.SIGKILL)
        assert await daemon.exit_code() == -signal.SIGKILL
        for pid in pids:
            await gone(pid)
        with socket.socket() as successor:
            successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            successor.bind(("127.0.0.1", daemon.port))


async def test_running_sessions_may_finish(tmp_path: Path) -> None:
    """SIGTERM to the parent drains every worker; the parent ends when all have, and leaves nothing behind."""
    deepgram = FakeDeepgram()
    environ = {"RUNTIME_DIRECTORY": str(tmp_path / "run")}
    (tmp_path / "run").mkdir()
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url), environ=environ) as daemon,
        client(daemon.port) as one,
        client(daemon.port) as two,
    ):
        for caller in (one, two):
            await caller.send(AUDIO)
        await deepgram.until_heard(2 * len(AUDIO))
        assert list((tmp_path / "run").iterdir())
        daemon.signal(signal.SIGTERM)
        await daemon.said("draining", times=2)
        await until_standing(daemon.port, "draining")
        for caller in (one, two):
            await caller.finish()
            assert (await caller.rest())[1] == 1000
            await trio.aclose_forcefully(caller.stream)
        assert await daemon.exit_code() == 0
        assert daemon.events()[-1] == "stopped"
        assert "worker_died" not in daemon.events()
        assert not list((tmp_path / "run").iterdir())


async def test_a_second_signal_ends_them_at_once(tmp_path: Path) -> None:
    """Whoever signals twice means all of them."""
    deepgram = FakeDeepgram(is_mute=True)
    async with (
        deepgram.serving() as url,
        running(tmp_path, toml(url)) as daemon,
        client(daemon.port) as one,
        client(daemon.port) as two,
    ):
        for caller in (one, two):
            await caller.send(AUDIO)
        await deepgram.until_heard(2 * len(AUDIO))
        daemon.signal(signal.SIGTERM)
        await daemon.said("draining", times=2)
        daemon.signal(signal.SIGINT)
        for caller in (one, two):
            assert (await caller.rest())[1] == 1012
            await trio.aclose_forcefully(caller.stream)
        assert await daemon.exit_code() == 0


async def test_hangup_reaches_all(tmp_path: Path) -> None:
    """A good configuration is read by every worker, a bad one by the parent only, once."""
    async with running(tmp_path, toml()) as daemon:
        daemon.signal(signal.SIGHUP)
        await daemon.said("reloaded", times=2)
        configured(tmp_path, "limits.idle_s = 'soon'")
        daemon.signal(signal.SIGHUP)
        assert "limits.idle_s" in (await daemon.said("reload_refused"))["why"]
        daemon.signal(signal.SIGTERM)
        assert await daemon.exit_code() == 0
        assert daemon.events().count("reload_refused") == 1
        assert daemon.events().count("reloaded") == 2


async def test_systemd(tmp_path: Path) -> None:
    """Passed sockets are shared, local ones too; systemd hears from the parent only, and when all are ready."""
    deepgram = FakeDeepgram()
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(tmp_path / "notify"))
    notified.setblocking(False)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local, notified:
        local.bind(str(tmp_path / "door.sock"))
        local.listen()
        shell = f'exec 3<&{tcp.fileno()} 4<&{local.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=2; exec "$@"'
        async with (
            deepgram.serving() as url,
            running(
                tmp_path,
                toml(url),
                environ={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"},
                prefix=["bash", "-c", shell, "bash"],
                pass_fds=[tcp.fileno(), local.fileno()],
            ) as daemon,
        ):
            port = tcp.getsockname()[1]
            assert daemon.addresses == [f"127.0.0.1:{port}", f"unix:{tmp_path}/door.sock"]
            await whole_session(port)
            async with client_on(await trio.open_unix_socket(f"{tmp_path}/door.sock")) as caller:
                await caller.send(AUDIO)
                await caller.finish()
                assert (await caller.rest())[1] == 1000
            daemon.signal(signal.SIGTERM)
            assert await daemon.exit_code() == 0
        assert [notified.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
        with pytest.raises(BlockingIOError):
            notified.recv(100)


async def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    """With a watchdog configured, one that gives no sign of life for so long is killed."""
    async with running(tmp_path, toml(), environ={"WATCHDOG_USEC": "5000000"}) as daemon:
        stopped = workers_of(daemon)[2]
        os.kill(stopped, signal.SIGSTOP)
        await daemon.said("worker_hung")
        await gone(stopped)
        await daemon.said("worker_ready", times=3)
        assert (await get(daemon.port, "/healthz")).status == 200


async def test_one_engine_for_all(tmp_path: Path) -> None:
    """The parent starts the local engine, once; every worker reaches it."""
    more = "[providers.local]\nspawn = true\nworkers_max = 1"
    path = "/v1/listen?provider=local&encoding=pcm_s16le&sample_rate=16000"
    async with running(tmp_path, toml(more=more)) as daemon:
        await daemon.said("engine_ready")
        pids = workers_of(daemon)
        for killed in (None, pids[1], pids[2]):
            if killed is not None:
                os.kill(killed, signal.SIGSTOP)  # the other one has to serve
            async with client(daemon.port, path) as caller:
                await caller.send(bytes(32_000))
                await caller.finish()
                assert (await caller.rest())[1] == 1000
            if killed is not None:
                os.kill(killed, signal.SIGCONT)
        assert daemon.events().count("engine_ready") == 1


async def test_a_port_in_use_is_2(tmp_path: Path) -> None:
    """The parent opens the sockets: one sentence, not one per worker."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = toml().replace("127.0.0.1:0", address)
        code, said = await failing(configured(tmp_path, text))
    assert code == 2
    assert said.count(address) == 1


async def test_workers_share_their_books(tmp_path: Path) -> None:
    """A database in memory is nobody else's: with several processes each would know other keys and limits."""
    code, said = await failing(configured(tmp_path, toml(more='[store]\nurl = "sqlite://"')))
    assert code == 2
    assert "store.url" in said


async def test_workers_that_cannot_start(tmp_path: Path) -> None:
    """Their exit code is the daemon's; it does not try for ever what has never worked."""
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text("no certificate")
    code, said = await failing(
        configured(tmp_path, toml(server='tls_certificate = "tls.crt"\ntls_key = "tls.key"'))
    )
    assert code == 2
    assert "Traceback" not in said


async def test_clients_come_back_to_any_worker(tmp_path: Path) -> None:
    """Whichever accepts them, they go on where their session is; a dead worker's sessions are gone, and it is said."""
    deepgram = FakeDeepgram()
    listen = f"{LISTEN}&resume=30"
    async with deepgram.serving() as url, running(tmp_path, toml(url, workers=3)) as daemon:
        sessions = []
        for _ in range(9):
            async with client(daemon.port, listen) as caller:
                sessions.append(await caller.receive())
                await caller.send(AUDIO)
                await trio.aclose_forcefully(caller.stream)
        workers = {session["resume_token"].split("~")[2] for session in sessions}
        assert len(workers) > 1
        for session in sessions[1:]:
            path = f"/v1/listen?resume_token={session['resume_token']}&after=0"
            async with client(daemon.port, path) as caller:
                again = await caller.receive()
                assert (again["id"], again["received_bytes"]) == (session["id"], len(AUDIO))
                await caller.finish()
                messages, code = await caller.rest()
            assert ([one["type"] for one in messages], code) == (["transcript", "turn_end"], 1000)
        token = sessions[0]["resume_token"]
        os.kill(workers_of(daemon)[int(token.split("~")[2])], signal.SIGKILL)
        async with client(daemon.port, f"/v1/listen?resume_token={token}&after=0") as caller:
            assert (await caller.rest())[1] == 1008


async def test_what_one_learns_about_a_provider_all_know(tmp_path: Path) -> None:
    """A refused credential costs one connection, not one for each worker; a reload tries it again."""
    digest, dials = sha256(b"router_test").hexdigest(), 0
    more = f'api_key = "k"\n[[keys]]\nid = "test"\nhash = "sha256:{digest}"'

    async def refuse(stream: trio.SocketStream) -> None:
        nonlocal dials
        dials += 1
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, refuse, 0, host="127.0.0.1"))
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        async with running(tmp_path, toml(url, more=more)) as daemon:

            async def refused() -> None:
                async with client(daemon.port, headers={"x-api-key": "router_test"}) as caller:
                    assert (await caller.rest())[1] == 4040

            for _ in range(20):
                await refused()
            assert dials == 1
            told = (await get(daemon.port, "/readyz?verbose")).json["providers"]["deepgram"]
            assert (told["state"], told["wait_s"], told["sessions"]) == ("disabled", None, 0)
            await until(daemon.port, "provider_state", "deepgram", "disabled", value=1)
            daemon.signal(signal.SIGHUP)
            await daemon.said("reloaded", times=2)
            await refused()
            assert dials == 2
        nursery.cancel_scope.cancel()
