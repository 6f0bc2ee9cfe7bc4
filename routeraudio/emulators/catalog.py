"""Which providers can be emulated: one line each."""

from collections.abc import Mapping
from typing import Final, NoReturn, Protocol

import trio

from routeraudio.emulators import (
    assemblyai,
    deepgram,
    elevenlabs,
    gradium,
    openai,
    soniox,
    speechmatics,
    vachana,
)
from routeraudio.emulators.base import Hear
from routeraudio.emulators.faults import NONE, Faults
from routeraudio.emulators.script import Script


class Serve(Protocol):
    """A vendor's `serve`: runs until cancelled, `started` tells the port."""

    async def __call__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        script: Script | None = None,
        faults: Faults = NONE,
        hear: Hear | None = None,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn: ...


EMULATORS: Final[Mapping[str, Serve]] = {
    "assemblyai": assemblyai.serve,
    "deepgram": deepgram.serve,
    "elevenlabs": elevenlabs.serve,
    "gradium": gradium.serve,
    "openai": openai.serve,
    "soniox": soniox.serve,
    "speechmatics": speechmatics.serve,
    "vachana": vachana.serve,
}
