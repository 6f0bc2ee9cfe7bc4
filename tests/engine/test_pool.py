"""Recognitions in processes of their own: how they start, share, die and stay bounded."""

import importlib.util
import os
import subprocess
import sys

import psutil  # type: ignore[import-untyped]
import pytest
import trio

from routeraudio.engine.faults import EngineFault, EngineFull, EngineMissing
from routeraudio.engine.hearing import Hearing
from routeraudio.engine.loading import default_model
from routeraudio.engine.pool import Pool, open_pool
from routeraudio.engine.wire import Heard, Wish

from .client import Say
from .clips import GO, MS_BYTES, normalised, pcm, silence, split
from .processes import is_gone, until


def finals(heard: list[Heard]) -> list[str]:
    return [each.text for each in heard if each.kind == "final"]


def zygote() -> psutil.Process:
    """The only child of this test."""
    (child,) = psutil.Process().children()
    return child


async def test_a_clip_is_heard(pool: Pool, say: Say) -> None:
    """A recognition gives the words and counts the audio."""
    async with pool.open(Wish()) as hearing:
        assert finals(await say(hearing, [pcm("goforward")])) == [GO]
        assert hearing.audio_ms == len(pcm("goforward")) // MS_BYTES


async def test_pace_changes_nothing(pool: Pool, say: Say) -> None:
    """The same audio gives the same finals in one burst as with pauses between its pieces."""
    audio = pcm("goforward") + silence(600)
    async with pool.open(Wish(partials=True)) as hearing:
        burst = await say(hearing, [audio])
    paced: list[Heard] = []
    async with pool.open(Wish(partials=True)) as hearing, trio.open_nursery() as nursery:

        async def send() -> None:
            for chunk in split(audio, [6400]):
                await hearing.send(chunk)
                await trio.sleep(0.05)
            await hearing.finish()

        nursery.start_soon(send)
        async for heard in hearing:
            paced.append(heard)
    wanted, got = ([each for each in heard if each.kind == "final"] for heard in (burst, paced))
    assert got == wanted
    assert finals(burst) == [GO]


async def test_finalize_answers_before_the_stream_goes_on(pool: Pool) -> None:
    """A final comes on request, without silence and without the end of the stream."""
    with trio.fail_after(60):
        async with pool.open(Wish()) as hearing:
            await hearing.send(pcm("goforward")[: 2130 * MS_BYTES])
            await hearing.finalize()
            heard = await anext(hearing)
            assert (heard.kind, normalised(heard.text)) == ("final", normalised(GO))


async def test_a_killed_worker_costs_one_session(pool: Pool, say: Say) -> None:
    """When one of two recognisers is killed, its session gets the fault and the other all its words."""
    heard: list[Heard] = []
    audio = pcm("goforward")

    async def other(hearing: Hearing) -> None:
        heard.extend(await say(hearing, [audio]))

    async with pool.open(Wish()) as doomed:
        (victim,) = zygote().children()
        async with pool.open(Wish()) as spared, trio.open_nursery() as nursery:
            await doomed.send(audio)
            nursery.start_soon(other, spared)
            victim.kill()
            with pytest.raises(EngineFault, match="died"), trio.fail_after(60):
                await anext(doomed)
            with pytest.raises(EngineFault), trio.fail_after(60):
                await doomed.send(audio)
    assert finals(heard) == [GO]


async def test_a_stopped_worker_is_given_up() -> None:
    """A recogniser that owes an answer and does not give it is ended, and its session told."""
    async with open_pool(workers_max=1, stall_s=0.5) as pool, pool.open(Wish()) as hearing:
        (worker,) = zygote().children()
        worker.suspend()
        await hearing.finish()
        with pytest.raises(EngineFault, match="ended"), trio.fail_after(60):
            await anext(hearing)
        await until(lambda: is_gone(worker))


async def test_a_decoder_that_is_behind_slows_the_sender() -> None:
    """Audio that waits for a recogniser is bounded; a recogniser that takes none for too long is given up."""
    sent_ms: list[int] = []

    async def send_for_ever(hearing: Hearing) -> None:
        while True:
            await hearing.send(silence(100))
            sent_ms.append(100)

    async with open_pool(workers_max=1, stall_s=0.5) as pool, pool.open(Wish()) as hearing:
        (worker,) = zygote().children()
        worker.suspend()
        with pytest.raises(EngineFault, match="ended"), trio.fail_after(60):
            await send_for_ever(hearing)
    assert 500 <= sum(sent_ms) <= 5000


async def test_a_full_pool_refuses(say: Say) -> None:
    """One recognition more than there may be is refused, and welcome when another has ended."""
    async with open_pool(workers_max=1) as pool:
        async with pool.open(Wish()):
            with pytest.raises(EngineFull, match="1 recognisers of the local engine are busy"):
                async with pool.open(Wish()):
                    pass
        async with pool.open(Wish()) as hearing:
            assert finals(await say(hearing, [pcm("goforward")])) == [GO]
        assert pool.running == 0


async def test_an_abandoned_recognition_leaves_no_process(pool: Pool) -> None:
    """Leaving in the middle of an utterance ends the worker at once."""
    async with pool.open(Wish(partials=True)) as hearing:
        await hearing.send(pcm("goforward"))
        (worker,) = zygote().children()
    await until(lambda: is_gone(worker))


async def test_a_dead_zygote_is_replaced(pool: Pool, say: Say) -> None:
    """Running recognitions survive the process they came from, and the next one gets a new one."""
    async with pool.open(Wish()) as survivor:
        zygote().kill()
        assert finals(await say(survivor, [pcm("goforward")])) == [GO]
    async with pool.open(Wish()) as hearing:
        assert finals(await say(hearing, [pcm("goforward")])) == [GO]


async def test_nothing_is_left_behind() -> None:
    """A closed pool leaves neither processes nor descriptors."""
    descriptors = len(os.listdir("/proc/self/fd"))
    async with open_pool(workers_max=2) as pool, pool.open(Wish()), pool.open(Wish()):
        family = psutil.Process().children(recursive=True)
        assert len(family) == 3
    await until(lambda: all(map(is_gone, family)))
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_workers_end_with_their_pool() -> None:
    """When the process of a pool is killed, zygote and workers end by themselves."""
    program = (
        "import trio\n"
        "from routeraudio.engine.pool import open_pool\n"
        "from routeraudio.engine.wire import Wish\n"
        "async def main():\n"
        "    async with open_pool(workers_max=1) as pool, pool.open(Wish()):\n"
        "        print('up', flush=True)\n"
        "        await trio.sleep_forever()\n"
        "trio.run(main)\n"
    )
    parent = await trio.lowlevel.open_process([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with trio.fail_after(60):
        assert await parent.stdout.receive_some(16)
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 2
    parent.kill()
    await parent.wait()
    await parent.stdout.aclose()
    await until(lambda: all(map(is_gone, family)))


async def test_an_unknown_model_is_refused(pool: Pool) -> None:
    """A model that the pool does not have costs nothing but the question."""
    with pytest.raises(EngineFault, match="moonshine-tiny-en"):
        async with pool.open(Wish(model="other")):
            pass
    assert pool.running == 0


async def test_two_models_are_served_at_a_time(say: Say) -> None:
    """Each recognition gets the model it names, and the first one where it names none."""
    models = [default_model("pocketsphinx"), default_model("moonshine")]
    async with open_pool(models=models, workers_max=2) as pool:
        for name, text in ((None, "go forward ten meters"), ("moonshine-tiny-en", GO)):
            async with pool.open(Wish(model=name)) as hearing:
                assert finals(await say(hearing, [pcm("goforward")])) == [text]


async def test_where_nothing_is_installed_the_pool_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing the pool does not open and names it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match=r"routeraudio\[local\]"):
        async with open_pool():
            pass
