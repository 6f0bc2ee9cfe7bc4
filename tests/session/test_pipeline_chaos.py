"""`Session`: whatever both peers do and in whatever order, the session keeps its promises."""

import json
from itertools import count

import hypothesis.strategies as st
import trio
from hypothesis import given, settings
from trio.testing import MockClock

from routeraudio.model.errors import CloseCode, Overloaded
from routeraudio.policy.limits import Limits
from tests.session.adapter import FakeAdapter
from tests.session.conversation import Conversation, conversation, settled
from tests.session.fakes import FakeStream

LIMITS = Limits(outbox_messages_max=4, outbox_bytes=4000, idle_s=20, session_s=300)

CLIENT = ("audio", "audio", "much audio", "finalize", "keepalive", "stops reading", "reads one", "reads")
CLIENT_ENDS = ("end", "leaves", "nonsense", "falls silent")
VENDOR = ("partial", "partial", "final", "settle", "turn", "usage 5", "notice") * 2 + (
    "stops reading",
    "reads one",
    "reads",
    "fail gone",
    "closes",
)
TIME = ("settle down", "0.1 s", "3 s", "9 s", "daemon stops")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("client"), st.sampled_from(CLIENT)),
        st.tuples(st.just("vendor"), st.sampled_from(VENDOR)),
        st.tuples(st.just("vendor"), st.just("ready")),
        st.tuples(st.just("time"), st.sampled_from(TIME)),
    ),
    max_size=40,
)
ENDS = st.tuples(st.sampled_from(CLIENT_ENDS), st.sampled_from(["end", "closes", "is silent"]))


class Chaos:
    """The two peers, taking turns as told. What a peer may not do at the moment it does not do."""

    def __init__(self, play: Conversation) -> None:
        self.play = play
        self.audio = b""
        self.is_ready = False
        self.has_left = False
        self._numbers = count()

    async def step(self, who: str, what: str) -> None:
        if who == "client":
            await self._client(what)
        elif who == "vendor":
            await self._vendor(what)
        elif what == "settle down":
            await settled()
        elif what == "daemon stops":
            self.play.session.finish(Overloaded("stopping", close_code=CloseCode.RESTART))
        else:
            await trio.sleep(float(what.split()[0]))

    async def _client(self, what: str) -> None:
        client = self.play.client
        if what in ("stops reading", "reads one", "reads"):
            _read(client, what)
        elif not client.is_paused and client.is_started:
            if "audio" in what:
                chunk = next(self._numbers).to_bytes(2, "big") * (320 if what == "audio" else 20_000)
                self.audio += chunk
                await client.says(chunk)
            else:
                await client.says(json.dumps({"type": what}))

    async def _vendor(self, what: str) -> None:
        upstream = self.play.upstream
        if what in ("stops reading", "reads one", "reads"):
            _read(upstream, what)
        elif not upstream.is_started or upstream.is_paused:
            return
        elif what == "closes":
            upstream.hangs_up(1011)
        elif what in ("partial", "final", "settle"):
            await upstream.says(f"{what} {next(self._numbers)}")
        elif what == "ready":
            if not self.is_ready:
                self.is_ready = True
                await upstream.says("ready")
        elif self.is_ready or what.startswith("fail"):
            await upstream.says(what)

    async def end(self, client_end: str, vendor_end: str) -> None:
        """The client's part of the end, and the vendor's; in virtual time all of it is over some day."""
        client, upstream = self.play.client, self.play.upstream
        if client_end == "leaves":
            self.has_left = True
            client.hangs_up(1001)
        elif client_end == "end" and not client.is_paused:
            await client.says('{"type":"end_of_stream"}')
        elif client_end == "nonsense" and not client.is_paused:
            await client.says("nonsense")
        for _ in range(60):
            await trio.sleep(1)
            if "FINISH" in upstream.heard:
                break
        else:
            return
        if vendor_end == "end" and not upstream.is_paused:
            await upstream.says("end")
        elif vendor_end == "closes":
            upstream.hangs_up(1000)


def _read(stream: FakeStream, what: str) -> None:
    if what == "stops reading":
        stream.stops_reading()
    elif what == "reads":
        stream.reads()
    else:
        stream.reads(1)


def check_promises(chaos: Chaos, adapter: FakeAdapter) -> None:
    """No bug; all that is final told, in order, before the error; audio in order; one close code that fits."""
    play = chaos.play
    assert play.bugs == []
    code = play.client.close.code
    errors = [each for each in play.story if each.startswith("error")]
    told = [each for each in play.story[:-1] if not each.startswith("error")]
    if chaos.has_left and code is None:
        told = [each for each in play.story if not each.startswith("error")]
    else:
        assert code in (1000, 1003, 1012, 3008, 4040)
        assert len(errors) == (0 if code in (1000, 1012) else 1)
        assert not errors or play.story[-2] == errors[0]
        assert _settled(told) == _settled(adapter.texts)
    assert _is_subsequence(told, adapter.texts)
    assert chaos.audio.startswith(play.upstream.audio)
    if code == 1000:
        assert play.upstream.audio == chaos.audio


def _settled(texts: list[str]) -> list[str]:
    return [text for text in texts if not text.startswith("partial")]


def _is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(each in rest for each in part)


@settings(max_examples=6 * settings().max_examples)
@given(steps=STEPS, ends=ENDS, dial_s=st.sampled_from([0.0, 2.0]), ready=st.booleans())
def test_any_conversation_keeps_its_promises(
    steps: list[tuple[str, str]], ends: tuple[str, str], dial_s: float, ready: bool
) -> None:
    """Random conversations between a client and a vendor that pause, fail, leave and fall silent as they like."""

    async def story() -> tuple[Chaos, FakeAdapter]:
        adapter = FakeAdapter(tick_s=4)
        async with conversation(adapter=adapter, dial_s=dial_s, limits=LIMITS) as play:
            chaos = Chaos(play)
            if ready:
                await trio.sleep(dial_s)
                await chaos.step("time", "settle down")
                await chaos.step("vendor", "ready")
            for who, what in steps:
                await chaos.step(who, what)
            await chaos.end(*ends)
            await trio.sleep(60)
            play.client.reads()
            await play.ends()
        return chaos, adapter

    check_promises(*trio.run(story, clock=MockClock(autojump_threshold=0)))
