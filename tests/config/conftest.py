"""Configurations as texts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from routeraudio.config.loading import load
from routeraudio.config.schema import Config
from routeraudio.model.errors import ConfigFault
from tests.config.expected import ENVIRON


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Config]:
    """Loads a configuration given as text."""

    def loaded(text: str, environ: Mapping[str, str] | None = None) -> Config:
        file = tmp_path / "routeraudio.toml"
        file.write_text(text)
        return load(file, {**ENVIRON, **(environ or {})})

    return loaded


@pytest.fixture
def refused(loaded: Callable[..., Config], tmp_path: Path) -> Callable[..., str]:
    """The error about a configuration given as text, without the name of its folder."""

    def refused(text: str, environ: Mapping[str, str] | None = None) -> str:
        with pytest.raises(ConfigFault) as caught:
            loaded(text, environ)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refused
