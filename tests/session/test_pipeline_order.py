"""`Session`: the fast path and the queued way give the upstream the same bytes, whatever waits and for how long."""

import hypothesis.strategies as st
import trio
from hypothesis import given, settings
from trio.testing import MockClock

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.message import Message
from tests.session.adapter import FakeAdapter
from tests.session.conversation import conversation, options, settled

END = '{"type":"end_of_stream"}'

SOURCES = [PCM_16K_MONO, AudioFormat("pcm_mulaw", 8000), AudioFormat("pcm_s16le", 48000, 2)]

SAYINGS = st.one_of(
    st.binary(min_size=1, max_size=2000),
    st.integers(0, 255).map(lambda value: bytes([value]) * 16_000),
    st.sampled_from(['{"type":"finalize"}', '{"type":"keepalive"}', '{"type":"new"}', b""]),
)
"""What a client may say: chunks small, odd and large, controls, and what is ignored."""

DOINGS = st.sampled_from(["stop", "read one", "read", "settle", "wait"])
"""What may happen around it: the upstream stops and starts to read, the tasks of the session run, time passes."""


def merged(messages: list[Message]) -> list[Message]:
    """Audio between controls as one run: how it is cut into messages is the relay's business."""
    runs: list[Message] = []
    for message in messages:
        last = runs[-1] if runs else None
        if isinstance(message, bytes) and isinstance(last, bytes):
            runs[-1] = last + message
        else:
            runs.append(message)
    return runs


async def _told_at_once(source: AudioFormat, said: list[Message]) -> list[Message]:
    """What an upstream that is ready and always reads gets to hear."""
    async with conversation(wishes=options(audio=source)) as play:
        await play.ready()
        for message in said:
            await play.client.says(message)
        await play.client.says(END)
        await settled()
        await play.upstream.says("end")
    return merged(play.upstream.heard)


async def _told_in_fits(
    source: AudioFormat, said: list[Message], doings: list[list[str]], dial_s: float, ready_at: int
) -> list[Message]:
    """What one gets to hear that is dialled slowly, gets ready late, and reads in fits."""
    adapter = FakeAdapter(is_ready_when_opened=ready_at < 0)
    async with conversation(adapter=adapter, wishes=options(audio=source), dial_s=dial_s) as play:

        async def client() -> None:
            for message in [*said, END]:
                await play.client.says(message)

        async def upstream() -> None:
            for number, steps in enumerate(doings):
                if number == ready_at:
                    await play.upstream.says("ready")
                for step in steps:
                    await _do(step)
            if ready_at >= len(doings):
                await play.upstream.says("ready")

        async def _do(step: str) -> None:
            match step:
                case "stop":
                    play.upstream.stops_reading()
                case "read one":
                    play.upstream.reads(1)
                case "read":
                    play.upstream.reads()
                case "settle":
                    await settled()
                case _:
                    await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            await upstream()
            play.upstream.reads()
        # A vendor ends when it has been asked to, which it is not before it has been dialled.
        await trio.sleep(dial_s + 1)
        await settled()
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["1000"]
    return merged(play.upstream.heard)


@settings(max_examples=2 * settings().max_examples)
@given(
    source=st.sampled_from(SOURCES),
    said=st.lists(SAYINGS, min_size=1, max_size=20),
    doings=st.lists(st.lists(DOINGS, max_size=4), max_size=20),
    dial_s=st.sampled_from([0.0, 0.1, 3.0]),
    ready_at=st.integers(-1, 20),
)
def test_the_upstream_hears_the_same_whatever_waits(
    source: AudioFormat, said: list[Message], doings: list[list[str]], dial_s: float, ready_at: int
) -> None:
    """Congestion, slow dials, late readiness and any cut of the audio change when bytes go out, never which."""

    async def at_once() -> list[Message]:
        return await _told_at_once(source, said)

    async def in_fits() -> list[Message]:
        return await _told_in_fits(source, said, doings, dial_s, ready_at)

    expected = trio.run(at_once, clock=MockClock(autojump_threshold=0))
    assert trio.run(in_fits, clock=MockClock(autojump_threshold=0)) == expected
