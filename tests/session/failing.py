"""A whole session in front of vendors that are slow, refuse, or are cut."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import trio

from routeraudio.dialects.listen import Listen
from routeraudio.policy.limits import Limits
from routeraudio.providers.base import Dial
from routeraudio.session.candidate import Candidate
from routeraudio.session.legs import Legs
from routeraudio.session.pipeline import Plan, Session
from routeraudio.session.succession import Failover
from tests.session.conversation import options
from tests.session.fakes import FakeStream, FakeTab
from tests.session.numbered import AUDIO, CHUNK_MS, PAUSE, NumberedAdapter, NumberedVendor, word

FAILOVER = Failover()

END = '{"type":"end_of_stream"}'

Cut = Callable[[NumberedVendor], None]

CUTS: dict[str, Cut] = {
    "lost": lambda vendor: vendor.hangs_up(None),
    "1011": lambda vendor: vendor.hangs_up(1011, "oops"),
    "early 1000": lambda vendor: vendor.hangs_up(1000),
    "garbage": lambda vendor: vendor.says_at_once("no json"),
    "slow death": lambda vendor: vendor.stops_reading(),
}


class FakeLeg(FakeTab):
    """A line that everything is granted on."""

    def __init__(self, provider: str) -> None:
        super().__init__(10_000)
        self.provider = provider
        self.cycles = self.audio_ms = self.replayed_ms = 0

    def begun(self, cycles: int) -> None:
        self.cycles = cycles

    async def wait_granted(self, cycles: int) -> None:
        await trio.lowlevel.checkpoint()

    def replayed(self, replayed_ms: int) -> None:
        self.replayed_ms = replayed_ms

    def moved(self, cycles: int, *, audio_ms: int, connected_ms: int, provider_ms: int | None) -> None:
        self.cycles, self.audio_ms = cycles, audio_ms
        self.closings.append({"ending": "moved"})

    async def close(self, **closing: object) -> None:
        await super().close(**closing)
        self.audio_ms = int(str(closing["audio_ms"]))


class Failing:
    """A whole session in front of vendors that are cut.

    Args:
        names: of the providers, in the order of the route.
        dialled: asked before each dial; what it raises is the dial's fault.
        has_legs: whether the ledger is told who serves.
        slow_s: how long a provider takes to be ready once it is connected.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        names: tuple[str, ...],
        *,
        has_times: bool = True,
        dialled: Callable[[str, int], None] = lambda _name, _dial: None,
        failover: Failover | None = FAILOVER,
        jitters_ms: tuple[int, ...] = (0,),
        words_max: int = 7,
        slow_s: Callable[[str], float] = lambda _name: 0.0,
        has_legs: bool = False,
    ) -> None:
        self.vendors: list[NumberedVendor] = []
        self.served: list[str] = []
        self.dials: list[str] = []
        self.times_s: list[float] = []
        self.client = FakeStream()
        self.credit = FakeTab(10_000)
        self.lines: list[FakeLeg] = []
        """In the ledger, by leg."""
        self._nursery = nursery
        self._dialled = dialled
        self._jitters_ms = jitters_ms
        self._words_max = words_max
        self._slow_s = slow_s
        candidates = [
            Candidate(
                name=name,
                title=name.title(),
                audio_format=AUDIO,
                adapter=lambda: NumberedAdapter(has_times=has_times),
                dial=self._dialler(name),
                open_leg=partial(self._open_leg, name),
            )
            for name in names
        ]
        asked = msgspec.structs.replace(options(partial_results=True), provider=names[0], summary=True)
        if has_legs:
            self.lines.append(FakeLeg(names[0]))
        legs = Legs(self.lines[0]) if has_legs else None
        plan = Plan(
            request_id="r1",
            key_id="k1",
            title=candidates[0].title,
            options=asked,
            adapter=NumberedAdapter(has_times=has_times),
            another=candidates[0].adapter,
            dialect=Listen(asked, "r1"),
            credit=legs or self.credit,
            legs=legs,
            open_leg=candidates[0].open_leg,
            others=tuple(candidates[1:]),
            failover=failover,
        )
        self.session = Session(plan, self.client, candidates[0].dial, Limits())
        self.over = trio.Event()
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        await self.session.run()
        self.over.set()

    def _dialler(self, name: str) -> Callable[[Dial], object]:
        async def dial(_: Dial) -> FakeStream:
            self.dials.append(name)
            self.times_s.append(trio.current_time())
            await trio.sleep(0.05)
            self._dialled(name, len(self.dials))
            jitter_ms = self._jitters_ms[len(self.vendors) % len(self._jitters_ms)]
            vendor = NumberedVendor(
                self._nursery,
                jitter_ms=jitter_ms,
                words_max=self._words_max,
                ready_after_s=self._slow_s(name),
            )
            self.vendors.append(vendor)
            self.served.append(name)
            return vendor

        return dial

    async def _open_leg(self, name: str, number: int) -> "FakeLeg":
        await trio.sleep(0.01)
        self.lines.append(FakeLeg(name))
        assert number == len(self.lines)
        return self.lines[-1]

    async def speak(self, numbers: range, pause_every: int | None = 9) -> None:
        """In real time."""
        for number in numbers:
            await self.client.says(word(number))
            await trio.sleep(CHUNK_MS / 1000)
            if pause_every and number % pause_every == pause_every - 1:
                await self.client.says(PAUSE)
                await self.client.says(PAUSE)
                await trio.sleep(CHUNK_MS / 500)

    async def finish(self) -> None:
        await self.client.says(END)
        with trio.fail_after(120):
            await self.over.wait()

    @property
    def told(self) -> list[dict[str, object]]:
        return [json.loads(text) for text in self.client.texts]

    @property
    def finals(self) -> list[dict[str, object]]:
        return [one for one in self.told if one["type"] == "transcript" and not one["is_partial"]]

    @property
    def numbers(self) -> list[int]:
        return [int(number) for final in self.finals for number in str(final["transcript"]).split()]

    @property
    def summary(self) -> dict[str, object]:
        return self.told[-1]


@asynccontextmanager
async def failing(*names: str, **more: object) -> AsyncIterator[Failing]:
    async with trio.open_nursery() as nursery:
        yield Failing(nursery, names or ("one",), **more)  # type: ignore[arg-type]
        nursery.cancel_scope.cancel()


async def speak_with_cuts(play: Failing, cut: Cut, times_s: list[float], words: int = 120) -> None:
    """Speak, while whatever connection is the current one is cut at these times."""

    async def cuts() -> None:
        for at_s in times_s:
            await trio.sleep_until(at_s)
            if play.vendors and play.vendors[-1].is_open:
                cut(play.vendors[-1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cuts)
        await play.speak(range(words))
        await play.finish()
        nursery.cancel_scope.cancel()
