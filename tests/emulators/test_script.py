"""Reading scripts."""

from pathlib import Path

import pytest

from routeraudio.emulators.kit.script import Close, Step, load_script, parse_script
from routeraudio.model.errors import ConfigFault


def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    """Timed steps come in order of time, equal times in the file's order."""
    path = tmp_path / "script.json"
    path.write_text(
        '{"steps":[{"after_ms":500,"send_text":"b"},{"on":"open","close":{"code":4000,"reason":"bye"}},'
        '{"after_ms":0,"send":{"x":1}},{"after_ms":500,"send_text":"c"}]}'
    )
    script = load_script(path)
    assert script.timed() == [
        Step(after_ms=0, send={"x": 1}),
        Step(after_ms=500, send_text="b"),
        Step(after_ms=500, send_text="c"),
    ]
    assert script.on("open") == [Step(on="open", close=Close(code=4000, reason="bye"))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b"{}", "steps"),
        (b'{"steps":[],"extra":1}', "extra"),
        (b'{"steps":[{"send":{}}]}', r"exactly one of `after_ms` and `on`.*\$\.steps\[0\]"),
        (b'{"steps":[{"after_ms":1,"on":"open","send":{}}]}', "exactly one of `after_ms` and `on`"),
        (b'{"steps":[{"after_ms":1}]}', "exactly one of `send`, `send_text` and `close`"),
        (b'{"steps":[{"after_ms":1,"send":{},"send_text":"x"}]}', "exactly one of `send`"),
        (b'{"steps":[{"after_ms":-1,"send":{}}]}', "negative"),
        (b'{"steps":[{"after_ms":1.5,"send":{}}]}', r"\$\.steps\[0\]\.after_ms"),
        (b'{"steps":[{"on":"lunch","send":{}}]}', "lunch"),
        (b'{"steps":[{"after_ms":1,"send":[]}]}', r"\$\.steps\[0\]\.send"),
        (b'{"steps":[{"after_ms":1,"close":{"code":1006}}]}', "1006"),
        (b'{"steps":[{"after_ms":1,"close":{"code":99}}]}', "1000 to 4999"),
        (b'{"steps":[{"after_ms":1,"close":{"code":null,"reason":"x"}}]}', "without a code"),
        (b'{"steps":[{"after_ms":1,"close":{"reason":"' + b"x" * 124 + b'"}}]}', "123"),
        (b'{"steps":"\xff"}', "name.json"),
        (b"[" * 100_000, "name.json"),
    ],
)
def test_mistakes_name_their_place(text: bytes, says: str) -> None:
    """Errors name the file, the place and what is allowed."""
    with pytest.raises(ConfigFault, match=says) as caught:
        parse_script(text, "name.json")
    assert str(caught.value).startswith("name.json: ")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is a configuration error, too."""
    with pytest.raises(ConfigFault, match=r"none\.json: cannot be read"):
        load_script(tmp_path / "none.json")
