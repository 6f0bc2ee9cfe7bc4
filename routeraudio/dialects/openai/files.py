"""`POST v1/audio/transcriptions`: what a form asks for, and a recording's text in each of the formats.

Documentation: https://platform.openai.com/docs/api-reference/audio/createTranscription (2026-11).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, Literal, cast

import msgspec
from babel import Locale, UnknownLocaleError

from routeraudio.dialects.base import BadRequest, StreamRequest
from routeraudio.dialects.choice import DETECTION, Choice, chosen, unknown_provider
from routeraudio.dialects.parameters import LANGUAGE, MODEL, Given, boolean, choice, matching
from routeraudio.dialects.words import words_of
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.events import Final as FinalText
from routeraudio.model.events import Word
from routeraudio.model.options import Options
from routeraudio.providers.models import is_detection

Format = Literal["json", "text", "srt", "vtt", "verbose_json", "diarized_json"]

FORMATS: Final[tuple[Format, ...]] = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")

GRANULARITIES: Final = "timestamp_granularities[]"

CUE_CHARACTERS: Final = 84
"""Of a caption: two lines of 42, the custom of subtitles."""

CUE_MS: Final = 7000
"""How long a caption stands at most."""

_WITHOUT_EFFECT: Final = (
    "prompt",
    "keywords",
    "keywords[]",
    "temperature",
    "include",
    "include[]",
    "chunking_strategy",
    "known_speaker_names[]",
    "known_speaker_references[]",
)

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"

EVENTS: Final = "text/event-stream"

_encode: Final = msgspec.json.Encoder().encode


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """In which form the text is wanted."""

    format: Format = "json"
    is_streamed: bool = False
    granularities: tuple[str, ...] = ("segment",)


class Transcript(msgspec.Struct, frozen=True):
    """A recording's text."""

    finals: Sequence[FinalText]
    duration_ms: int
    language: str

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(final.text for final in self.finals)

    @property
    def usage(self) -> dict[str, object]:
        """Whole seconds, begun ones count."""
        return {"type": "duration", "seconds": -(-self.duration_ms // 1000)}


def read(
    fields: Sequence[tuple[str, str]], place: Choice, key: str | None, token: str | None
) -> tuple[StreamRequest, Wanted]:
    """What a form's fields ask for; the file is not among them.

    Args:
        place: what the path says.

    Raises:
        BadRequest: with every field that is wrong.
    """
    names = dict.fromkeys(name for name, _ in fields)
    repeated = (*_WITHOUT_EFFECT, GRANULARITIES, "languages[]")
    given = Given([field for field in fields if field[0] not in repeated])
    granularities = tuple(text for name, text in fields if name == GRANULARITIES)
    wanted = Wanted(
        format=cast(Format, given.take("response_format", choice(FORMATS), default="json")),
        is_streamed=given.take("stream", boolean, default=False),
        granularities=granularities or ("segment",),
    )
    model = given.take("model", matching(MODEL, "a model name, PROVIDER or PROVIDER/MODEL"), default=None)
    listed = next((text for name, text in fields if name == "languages[]" and LANGUAGE.fullmatch(text)), None)
    language = given.take("language", _language, default=None) or listed
    faults = [*unknown_provider(place.provider or None), *given.faults]
    if faults:
        raise BadRequest(faults)
    choice_ = chosen(model, place)
    options = Options(
        provider=choice_.provider,
        audio=PCM_16K_MONO,
        model=choice_.model,
        language=language or DETECTION,
        diarize=wanted.format == "diarized_json" or (model or "").endswith("-diarize"),
    )
    advice = tuple(f"{name}: has no effect" for name in names if name in _WITHOUT_EFFECT)
    return StreamRequest(
        options, key, token, given.unknown, has_own_model=choice_.is_vendors, advice=advice
    ), wanted


def body(wanted: Wanted, transcript: Transcript) -> tuple[str, bytes]:
    """Media type and body of the answer."""
    media_type, write = _WRITERS[wanted.format]
    return media_type, write(wanted, transcript)


def delta(text: str, *, is_first: bool) -> bytes:
    """A server-sent event: text behind what was told so far."""
    return event({"type": "transcript.text.delta", "delta": text if is_first else f" {text}"})


def done(transcript: Transcript) -> bytes:
    """The last server-sent event."""
    return event({"type": "transcript.text.done", "text": transcript.text, "usage": transcript.usage})


def event(said: Mapping[str, Any]) -> bytes:
    """Any server-sent event."""
    return b"data: " + _encode(said) + b"\n\n"


def _language(text: str) -> str | None:
    """a language code like en or pt-BR"""
    if text and LANGUAGE.fullmatch(text) is None:
        raise ValueError
    return text or None


def _json(_wanted: Wanted, transcript: Transcript) -> bytes:
    return _encode({"text": transcript.text, "usage": transcript.usage})


def _text(_wanted: Wanted, transcript: Transcript) -> bytes:
    return f"{transcript.text}\n".encode()


def _verbose(wanted: Wanted, transcript: Transcript) -> bytes:
    told: dict[str, object] = {
        "task": "transcribe",
        "language": _english_name(transcript.language),
        "duration": transcript.duration_ms / 1000,
        "text": transcript.text,
        "usage": transcript.usage,
    }
    if "word" in wanted.granularities:
        words = [word for final in transcript.finals for word in words_of(final)]
        told["words"] = [
            {"word": word.text, "start": word.start_ms / 1000, "end": word.end_ms / 1000} for word in words
        ]
    if "segment" in wanted.granularities:
        told["segments"] = [_segment(number, final) for number, final in enumerate(transcript.finals)]
    return _encode(told)


def _segment(number: int, final: FinalText) -> dict[str, object]:
    """Members that belong to the vendor's own model are there, and say nothing."""
    return {
        "id": number,
        "seek": 0,
        "start": final.start_ms / 1000,
        "end": final.end_ms / 1000,
        "text": final.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 0.0,
        "no_speech_prob": 0.0,
    }


def _diarized(_wanted: Wanted, transcript: Transcript) -> bytes:
    segments: list[dict[str, object]] = []
    for final in transcript.finals:
        for speaker, run in groupby(words_of(final), key=lambda word: word.speaker):
            its = list(run)
            segments.append(
                {
                    "type": "transcript.text.segment",
                    "id": f"seg_{len(segments)}",
                    "start": its[0].start_ms / 1000,
                    "end": its[-1].end_ms / 1000,
                    "text": _joined(its),
                    "speaker": speaker or "",
                }
            )
    return _encode(
        {
            "task": "transcribe",
            "duration": transcript.duration_ms / 1000,
            "text": transcript.text,
            "segments": segments,
            "usage": transcript.usage,
        }
    )


def _srt(_wanted: Wanted, transcript: Transcript) -> bytes:
    cues = [
        f"{number}\n{_clock(start_ms, ',')} --> {_clock(end_ms, ',')}\n{text}\n"
        for number, (start_ms, end_ms, text) in enumerate(_cues(transcript), 1)
    ]
    return "\n".join(cues).encode()


def _vtt(_wanted: Wanted, transcript: Transcript) -> bytes:
    cues = [
        f"{_clock(start_ms, '.')} --> {_clock(end_ms, '.')}\n{text}\n"
        for start_ms, end_ms, text in _cues(transcript)
    ]
    return "\n".join(["WEBVTT\n", *cues]).encode()


def _cues(transcript: Transcript) -> Iterator[tuple[int, int, str]]:
    """Captions: finals, cut between words where they are too long to be read."""
    for final in transcript.finals:
        cue: list[Word] = []
        for word in words_of(final):
            is_long = cue and (
                len(_joined(cue)) + len(word.text) >= CUE_CHARACTERS or word.end_ms - cue[0].start_ms > CUE_MS
            )
            if is_long:
                yield cue[0].start_ms, cue[-1].end_ms, _joined(cue)
                cue = []
            cue.append(word)
        if cue:
            yield cue[0].start_ms, cue[-1].end_ms, _joined(cue)


def _joined(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _clock(at_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{milliseconds:03}"


def _english_name(code: str) -> str:
    """`english`, as the vendor writes languages; the code where nobody knows it."""
    if is_detection(code):
        return code
    try:
        name = Locale.parse(code, sep="-").get_language_name("en")
    except (UnknownLocaleError, ValueError):
        return code
    return (name or code).lower()


_WRITERS: Final[dict[Format, tuple[str, Callable[[Wanted, Transcript], bytes]]]] = {
    "json": (_JSON, _json),
    "text": (_TEXT, _text),
    "srt": (_TEXT, _srt),
    "vtt": (_TEXT, _vtt),
    "verbose_json": (_JSON, _verbose),
    "diarized_json": (_JSON, _diarized),
}
