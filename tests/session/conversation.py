"""One whole session between two fakes, in virtual time: what came in, what went out, in order."""

import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
import trio
import trio.testing

from routeraudio.dialects.base import Dialect
from routeraudio.dialects.listen import Listen
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.options import Options
from routeraudio.policy.limits import Limits
from routeraudio.session.credit import Credit, UnlimitedCredit
from routeraudio.session.pipeline import Plan, Session
from tests.session.adapter import FakeAdapter
from tests.session.fakes import FakeDialler, FakeStream

CHUNK = b"\x01\x02" * 320
"""20 ms of 16 kHz PCM."""

SECOND = b"\x03\x04" * 16000

PATIENCE_S = 100_000.0
"""Virtual seconds after which a session, or a peer, that does not come to an end is a failure."""


class Conversation:
    """A running session and everything around it."""

    def __init__(self, session: Session, client: FakeStream, upstream: FakeStream) -> None:
        self.session = session
        self.client = client
        self.upstream = upstream
        self.ended = trio.Event()
        self.ended_at_s = 0.0
        self.log: list[MutableMapping[str, Any]] = []
        self.scope = trio.CancelScope()
        self._began_s = trio.current_time()

    async def ready(self) -> None:
        """The vendor says that it is ready."""
        await settled()
        await self.upstream.says("ready")
        await settled()

    async def ends(self) -> None:
        """Wait for the end of the session."""
        await self.ended.wait()

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the client was told, decoded."""
        return [json.loads(message) for message in self.client.texts]

    @property
    def story(self) -> list[str]:
        """What the client was told, in short: `final TEXT`, `partial TEXT`, `turn_end`, `error CODE`, close code."""
        ending = [] if self.client.close.code is None else [str(self.client.close.code)]
        return [short(message) for message in self.told] + ending

    @property
    def duration_s(self) -> float:
        return self.ended_at_s - self._began_s

    def logged(self, event: str) -> MutableMapping[str, Any]:
        """The one log line ``event``."""
        (line,) = [line for line in self.log if line["event"] == event]
        return line

    @property
    def bugs(self) -> list[MutableMapping[str, Any]]:
        return [line for line in self.log if line["event"] == "session_bug"]

    async def run(self) -> None:
        """Run the session; it raises nothing, releases both streams and leaves one line in the log."""
        with self.scope:
            await self.session.run()
        self.ended_at_s = trio.current_time()
        self.ended.set()


def short(message: dict[str, Any]) -> str:
    """One message to the client in a few words."""
    if message["type"] == "transcript":
        return f"{'partial' if message['is_partial'] else 'final'} {message['transcript']}"
    is_coded = message["type"] in ("error", "notice")
    return f"{message['type']} {message['code']}" if is_coded else str(message["type"])


async def settled() -> None:
    """Let everything happen that happens by itself without time passing."""
    await trio.testing.wait_all_tasks_blocked()


def options(
    *, audio: AudioFormat = PCM_16K_MONO, partial_results: bool = True, parse_json: bool = True
) -> Options:
    """A client of the fake vendor's."""
    return Options(provider="fake", audio=audio, partial_results=partial_results, parse_json=parse_json)


@asynccontextmanager
async def conversation(
    *,
    adapter: FakeAdapter | None = None,
    client: FakeStream | None = None,
    upstream: FakeStream | None = None,
    dial: FakeDialler | None = None,
    dial_s: float = 0.0,
    limits: Limits | None = None,
    wishes: Options | None = None,
    credit: Credit | None = None,
    make_dialect: Callable[[Options, str], Dialect] = Listen,
) -> AsyncIterator[Conversation]:
    """A session under way. Afterwards it has ended, both streams are released, and nothing secret is in the log."""
    wishes = options() if wishes is None else wishes
    client = FakeStream() if client is None else client
    upstream = FakeStream() if upstream is None else upstream
    plan = Plan(
        request_id="request-1",
        key_id="key-1",
        title="Fake",
        options=wishes,
        adapter=FakeAdapter() if adapter is None else adapter,
        dialect=make_dialect(wishes, "request-1"),
        credit=UnlimitedCredit() if credit is None else credit,
    )
    dial = FakeDialler(upstream, after_s=dial_s) if dial is None else dial
    play = Conversation(Session(plan, client, dial, Limits() if limits is None else limits), client, upstream)
    with structlog.testing.capture_logs() as log, trio.fail_after(PATIENCE_S):
        play.log = log
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play.run)
            yield play
            await play.ends()
    assert client.is_released
    assert upstream.is_released or not upstream.is_started
