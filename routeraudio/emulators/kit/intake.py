"""A connection's audio: decoding, the audio clock, and what hangs on it: faults, script, hearing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import trio

from routeraudio.emulators.kit.base import Heard, Hearing
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.script import Moment, Step
from routeraudio.emulators.kit.sound import BYTES_PER_MS, Format, Sound, open_sound, outputs

LAST_WORDS_S: Final = 30.0
"""From `finish` to the last final. The recogniser has then at most its bounded backlog to work off."""

Tell = Callable[[int, Heard], Awaitable[None]]
"""Called with the channel and what was heard there, from that channel's own task."""

Say = Callable[[dict[str, Any]], Awaitable[None]]
"""How the vendor sends a JSON object."""


class Intake:
    """The audio side of one call. Made by `open_intake`."""

    def __init__(self, call: Call, sound: Sound, hearings: Sequence[Hearing], say: Say, broken: str) -> None:
        self._call = call
        self._sound = sound
        self._hearings = hearings
        self._say = say
        self._broken = broken
        self._heard_bytes = 0
        self._timed = call.script.timed() if call.script is not None else []
        self._listening = len(hearings)
        self._all_told = trio.Event()

    @property
    def clock_ms(self) -> int:
        """How much audio has arrived."""
        return self._heard_bytes // BYTES_PER_MS

    async def audio(self, data: bytes) -> None:
        """A message of audio.

        Raises:
            Undecodable: it is not what was declared.
        """
        is_first = not self._call.record.audio_bytes
        self._call.record.got_audio(data)
        if is_first:
            await self._call.talk_nonsense(self._broken)
        await self._listen(await self._sound.push(data))

    async def finalize(self, channel: int | None = None) -> None:
        """Close the open utterance of one channel, or of all."""
        await self.play("finalize")
        for index, hearing in enumerate(self._hearings):
            if channel is None or channel == index:
                await hearing.finalize()

    async def finish(self) -> None:
        """No more audio: returns when everything heard has been told. With the fault `endless` it does not.

        Raises:
            Undecodable: there was no sound in the audio.
            trio.TooSlowError: the recogniser does not come to an end.
        """
        if self._call.faults.endless:
            await self._call.stay()
        await self._listen(await self._sound.finish())
        for hearing in self._hearings:
            await hearing.finish()
        if self._hearings:
            with trio.fail_after(LAST_WORDS_S):
                await self._all_told.wait()
        await self.play("finish")

    async def play(self, moment: Moment) -> None:
        """Perform the script's steps of a moment."""
        for step in self._call.steps(moment):
            await self._perform(step)

    async def tell(self, channel: int, hearing: Hearing, tell: Tell) -> None:
        """Task: pass on what is heard on one channel until it ends."""
        async for heard in hearing:
            await tell(channel, heard)
        self._listening -= 1
        if not self._listening:
            self._all_told.set()

    async def _listen(self, tracks: Sequence[bytes]) -> None:
        self._heard_bytes += len(tracks[0])
        await self._play_timed()
        for hearing, pcm in zip(self._hearings, tracks, strict=False):  # nothing may be listening
            if pcm:
                await hearing.send(pcm)
        await self._misbehave()

    async def _play_timed(self) -> None:
        while self._timed and (self._timed[0].after_ms or 0) <= self.clock_ms:
            await self._perform(self._timed.pop(0))

    async def _perform(self, step: Step) -> None:
        if step.send is not None:
            await self._say(dict(step.send))
        else:
            await self._call.perform(step)

    async def _misbehave(self) -> None:
        faults, clock_s = self._call.faults, self.clock_ms / 1000
        if faults.drop_after_s is not None and clock_s >= faults.drop_after_s:
            await self._call.drop()
        if faults.early_after_s is not None and clock_s >= faults.early_after_s:
            await self._call.close(1000)
        if faults.deaf_after_s is not None and clock_s >= faults.deaf_after_s:
            await self._call.go_deaf()


@asynccontextmanager
async def open_intake(
    call: Call,
    format_: Format,
    *,
    endpointing_ms: int,
    partials: bool,
    tell: Tell,
    say: Say,
    broken_message: str,
) -> AsyncIterator[Intake]:
    """Listen to a call. Owns the decoder, the hearings and a task per channel; leaving the block ends them.

    Args:
        broken_message: see `Vendor.broken_message`.
    """
    async with AsyncExitStack() as stack:
        sound = await stack.enter_async_context(open_sound(format_))
        hearings: list[Hearing] = []
        if call.hear is not None and call.script is None:
            for _ in range(outputs(format_)):
                opened = call.hear.open(endpointing_ms=endpointing_ms, partials=partials)
                hearings.append(await stack.enter_async_context(opened))
        intake = Intake(call, sound, hearings, say, broken_message)
        async with trio.open_nursery() as nursery:
            for channel, hearing in enumerate(hearings):
                nursery.start_soon(intake.tell, channel, hearing, tell)
            await intake.play("open")
            yield intake
            nursery.cancel_scope.cancel()
