"""`routeraudio check-config`."""

from pathlib import Path

import pytest

from routeraudio.cli import main

HASH = "sha256:" + "0123456789abcdef" * 4


def test_a_good_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0 and a line to compare with what was meant, without secrets."""
    monkeypatch.setenv("ROUTERAUDIO__PROVIDERS__DEEPGRAM__API_KEY", "canary")
    file = tmp_path / "good.toml"
    file.write_text(f"providers.local.spawn = true\nkeys = [{{id = 'a', hash = '{HASH}'}}]")
    assert main(["check-config", "--config", str(file)]) == 0
    assert capsys.readouterr().out == (
        f"{file}: valid; listens on 127.0.0.1:8080; "
        "providers: deepgram (stored key), local (needs no key); router keys: 1\n"
    )


def test_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file, defaults and environment are checked."""
    assert main(["check-config"]) == 0
    assert capsys.readouterr().out.startswith("defaults and environment: valid; ")


def test_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and one sentence on standard error."""
    file = tmp_path / "bad.toml"
    file.write_text("[sever]")
    assert main(["check-config", "--config", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"routeraudio: {file}: sever: unknown key; allowed here: access")
    assert captured.err.count("\n") == 1
