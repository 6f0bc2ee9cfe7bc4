"""Recordings: what a form asks for, and their text in every format."""

import json
from typing import Any

import pytest

from routeraudio.dialects.base import BadRequest, StreamRequest
from routeraudio.dialects.choice import Choice
from routeraudio.dialects.openai import files
from routeraudio.dialects.openai.files import Transcript, Wanted
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.events import Final, Word

TRANSCRIPT = Transcript(
    [
        Final("Go forward.", 450, 1200, (Word("Go", 450, 640, "0"), Word("forward.", 640, 1200, "1"))),
        Final("Ten meters.", 3_661_001, 3_662_000),
    ],
    3_662_500,
    "pt-BR",
)


def read(*fields: tuple[str, str], place: Choice | None = None) -> tuple[StreamRequest, Wanted]:
    return files.read(fields, place or Choice(), "k", None)


def written(format_: files.Format, **wanted: Any) -> str:
    return files.body(Wanted(format=format_, **wanted), TRANSCRIPT)[1].decode()


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ([], {"provider": "", "model": None, "language": "auto", "diarize": False, "audio": PCM_16K_MONO}),
        ([("model", "whisper-1"), ("language", "de")], {"model": "whisper-1", "language": "de"}),
        ([("language", ""), ("languages[]", "fr"), ("languages[]", "de")], {"language": "fr"}),
        ([("model", "soniox/stt-rt-v5")], {"provider": "soniox", "model": "stt-rt-v5"}),
        ([("response_format", "diarized_json")], {"diarize": True}),
        ([("model", "gpt-4o-transcribe-diarize")], {"diarize": True}),
    ],
)
def test_options(fields: list[tuple[str, str]], wanted: dict[str, Any]) -> None:
    """In the vendor's words."""
    options = read(*fields)[0].options
    assert {name: getattr(options, name) for name in wanted} == wanted


def test_the_path_says_who_serves() -> None:
    """For programs that cannot change the model."""
    wish = read(("model", "whisper-1"), place=Choice("local"))[0]
    assert (wish.options.provider, wish.options.model, wish.has_own_model) == ("local", "whisper-1", True)


def test_what_has_no_effect_is_said_once() -> None:
    """And what nobody knows is named, too."""
    wish = read(
        ("prompt", "x"), ("keywords[]", "a"), ("keywords[]", "b"), ("temperature", "0"), ("odd", "1")
    )[0]
    assert wish.advice == (
        "prompt: has no effect",
        "keywords[]: has no effect",
        "temperature: has no effect",
    )
    assert wish.unknown == ("odd",)


@pytest.mark.parametrize(
    "field",
    [("response_format", "xml"), ("language", "klingon-"), ("stream", "maybe"), ("model", "a b")],
)
def test_a_field_that_cannot_be(field: tuple[str, str]) -> None:
    """Named."""
    with pytest.raises(BadRequest) as caught:
        read(field)
    assert [fault.parameter for fault in caught.value.faults] == [field[0]]


def test_a_path_without_a_provider() -> None:
    """It is none of ours."""
    with pytest.raises(BadRequest):
        read(place=Choice("whisper"))


def test_json_and_text() -> None:
    """The whole text; begun seconds count."""
    assert json.loads(written("json")) == {
        "text": "Go forward. Ten meters.",
        "usage": {"type": "duration", "seconds": 3663},
    }
    assert written("text") == "Go forward. Ten meters.\n"


def test_verbose_json() -> None:
    """Segments, words where they are asked for, spread evenly where the provider tells none."""
    told = json.loads(written("verbose_json"))
    assert (told["language"], told["duration"]) == ("portuguese", 3662.5)
    assert [(one["id"], one["start"], one["end"], one["text"]) for one in told["segments"]] == [
        (0, 0.45, 1.2, "Go forward."),
        (1, 3661.001, 3662.0, "Ten meters."),
    ]
    assert "words" not in told
    words = json.loads(written("verbose_json", granularities=("word",)))
    assert [one["word"] for one in words["words"]] == ["Go", "forward.", "Ten", "meters."]
    assert "segments" not in words


def test_speakers() -> None:
    """One segment for each run of words."""
    segments = json.loads(written("diarized_json"))["segments"]
    assert [(one["speaker"], one["text"]) for one in segments] == [
        ("0", "Go"),
        ("1", "forward."),
        ("", "Ten meters."),
    ]


def test_captions() -> None:
    """SubRip counts and writes a comma, WebVTT does neither."""
    assert written("srt") == (
        "1\n00:00:00,450 --> 00:00:01,200\nGo forward.\n\n2\n01:01:01,001 --> 01:01:02,000\nTen meters.\n"
    )
    assert written("vtt") == (
        "WEBVTT\n\n00:00:00.450 --> 00:00:01.200\nGo forward.\n\n01:01:01.001 --> 01:01:02.000\nTen meters.\n"
    )


def test_long_captions_are_cut() -> None:
    """Between words, and nothing is lost."""
    text = " ".join(f"word{number}" for number in range(60))
    long = Transcript([Final(text, 0, 60_000)], 60_000, "en")
    cues = files.body(Wanted(format="vtt"), long)[1].decode().split("\n\n")[1:]
    lines = [cue.strip().split("\n")[1] for cue in cues]
    assert " ".join(lines) == text
    assert len(cues) > 60_000 / files.CUE_MS
    assert all(len(line) <= files.CUE_CHARACTERS for line in lines)


def test_nothing_was_said() -> None:
    """Is an empty text."""
    silence = Transcript([], 1000, "en")
    assert json.loads(files.body(Wanted(), silence)[1])["text"] == ""
    assert files.body(Wanted(format="srt"), silence)[1] == b""


@pytest.mark.parametrize(("code", "name"), [("auto", "auto"), ("en", "english"), ("xx", "xx")])
def test_a_languages_name(code: str, name: str) -> None:
    """As the vendor writes it; its code where nobody knows it."""
    told = json.loads(files.body(Wanted(format="verbose_json"), Transcript([], 0, code))[1])
    assert told["language"] == name


def test_server_sent_events() -> None:
    """Deltas make the text."""
    first = files.delta("Go.", is_first=True)
    assert first == b'data: {"type":"transcript.text.delta","delta":"Go."}\n\n'
    assert b'" Ten."' in files.delta("Ten.", is_first=False)
    assert json.loads(files.done(TRANSCRIPT).removeprefix(b"data: "))["text"] == TRANSCRIPT.text
