"""Voice activity from Silero's network, version 6, on ONNX Runtime; a third of a percent of a core.

Against the detector of WebRTC, which takes music, tones and gusts for speech: a recogniser that is given those
invents words for them. Its weights come with the package `faster-whisper`; see `weights`.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from routeraudio.engine import runtime, weights

STEP_SAMPLES: Final = 512
"""32 ms at 16 kHz: what the network was trained with."""
CONTEXT_SAMPLES: Final = 64
"""Of the step before, put in front of each."""

ON: Final = 0.35
OFF: Final = 0.2
"""Speech goes on above this. The published 0.5 and 0.35 lose 8 % of a telephone line's words through the
endpointer, 19 % with hiss, since the network is less sure there; with these 0 and 6 % (without an endpointer 0 and 2
%)."""

QUIET: Final = 0.1
QUIET_STEPS: Final = 31
"""After a second below `QUIET` the network forgets: its memory of much silence or noise makes it deaf (measured:
6 of 46 clips behind minutes of noise missed, none with this)."""

NOTHING: Final = np.zeros((1, 1, 128), np.float32)
"""The memory of a network that has heard nothing."""


def load() -> Callable[[], "Silero"]:
    """Load the network; gives a maker of detectors, each for one stream.

    Raises:
        EngineMissing: ONNX Runtime or the network is not installed.
        EngineFault: the file is not the one we know.
    """
    folder = weights.folder("silero-v6")
    session = runtime.session(folder / "silero_vad_v6.onnx")
    return lambda: Silero(session)


class Silero:
    """The detector of one stream: called with each frame of 1024 bytes in turn."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._hidden = self._cell = NOTHING
        self._is_on = False
        self._quiet_steps = 0

    def __call__(self, frame: bytes) -> bool:
        """Whether the frame is speech."""
        probability = self._probability(np.frombuffer(frame, "<i2").astype(np.float32) / np.float32(32768))
        self._is_on = probability > (OFF if self._is_on else ON)
        self._quiet_steps = self._quiet_steps + 1 if probability < QUIET else 0
        if self._quiet_steps >= QUIET_STEPS:
            self._hidden = self._cell = NOTHING
            self._quiet_steps = 0
        return self._is_on

    def _probability(self, samples: npt.NDArray[np.float32]) -> float:
        joined = np.concatenate([self._context, samples])[None]
        answer, self._hidden, self._cell = self._session.run(
            None, {"input": joined, "h": self._hidden, "c": self._cell}
        )
        self._context = samples[-CONTEXT_SAMPLES:]
        return float(answer.reshape(-1)[0])
