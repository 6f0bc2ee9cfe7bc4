"""From the name of a back end to a loaded ear. Imports of recognisers happen here and nowhere else: only
processes that recognise have them in memory."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import webrtcvad  # type: ignore[import-untyped]

from routeraudio.engine import runtime, sphinx, weights
from routeraudio.engine.aligning import SphinxAligner
from routeraudio.engine.endpointing import BYTES_PER_MS, SAMPLE_RATE
from routeraudio.engine.faults import EngineMissing
from routeraudio.engine.passes import Ear

BackendName = Literal["moonshine", "whisper", "sherpa", "pocketsphinx"]
Choice = Literal["auto", "moonshine", "whisper", "sherpa", "pocketsphinx"]

MOONSHINE: Final = "moonshine-tiny-en"
POCKETSPHINX: Final = "pocketsphinx-en-us"

RTC_BYTES: Final = 30 * BYTES_PER_MS
"""The longest that WebRTC's detector takes: it judges a frame by its first 30 ms."""
RTC_MODE: Final = 2
"""The second strictest of four: looser ones take steady noise for speech, the strictest cuts the ends of words."""

Detector = Callable[[bytes], bool]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model that an engine serves."""

    id: str
    backend: BackendName
    path: str | None = None
    """Folder of its files; None: one that we know, where the environment keeps it."""
    languages: tuple[str, ...] = ("en",)
    """BCP-47; empty: all that the model was made for."""


def default_model(choice: Choice) -> Model:
    """The model that is served where none is configured.

    Raises:
        EngineMissing: the one asked for is not installed; with `auto`, none is.
    """
    if choice == "moonshine" or (choice == "auto" and is_installed("moonshine")):
        return Model(id=MOONSHINE, backend="moonshine")
    if choice in ("auto", "pocketsphinx"):
        return Model(id=POCKETSPHINX, backend="pocketsphinx")
    raise EngineMissing(f"a model for {choice}: name it in [[providers.local.models]]")


def is_installed(backend: BackendName) -> bool:
    """Whether a back end could be loaded; imports and reads nothing."""
    match backend:
        case "moonshine":
            return runtime.is_installed() and None not in (weights.find(MOONSHINE), weights.find("silero-v6"))
        case "whisper":
            return importlib.util.find_spec("faster_whisper") is not None
        case "sherpa":
            return importlib.util.find_spec("sherpa_onnx") is not None
        case "pocketsphinx":
            return sphinx.is_installed()


def check_installed(model: Model) -> None:
    """Look for what a model needs without loading it.

    Raises:
        EngineMissing: it is not there.
    """
    if not is_installed(model.backend):
        raise EngineMissing(f"what {model.id} needs ({model.backend})")


class Loaded(msgspec.Struct, frozen=True):
    """What a worker needs."""

    ear: Ear
    detector: Callable[[], Detector]
    """Makes voice activity detectors, each for one stream."""


def is_forkable(model: Model) -> bool:
    """Whether a process that has loaded the model may be forked: those that keep threads may not."""
    return model.backend in ("moonshine", "pocketsphinx")


def load(model: Model) -> Loaded:
    """Load a model and a detector; takes up to a second and 300 MB, mostly shared by forked processes.

    Raises:
        EngineMissing: what it needs is not installed.
        EngineFault: its files cannot be used.
    """
    return Loaded(load_ear(model), load_detector())


def load_ear(model: Model) -> Ear:
    """Load a model.

    Raises:
        EngineMissing: what it needs is not installed.
        EngineFault: its files cannot be used.
    """
    match model.backend:
        case "moonshine":
            from routeraudio.engine.moonshine import Moonshine

            folder = weights.folder(MOONSHINE) if model.path is None else Path(model.path)
            return Ear(Moonshine(folder, model.languages), _aligner(model))
        case "pocketsphinx":
            return Ear(sphinx.Sphinx())
        case other:
            raise EngineMissing(f"the back end {other}")


def load_detector() -> Callable[[], Detector]:
    """Load the voice activity detector; gives a maker of them, each for one stream."""
    if runtime.is_installed() and weights.find("silero-v6") is not None:
        from routeraudio.engine import silero

        return silero.load()
    return _rtc


def _rtc() -> Detector:
    detector = webrtcvad.Vad(RTC_MODE)
    return lambda frame: bool(detector.is_speech(frame[:RTC_BYTES], SAMPLE_RATE))


def _aligner(model: Model) -> SphinxAligner | None:
    """Only English has one."""
    if sphinx.is_installed() and {language.split("-")[0] for language in model.languages} == {"en"}:
        return SphinxAligner()
    return None
