"""Programs that users paste, run as they are."""

import re
from pathlib import Path

import pytest

from routeraudio.engine.pool import Pool
from routeraudio.providers.catalog import PROVIDERS

from .router import BARE_WORDS, CLIP, open_router, run_python

ROOT = Path(__file__).parent.parent.parent
RAW = {"encoding": "pcm_s16le", "sample_rate": 16000}


@pytest.mark.parametrize("provider", ["local", "deepgram"])
async def test_published_client(provider: str, pool: Pool) -> None:
    """The published client works with nothing changed but the host."""
    async with open_router(pool=pool, spawn=True) as router:
        url = router.url(provider=provider, **RAW)
        printed = await run_python(str(Path(__file__).with_name("getting_started.py")), url, str(CLIP))
    assert bare(printed) == BARE_WORDS


@pytest.mark.parametrize("provider", ["local", "deepgram"])
async def test_readme_example(provider: str, pool: Pool, tmp_path: Path) -> None:
    """The README's Python example prints the words, against either provider."""
    example = python_example((ROOT / "README.md").read_text())
    async with open_router(pool=pool, spawn=True) as router:
        program = tmp_path / "example.py"
        program.write_text(
            example.replace("127.0.0.1:8080", router.address).replace(
                "provider=local", f"provider={provider}"
            )
        )
        printed = await run_python(str(program), str(CLIP))
    start_time, _, text = printed.partition(" ")
    assert 0.2 < float(start_time) < 0.8
    assert bare(text) == BARE_WORDS


def test_readme_commands() -> None:
    """Every make target and file the README names is there."""
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", readme, re.MULTILINE)
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    # What begins with a slash is a path of the API.
    named = re.findall(r"`([\w.-][\w./-]*/[\w.-]+)`", readme)
    names = [name for name in named if "." in name.rpartition("/")[2]]
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_readme_names_every_provider() -> None:
    """The table of providers is the catalogue."""
    readme = (ROOT / "README.md").read_text()
    assert sorted(
        re.findall(r"^\| `(\w+)` \| [^|]*[A-Za-z][^|]* \| [^|]*\|$", readme.split("## Five")[0], re.MULTILINE)
    ) == sorted(PROVIDERS)


def python_example(readme: str) -> str:
    found = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    return found[1]


def bare(text: str) -> str:
    """Words only: providers punctuate."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))
