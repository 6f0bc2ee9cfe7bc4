"""Where the files of models lie on this machine, and that they are the ones we know.

Files of models are data of the environment, `share/routeraudio/models/NAME/` below it; there the installer,
`routeraudio engine fetch` and the package that `make speech` builds put them. Nothing is ever downloaded by an
engine that runs.
"""

import hashlib
import os
import sysconfig
from pathlib import Path
from typing import Final

from routeraudio.engine.faults import EngineFault, EngineMissing

VARIABLE: Final = "ROUTERAUDIO_MODELS"
"""Of the environment: a folder that is looked into first."""

KNOWN: Final[dict[str, dict[str, str]]] = {
    "moonshine-tiny-en": {
        "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        "decoder_with_attention.onnx": "1883ce4300422fd29fcb3ef873726e4630973f7134befd27d9c42c1384eb2b16",
        "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
    },
    "silero-v6": {
        "silero_vad_v6.onnx": "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
    },
}
"""The files of each model and their SHA-256."""


def home() -> Path:
    """Where models of this environment are put."""
    return Path(sysconfig.get_path("data")) / "share" / "routeraudio" / "models"


def find(name: str) -> Path | None:
    """The folder of a known model, if all its files are there; does not read them."""
    given = os.environ.get(VARIABLE)
    for root in ([Path(given)] if given else []) + [home()]:
        folder = root / name
        if all((folder / file).is_file() for file in KNOWN[name]):
            return folder
    return None


def folder(name: str) -> Path:
    """The folder of a known model, whose files have been checked.

    Raises:
        EngineMissing: it is not installed.
        EngineFault: a file is not the one we know.
    """
    found = find(name)
    if found is None:
        raise EngineMissing(f"the model {name}")
    check(name, found)
    return found


def check(name: str, folder: Path) -> None:
    """Compare the files' checksums.

    Raises:
        EngineFault: one differs.
    """
    for file, wanted in KNOWN[name].items():
        with (folder / file).open("rb") as content:
            got = hashlib.file_digest(content, "sha256").hexdigest()
        if got != wanted:
            raise EngineFault(
                f"{folder / file} is not the file that belongs there (SHA-256 {got[:12]}…, expected {wanted[:12]}…);"
                f" delete it and run: routeraudio engine fetch {name}"
            )
