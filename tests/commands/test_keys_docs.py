"""docs/keys.md says what the commands do."""

import re
import shlex
from pathlib import Path

import pytest

from routeraudio.auth.requests import KeyWish
from routeraudio.cli import main
from routeraudio.commands.keys import Options

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()


def test_every_option_is_explained() -> None:
    """Each with its field over HTTP, and no other."""
    shown = re.findall(r"^\| `--([a-z-]+)`, `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert {option.replace("-", "_") for option, _ in shown} == set(Options.__dataclass_fields__)
    assert {field for _, field in shown} == set(KeyWish.__struct_fields__) - {"name", "disabled"}


def test_the_commands_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the page, in their order, on one key."""
    file = tmp_path / "routeraudio.toml"
    file.write_text(f"store.url = 'sqlite://{tmp_path}/r.db'")
    block = re.search(r"```sh\n(routeraudio keys.*?)```", PAGE, re.DOTALL)
    assert block is not None
    key_id = ""
    for line in block[1].splitlines():
        words = shlex.split(line, comments=True)[1:]
        assert main([{"FILE": str(file), "ID": key_id}.get(word, word) for word in words]) == 0
        said = capsys.readouterr().out
        key_id = key_id or said.split("router_")[1].split("_")[0]
    assert key_id
