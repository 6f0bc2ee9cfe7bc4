"""What `stream` prints."""

import io

import pytest
from rich.console import Console

from routeraudio.commands.display import Display, JsonLines, PlainLines, Terminal, chosen, final
from routeraudio.commands.wire import Error, Transcript, TurnEnd, Word, decode

PARTIAL = '{"type":"transcript","transcript":"go for","start_time":0.4,"end_time":1.0,"is_partial":true}'
FINAL = (
    '{"type":"transcript","transcript":"Go forward.","start_time":0.4,"end_time":1.25,"is_partial":false,"words":['
    '{"text":"go","start_time":0.4,"end_time":0.62,"speaker":"0"},'
    '{"text":"forward","start_time":0.62,"end_time":1.25,"speaker":null}]}'
)
TURN_END = '{"type":"turn_end","provider":"x"}'
NEWS = '{"type":"news",\n"x":1}'


def show(display: Display) -> None:
    with display:
        display.sent(0.5)
        for text in (PARTIAL, FINAL, TURN_END, NEWS):
            display.message(text, decode(text), 1.5)
        display.sent(1.0)


def test_json_is_one_message_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Every message as it came, whatever its type, each on one line, and nothing else."""
    show(JsonLines())
    assert capsys.readouterr().out.splitlines() == [PARTIAL, FINAL, TURN_END, NEWS.replace("\n", " ")]


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A mark tells partials from finals; a final's words stand below it."""
    show(PlainLines())
    assert capsys.readouterr().out.splitlines() == [
        "~ 0.40-1.00 go for",
        "= 0.40-1.25 Go forward.",
        "    go 0.40-0.62 (0)  forward 0.62-1.25",
    ]


@pytest.mark.parametrize("duration_s", [2.8, None])
def test_terminal(duration_s: float | None) -> None:
    """Progress and partial while it runs; only finals stay."""
    out = io.StringIO()
    show(Terminal(Console(file=out, force_terminal=True, width=100, color_system=None), duration_s))
    assert "0.5 / 2.8 s" in out.getvalue() if duration_s else "0.5 s" in out.getvalue()
    assert "go for" in out.getvalue()
    assert "0.40-1.25  Go forward." in out.getvalue()


def test_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a provider's words are not printed."""
    message = Transcript("a\x1b[2Jb\x07\nc", 0.0, 1.0, words=(Word("\x1b[2J", 0.0, 1.0, "\x9b1m"),))
    PlainLines().message("", message, 0.0)
    assert "\x1b" not in capsys.readouterr().out + final(message).plain
    assert "\x9b" not in final(message).plain


def test_errors_are_told_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """An error message becomes the command's own sentence at the end, not a line of text."""
    PlainLines().message("", Error("no"), 0.0)
    PlainLines().message("", TurnEnd(1.0), 0.0)
    assert capsys.readouterr().out == ""


def test_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON when asked, the live view on a terminal, plain lines elsewhere."""
    assert isinstance(chosen(is_json=True, duration_s=1.0), JsonLines)
    assert isinstance(chosen(is_json=False, duration_s=1.0), PlainLines)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert isinstance(chosen(is_json=False, duration_s=1.0), Terminal)
