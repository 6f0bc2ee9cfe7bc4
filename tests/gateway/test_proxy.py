"""A transparent session between two peers in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routeraudio.gateway.proxy import HELD_BYTES, Plan, Proxy
from routeraudio.model.errors import BudgetUsedUp, CloseCode, Overloaded, UpstreamFault, unauthorized
from routeraudio.model.message import Message
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Dial
from routeraudio.providers.native import AudioCounter
from routeraudio.session.first_messages import FirstMessages
from routeraudio.session.streams import Refused
from tests.session.fakes import FakeDialler, FakeStream, FakeTab

LIMITS = Limits()
SECOND = bytes(32_000)
STOPPING = Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)
FAREWELL = '{"type":"CloseStream"}'


class Scene:
    """A passage and both its peers."""

    def __init__(
        self,
        *,
        granted: float = 1_000_000,
        after_s: float = 0.0,
        fails: Exception | None = None,
        already: FirstMessages | None = None,
        limits: Limits = LIMITS,
        credit: FakeTab | None = None,
        rate: int = 32_000,
        **plan: Any,
    ) -> None:
        self.client, self.provider = FakeStream(), FakeStream()
        self.credit = credit or FakeTab(granted)
        self.dialler = FakeDialler(self.provider, after_s=after_s, fails=fails)
        settled: dict[str, Any] = {
            "request_id": "r1",
            "key_id": "k1",
            "provider": "deepgram",
            "title": "Deepgram",
            "model": None,
            "dial": Dial("wss://vendor.test/v1/listen"),
            "refused": lambda status, _body: UpstreamFault(f"refused (HTTP {status})"),
            "meter": AudioCounter(rate),
            "credit": self.credit,
            "end_of_audio": lambda _: FAREWELL,
        }
        self.passage = Proxy(Plan(**{**settled, **plan}), self.client, self.dialler, limits, already=already)
        self.ended_at_s: float | None = None
        self.ended = trio.Event()

    @property
    def ending(self) -> object:
        """The word in the ledger."""
        [closing] = self.credit.closings
        return closing["ending"]

    async def run(self) -> None:
        await self.passage.run()
        self.ended_at_s = trio.current_time()
        self.ended.set()


@asynccontextmanager
async def playing(scene: Scene) -> AsyncIterator[Scene]:
    """Run it; on leaving, it must have come to an end, with everything released."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.run)
        await wait_all_tasks_blocked()
        yield scene
        with trio.fail_after(LIMITS.session_s + 100):
            await scene.ended.wait()
    assert scene.client.is_released
    assert scene.provider.is_released or not scene.provider.is_started
    assert len(scene.credit.closings) == 1


EVERYTHING: list[Message] = ["", b"", "{", "ü\U0001f600\ufffe\0", b"\x00\xff", SECOND, "x" * 100_000, b""]


async def test_messages_pass_in_one_call_each_way(autojump_clock: MockClock) -> None:
    """Kind, content and order, and nothing waits for a task."""
    async with playing(Scene()) as scene:
        for message in EVERYTHING:
            scene.client.says_at_once(message)
            scene.provider.says_at_once(message)
            assert scene.provider.heard[-1] == message
            assert type(scene.provider.heard[-1]) is type(message)
        scene.client.hangs_up(1000, "done")
    assert scene.provider.heard == scene.client.heard == EVERYTHING
    assert (scene.provider.close.code, scene.provider.close.reason) == (1000, "done")
    assert scene.ending == "ok"


async def test_what_comes_while_dialling_is_kept(autojump_clock: MockClock) -> None:
    """In order, up to a bound, beyond which the client is not read."""
    async with playing(Scene(after_s=5)) as scene:
        sent: list[Message] = [*EVERYTHING, *[SECOND] * 40]
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                for message in sent:
                    await scene.client.says(message)

            nursery.start_soon(talk)
            await wait_all_tasks_blocked()
            assert scene.client.is_paused
        assert scene.provider.heard == sent
        scene.provider.hangs_up(1000)
    assert scene.client.pauses == 1


async def test_a_provider_that_does_not_read_slows_the_client(autojump_clock: MockClock) -> None:
    """At most so much is kept, and nothing is lost."""
    async with playing(Scene()) as scene:
        scene.provider.stops_reading()
        count = 0
        while not scene.client.is_paused:
            scene.client.says_at_once(SECOND)
            count += 1
        assert count * len(SECOND) <= HELD_BYTES + 2 * len(SECOND)
        scene.provider.reads()
        await wait_all_tasks_blocked()
        await scene.client.says("after")
        assert scene.provider.heard == [SECOND] * count + ["after"]
        scene.client.hangs_up()


async def test_a_client_that_does_not_read_slows_the_provider(autojump_clock: MockClock) -> None:
    """The other way round; its close comes behind what it has not read yet."""
    async with playing(Scene()) as scene:
        scene.client.stops_reading()
        count = 0
        while not scene.provider.is_paused:
            scene.provider.says_at_once("x" * 10_000)
            count += 1
        assert count * 10_000 <= HELD_BYTES + 20_000
        scene.provider.hangs_up(1000, "that was all")
        await trio.sleep(LIMITS.send_s / 2)
        assert scene.client.is_open
        scene.client.reads()
        await wait_all_tasks_blocked()
        assert scene.client.heard == ["x" * 10_000] * count
        assert (scene.client.close.code, scene.client.close.reason) == (1000, "that was all")


async def test_a_client_that_never_reads(autojump_clock: MockClock) -> None:
    """Is closed in bounded time."""
    async with playing(Scene()) as scene:
        scene.client.stops_reading()
        scene.provider.says_at_once("x")
        scene.provider.says_at_once("y")
    assert scene.client.close.code == 3008
    assert scene.ended_at_s is not None
    assert scene.ended_at_s < 2 * LIMITS.send_s + LIMITS.close_client_s


async def test_a_provider_that_never_reads(autojump_clock: MockClock) -> None:
    """Is given up in bounded time."""
    async with playing(Scene()) as scene:
        scene.provider.stops_reading()
        scene.client.says_at_once(SECOND)
        scene.client.says_at_once(SECOND)
    assert scene.client.close.code == 1011
    assert scene.ending == "provider_unreachable"


CODES = [1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]


@pytest.mark.parametrize("code", CODES)
async def test_closes_pass(autojump_clock: MockClock, code: int) -> None:
    """Code and reason reach the other side, both ways, behind the messages before them."""
    async with playing(Scene()) as scene:
        scene.provider.says_at_once("last")
        scene.provider.hangs_up(code, "why")
    assert (scene.client.close.code, scene.client.close.reason) == (code, "why")
    assert scene.ending == ("ok" if code in (1000, 1005) else "provider_error")
    async with playing(Scene()) as scene:
        scene.client.says_at_once("last")
        scene.client.hangs_up(code, "why")
    assert (scene.provider.close.code, scene.provider.close.reason) == (code, "why")
    assert scene.provider.heard == ["last"]


async def test_lost_connections(autojump_clock: MockClock) -> None:
    """A lost provider is 1011 to the client, a lost client has gone away; what broke a rule is not blamed further."""
    async with playing(Scene()) as scene:
        scene.provider.hangs_up(None)
    assert scene.client.close.code == 1011
    async with playing(Scene()) as scene:
        scene.client.hangs_up(None)
    assert (scene.provider.close.code, scene.ending) == (1001, "client_gone")
    async with playing(Scene()) as scene:
        scene.client.hangs_up(1007, "not UTF-8", is_violation=True)
    assert scene.provider.close.code == 1001


async def test_a_client_that_is_lost_while_dialling(autojump_clock: MockClock) -> None:
    """The dial is called off."""
    async with playing(Scene(after_s=1000)) as scene:
        scene.client.says_at_once(SECOND)
        scene.client.hangs_up(None)
    assert scene.dialler.is_cancelled
    assert scene.ended_at_s == 0
    assert scene.credit.marks == []


async def test_a_client_that_leaves_while_dialling(autojump_clock: MockClock) -> None:
    """What it has said still goes to the provider, and its close behind it."""
    async with playing(Scene(after_s=5)) as scene:
        scene.client.says_at_once(SECOND)
        scene.client.hangs_up(4000, "bye")
    assert scene.provider.heard == [SECOND]
    assert (scene.provider.close.code, scene.provider.close.reason, scene.provider.close.at_s) == (
        4000,
        "bye",
        5,
    )


@pytest.mark.parametrize(
    ("fails", "code"),
    [
        (UpstreamFault("Deepgram is unreachable", code="provider_unreachable"), 1011),
        (Refused(401, b"no"), 1011),
        (RuntimeError("canary"), 1011),
    ],
)
async def test_dials_that_fail(autojump_clock: MockClock, fails: Exception, code: int) -> None:
    """The client is told with a close, and is charged nothing."""
    async with playing(Scene(fails=fails)) as scene:
        pass
    assert scene.client.close.code == code
    assert "canary" not in (scene.client.close.reason or "")
    assert scene.credit.marks == []


async def test_a_refusal_of_the_clients_own_key(autojump_clock: MockClock) -> None:
    """Is the client's to fix."""
    async with playing(Scene(fails=Refused(401, b"no"), refused=lambda *_: unauthorized("bad key"))) as scene:
        pass
    assert (scene.client.close.code, scene.client.close.reason) == (3000, "bad key")


async def test_the_first_text_message_is_looked_at(autojump_clock: MockClock) -> None:
    """And no other, whatever is sent before it."""
    async with playing(Scene(opening=str.upper)) as scene:
        for message in (b"a", "b", "c"):
            scene.client.says_at_once(message)
        scene.client.hangs_up()
    assert scene.provider.heard == [b"a", "B", "c"]


async def test_what_an_overture_heard_comes_first(autojump_clock: MockClock) -> None:
    """And a close that it heard is a close."""
    overture = FirstMessages()
    assert not overture.message("start")
    overture.message(SECOND)
    async with playing(Scene(already=overture)) as scene:
        assert await overture.first() == "start"
        scene.client.says_at_once("more")
        assert scene.provider.heard == ["start", SECOND, "more"]
        scene.client.hangs_up()


# Money.


async def test_audio_waits_for_its_cycle(autojump_clock: MockClock) -> None:
    """Exactly what is granted passes, then the rest in order."""
    async with playing(Scene(granted=1)) as scene:
        for _ in range(7):
            scene.client.says_at_once(SECOND)
        scene.client.says_at_once("text behind")
        assert scene.provider.heard == [SECOND] * 5
        await wait_all_tasks_blocked()
        scene.credit.grant(2)
        await wait_all_tasks_blocked()
        assert scene.provider.heard == [SECOND] * 7 + ["text behind"]
        scene.client.hangs_up()
    assert scene.credit.marks == [1, 2]
    assert scene.credit.closings[0]["audio_ms"] == 7000


async def test_a_used_up_budget(autojump_clock: MockClock) -> None:
    """The paid audio is heard out: the provider is told the end, its last words pass, then 4402."""
    scene = Scene(granted=1)
    scene.credit.refuse(BudgetUsedUp("the budget is used up"))
    async with playing(scene):
        for _ in range(7):
            scene.client.says_at_once(SECOND)
        await wait_all_tasks_blocked()
        assert scene.provider.heard == [SECOND] * 5 + [FAREWELL]
        scene.client.says_at_once(SECOND)
        scene.provider.says_at_once("last words")
        scene.provider.hangs_up(1000)
    assert scene.client.heard == ["last words"]
    assert (scene.client.close.code, scene.client.close.reason) == (4402, "the budget is used up")
    assert scene.provider.heard[-1] == FAREWELL
    assert scene.credit.closings[0]["audio_ms"] == 5000


async def test_silence_is_free(autojump_clock: MockClock) -> None:
    """An open socket on which only texts pass costs nothing."""
    async with playing(Scene()) as scene:
        for _ in range(12):
            scene.client.says_at_once('{"type":"KeepAlive"}')
            await trio.sleep(5)
        scene.client.hangs_up()
    assert scene.credit.marks == []
    assert scene.credit.closings[0]["audio_ms"] == 0


# Ends that are ours.


async def test_the_daemon_stops(autojump_clock: MockClock) -> None:
    """What has come goes on, the provider says its last words, then 1012."""
    async with playing(Scene()) as scene:
        scene.client.says_at_once(SECOND)
        scene.passage.finish(STOPPING)
        await wait_all_tasks_blocked()
        assert scene.provider.heard == [SECOND, FAREWELL]
        scene.provider.says_at_once("final")
        scene.provider.hangs_up(1000)
    assert scene.client.heard == ["final"]
    assert scene.client.close.code == 1012


async def test_a_provider_that_says_no_end(autojump_clock: MockClock) -> None:
    """Is waited for no longer than for anybody's last words."""
    async with playing(Scene()) as scene:
        scene.passage.finish(STOPPING)
    assert (scene.client.close.code, scene.provider.close.code) == (1012, 1001)
    assert scene.client.close.at_s == LIMITS.last_words_s


async def test_a_vendor_without_a_farewell(autojump_clock: MockClock) -> None:
    """Is closed at once."""
    async with playing(Scene(end_of_audio=None)) as scene:
        scene.passage.finish(STOPPING)
    assert scene.client.close.at_s == 0


async def test_stopping_while_dialling(autojump_clock: MockClock) -> None:
    """Nobody is waited for."""
    async with playing(Scene(after_s=1000)) as scene:
        scene.client.says_at_once(SECOND)
        scene.passage.finish(STOPPING)
    assert (scene.client.close.code, scene.client.close.at_s) == (1012, 0)


@pytest.mark.parametrize("speaker", ["client", "provider"])
async def test_idleness(autojump_clock: MockClock, speaker: str) -> None:
    """Either side keeps it open by saying anything; nothing at all ends it."""
    async with playing(Scene()) as scene:
        peer = scene.client if speaker == "client" else scene.provider
        for _ in range(5):
            peer.says_at_once("here")
            await trio.sleep(LIMITS.idle_s * 0.9)
        assert scene.client.is_open
    assert scene.client.close.code == 3008


async def test_the_longest_session(autojump_clock: MockClock) -> None:
    """Ends, however much is said."""
    limits = msgspec.structs.replace(LIMITS, session_s=100.0)
    async with playing(Scene(limits=limits, end_of_audio=None)) as scene:
        for _ in range(22):
            scene.client.says_at_once("here")
            await trio.sleep(5)
    assert scene.client.close.code == 3008


async def test_a_revoked_key(autojump_clock: MockClock) -> None:
    """Ends the stream with its reason."""

    class Revoked(FakeTab):
        async def revoked(self) -> None:
            await trio.sleep_until(20)
            raise unauthorized("the router key has been disabled")

    async with playing(Scene(credit=Revoked(10), end_of_audio=None)) as scene:
        pass
    assert (scene.client.close.code, scene.client.close.at_s) == (3000, 20)


def _raise(_message: str) -> str:
    raise RuntimeError("canary")


async def test_a_bug_costs_one_passage(autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sides are closed, and the log has the place without the words."""
    async with playing(Scene(opening=_raise)) as scene:
        scene.client.says_at_once("x")
    assert (scene.client.close.code, scene.provider.close.code) == (1011, 1001)
    log = capsys.readouterr().out
    assert "RuntimeError" in log
    assert "canary" not in log


@pytest.mark.parametrize("moment", ["dialling", "talking", "parting", "closing"])
async def test_cancelled(autojump_clock: MockClock, moment: str) -> None:
    """At any time: the client is told 1012 without waiting, the credit is closed, both sockets are released."""
    scene = Scene(after_s=1000 if moment == "dialling" else 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.run)
        await wait_all_tasks_blocked()
        scene.client.says_at_once(SECOND)
        if moment == "parting":
            scene.passage.finish(STOPPING)
        if moment == "closing":
            scene.client.stops_reading()
            scene.provider.says_at_once("x")
            scene.provider.hangs_up(1000)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert scene.client.is_released
    assert scene.client.close.code == 1012
    assert len(scene.credit.closings) == 1
