"""`routeraudio engine models`: what is here and how to get the rest."""

import pytest

from routeraudio.cli import main
from routeraudio.engine import packages, weights


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its size, languages, licence and the command that gets it."""
    assert main(["engine", "models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (moonshine,) = (line for line in lines if "moonshine-tiny-en " in line)
    assert moonshine.split()[:5] == ["moonshine-tiny-en", "moonshine", "yes", "56", "MB"]
    assert "MIT" in moonshine
    assert moonshine.rstrip().endswith("routeraudio engine fetch moonshine-tiny-en")
    assert all(any(line.startswith(f" {name} ") for line in lines) for name in packages.KNOWN)
    assert any("pip install pocketsphinx" in line for line in lines)


def test_a_model_that_is_not_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Says so."""
    monkeypatch.setattr(weights, "find", lambda _name: None)
    assert main(["engine", "models"]) == 0
    (line,) = (each for each in capsys.readouterr().out.splitlines() if "silero-v6 " in each)
    assert line.split()[2] == "no"
