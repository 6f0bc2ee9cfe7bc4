"""Listen to a source to its end: decoders one after the other, real time, and a bounded number of new attempts.

a recording that breaks off      is opened again and heard from there on
a live source that breaks off    is opened again; when that does not help it has ended
a source that our rules forbid   is not tried again
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import structlog
import trio

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.pull.decoder import Decoder, decoding
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.pace import CATCH_UP, Pacer
from routeraudio.pull.wire import Job

log = structlog.get_logger(__name__)

RETRY_S: Final = 1.0
"""Before the first new attempt; then twice, four times, … as long."""

RETRY_S_MAX: Final = 30.0

STEADY_S: Final = 60.0
"""Audio after which a source has earned all its attempts again."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a source may take."""

    first_audio_s: float
    """Until there is audio."""
    stall_s: float
    """Without audio after that."""
    retries_max: int
    memory_bytes: int
    """Of the decoder."""
    cpu_s: int
    """Of the decoder."""


class SourceReader:
    """One source.

    Args:
        hear: given the audio, piece by piece; may wait.
        is_paced: whether a recording is heard in real time.
    """

    def __init__(
        self,
        url: str,
        guard: Guard,
        bounds: Bounds,
        hear: Callable[[bytes], Awaitable[None]],
        *,
        is_paced: bool = True,
    ) -> None:
        self.heard_bytes = 0
        self.is_live = False
        self._url = url
        self._guard = guard
        self._bounds = bounds
        self._hear = hear
        self._is_paced = is_paced

    async def run(self) -> SourceFault | None:
        """Until the source is over. What was wrong at the end, where something was: see `is_end`."""
        retries = 0
        while True:
            before_bytes = self.heard_bytes
            lost = await self._once()
            if lost is None and not self.is_live:
                return None
            if lost is not None and not lost.is_retryable:
                return lost
            if self.heard_bytes - before_bytes >= STEADY_S * PCM_16K_MONO.bytes_per_second:
                retries = 0
            if retries >= self._bounds.retries_max:
                return lost
            wait_s = min(RETRY_S * 2**retries, RETRY_S_MAX)
            retries += 1
            log.info("source_lost", why=None if lost is None else lost.message, again_in_s=wait_s)
            await trio.sleep(wait_s)

    def is_end(self, lost: SourceFault | None) -> bool:
        """Whether a source that is over after ``lost`` has come to its end.

        Nobody can tell a live source that has ended from one whose connection broke: that it does not come back tells.
        """
        return lost is None or (self.is_live and self.heard_bytes > 0 and lost.is_retryable)

    async def _once(self) -> SourceFault | None:
        """One decoder, from its start to its end."""
        job = Job(
            url=self._url,
            skip_ms=PCM_16K_MONO.duration_ms(self.heard_bytes),
            wait_s=self._bounds.stall_s,
            memory_bytes=self._bounds.memory_bytes,
            cpu_s=self._bounds.cpu_s,
        )
        async with decoding(job, self._guard) as decoder:
            try:
                with _at_most(self._bounds.first_audio_s, "the source gave no audio"):
                    opened = await decoder.opened()
                    block = await decoder.read()
                self.is_live = opened.is_live
                log.debug("source_opened", is_live=opened.is_live, is_isolated=opened.is_isolated)
                await self._follow(decoder, block, Pacer(CATCH_UP if opened.is_live else 1.0))
            except SourceFault as fault:
                return fault
        return None

    async def _follow(self, decoder: Decoder, block: bytes, pacer: Pacer) -> None:
        while block:
            if self._is_paced:
                duration_s = len(block) / PCM_16K_MONO.bytes_per_second
                await trio.sleep_until(pacer.due_s(duration_s, trio.current_time()))
            self.heard_bytes += len(block)
            await self._hear(block)
            with _at_most(self._bounds.stall_s, "the source has given no audio"):
                block = await decoder.read()


@contextmanager
def _at_most(wait_s: float, what: str) -> Iterator[None]:
    try:
        with trio.fail_after(wait_s):
            yield
    except trio.TooSlowError:
        raise SourceFault(f"{what} for {wait_s:g} s", is_retryable=True) from None
