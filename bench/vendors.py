"""One result of each vendor, as it comes on the wire, and the plainest way to read it: `json` and dictionaries.

Results are what a client reads while somebody speaks: a partial of some eight words, near 700 bytes where the vendor
says so much. OpenAI and Vachana have no words, so theirs are a final of several sentences; Gradium sends one fragment
at a time, so its is the eighth. Plain readers do the least that gives the same JSON for these messages: they know no
repeats, no order, no damaged message, no place in the session.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

WORDS: Final = ("she", "had", "been", "a", "friend", "and", "governess", "to")
STEP_S: Final = 0.25

Json = dict[str, Any]


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider's results are made and read."""

    model: str | None = None
    before: Sequence[str] = ()
    """Messages that come before the first result."""
    prelude: Callable[[int], Sequence[str]] = lambda number: ()
    """Messages that come before a result, and do not count."""
    result: Callable[[int], str]
    """The result of this number: no two are alike."""
    plain: Callable[[Json], list[Json]]
    """What a client is sent for a result."""
    wrap: Callable[[bytes], str] | None = None
    """How audio is sent; None: as it is."""


def _dumps(message: Json) -> str:
    return json.dumps(message, separators=(",", ":"))


def _spoken(number: int) -> list[str]:
    return [*WORDS[:-1], f"{WORDS[-1]}{number}"]


def _span(index: int) -> tuple[float, float]:
    return round(index * STEP_S, 2), round((index + 1) * STEP_S, 2)


def _transcript(
    provider: str, text: str, words: list[Json] | None, span: tuple[float, float], **more: Any
) -> Json:
    start, end = span
    return {
        "type": "transcript",
        "provider": provider,
        "transcript": text,
        "start_time": start,
        "end_time": end,
        "is_partial": True,
        "words": words,
        **more,
    }


def _word(text: str, start: float, end: float) -> Json:
    return {"text": text, "start_time": start, "end_time": end, "speaker": None}


def _of_words(provider: str, text: str, words: list[Json]) -> list[Json]:
    return [_transcript(provider, text, words, (words[0]["start_time"], words[-1]["end_time"]))]


# Deepgram.


def _deepgram_result(number: int) -> str:
    words = [
        {
            "word": word,
            "start": _span(i)[0],
            "end": _span(i)[1],
            "confidence": 0.9912,
            "punctuated_word": word,
        }
        for i, word in enumerate(_spoken(number)[2:])
    ]
    alternative = {"transcript": " ".join(_spoken(number)[2:]), "confidence": 0.9912, "words": words}
    return _dumps(
        {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": 2.0,
            "start": 0.0,
            "is_final": False,
            "speech_final": False,
            "channel": {"alternatives": [alternative]},
            "metadata": {"request_id": "5e0f3f6e-0c8f-4f52-a6a5-0d9d3d5c7c10"},
            "from_finalize": False,
        }
    )


def _deepgram_plain(said: Json) -> list[Json]:
    heard = said["channel"]["alternatives"][0]
    words = [_word(word["punctuated_word"], word["start"], word["end"]) for word in heard["words"]]
    return _of_words("deepgram", heard["transcript"], words)


# AssemblyAI.


def _assemblyai_result(number: int) -> str:
    words = [
        {
            "start": int(_span(i)[0] * 1000),
            "end": int(_span(i)[1] * 1000),
            "text": word,
            "confidence": 0.99,
            "word_is_final": False,
        }
        for i, word in enumerate(_spoken(number)[2:])
    ]
    return _dumps(
        {
            "turn_order": 0,
            "turn_is_formatted": True,
            "end_of_turn": False,
            "transcript": " ".join(_spoken(number)[2:]),
            "end_of_turn_confidence": 0.0,
            "words": words,
            "utterance": "",
            "type": "Turn",
        }
    )


def _assemblyai_plain(said: Json) -> list[Json]:
    words = [_word(word["text"], word["start"] / 1000, word["end"] / 1000) for word in said["words"]]
    return _of_words("assemblyai", said["transcript"], words)


# ElevenLabs: words come with the final only.


def _elevenlabs_prelude(number: int) -> Sequence[str]:
    return (_dumps({"message_type": "committed_transcript", "text": " ".join(_spoken(number))}),)


def _elevenlabs_result(number: int) -> str:
    words = []
    for i, word in enumerate(_spoken(number)):
        start, end = _span(i)
        words.append({"text": word, "start": start, "end": end, "type": "word", "logprob": -0.01})
    return _dumps(
        {
            "message_type": "committed_transcript_with_timestamps",
            "text": " ".join(_spoken(number)),
            "language_code": "en",
            "words": words,
        }
    )


def _elevenlabs_plain(said: Json) -> list[Json]:
    words = [
        _word(word["text"], word["start"], word["end"]) for word in said["words"] if word["type"] == "word"
    ]
    [transcript] = _of_words("elevenlabs", said["text"], words)
    end = {"type": "turn_end", "provider": "elevenlabs", "end_time": transcript["end_time"]}
    return [{**transcript, "is_partial": False}, end]


# Gradium: the eighth fragment.


def _gradium_text(text: str, index: int) -> str:
    return _dumps({"type": "text", "text": text, "start_s": _span(index)[0], "stream_id": None})


def _gradium_plain(said: Json) -> list[Json]:
    words = [_word(word, *_span(i)) for i, word in enumerate([*WORDS[:-1], said["text"]])]
    return _of_words("gradium", " ".join(word["text"] for word in words), words)


# The local engine.


def _local_result(number: int) -> str:
    words = [
        {"text": word, "start_ms": int(_span(i)[0] * 1000), "end_ms": int(_span(i)[1] * 1000)}
        for i, word in enumerate(_spoken(number))
    ]
    return _dumps(
        {"type": "partial", "text": " ".join(_spoken(number)), "start_ms": 0, "end_ms": 2000, "words": words}
    )


def _local_plain(said: Json) -> list[Json]:
    words = [_word(word["text"], word["start_ms"] / 1000, word["end_ms"] / 1000) for word in said["words"]]
    return _of_words("local", said["text"], words)


# OpenAI: a turn's text for good.


def _openai_prelude(number: int) -> Sequence[str]:
    return (
        _dumps(
            {
                "type": "input_audio_buffer.committed",
                "event_id": "event_8",
                "item_id": f"item_{number}",
                "previous_item_id": f"item_{number - 1}",
            }
        ),
    )


def _openai_result(number: int) -> str:
    return _dumps(
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "event_id": "event_9",
            "item_id": f"item_{number}",
            "content_index": 0,
            "transcript": " ".join(_spoken(number) * 12),
            "languages": [{"code": "en"}],
            "usage": {"type": "duration", "seconds": 2.0},
        }
    )


def _openai_plain(said: Json) -> list[Json]:
    transcript = _transcript("openai", said["transcript"], None, (0.0, 2.0), is_partial=False)
    return [transcript, {"type": "turn_end", "provider": "openai", "end_time": 2.0}]


# Soniox.


def _soniox_result(number: int) -> str:
    tokens = [
        {
            "text": f" {word}" if i else word,
            "start_ms": int(_span(i)[0] * 1000),
            "end_ms": int(_span(i)[1] * 1000),
            "confidence": 0.97,
            "is_final": False,
        }
        for i, word in enumerate(_spoken(number))
    ]
    return _dumps({"tokens": tokens, "final_audio_proc_ms": 0, "total_audio_proc_ms": 2000})


def _soniox_plain(said: Json) -> list[Json]:
    words: list[Json] = []
    for token in said["tokens"]:
        if token["text"].startswith(" ") or not words:
            words.append(_word(token["text"].strip(), token["start_ms"] / 1000, token["end_ms"] / 1000))
        else:
            words[-1]["text"] += token["text"]
            words[-1]["end_time"] = token["end_ms"] / 1000
    return _of_words("soniox", "".join(token["text"] for token in said["tokens"]).strip(), words)


# Speechmatics: an entry takes 130 bytes.


def _speechmatics_result(number: int) -> str:
    spoken = _spoken(number)[3:]
    results = [
        {
            "type": "word",
            "start_time": _span(i)[0],
            "end_time": _span(i)[1],
            "alternatives": [{"content": word, "confidence": 0.98, "language": "en"}],
        }
        for i, word in enumerate(spoken)
    ]
    metadata = {"start_time": 0.0, "end_time": 1.25, "transcript": " ".join(spoken)}
    return _dumps(
        {"message": "AddPartialTranscript", "format": "2.9", "metadata": metadata, "results": results}
    )


def _speechmatics_plain(said: Json) -> list[Json]:
    words = [
        _word(result["alternatives"][0]["content"], result["start_time"], result["end_time"])
        for result in said["results"]
    ]
    return _of_words("speechmatics", said["metadata"]["transcript"], words)


# Vachana.


def _vachana_result(number: int) -> str:
    return _dumps(
        {
            "type": "transcript",
            "text": " ".join(_spoken(number) * 12),
            "audio_duration_ms": 2000.0,
            "segment_id": f"segment-{number}",
            "latency": 180,
            "timestamp": "2026-11-20T10:00:00.000Z",
        }
    )


def _vachana_plain(said: Json) -> list[Json]:
    transcript = _transcript("vachana", said["text"], None, (0.0, 2.0), is_partial=False)
    return [transcript, {"type": "turn_end", "provider": "vachana", "end_time": 2.0}]


def _base64(audio: bytes) -> str:
    return b64encode(audio).decode()


VENDORS: Final[dict[str, Vendor]] = {
    "assemblyai": Vendor(result=_assemblyai_result, plain=_assemblyai_plain),
    "deepgram": Vendor(result=_deepgram_result, plain=_deepgram_plain),
    "elevenlabs": Vendor(
        prelude=_elevenlabs_prelude,
        result=_elevenlabs_result,
        plain=_elevenlabs_plain,
        wrap=lambda audio: json.dumps(
            {
                "message_type": "input_audio_chunk",
                "audio_base_64": _base64(audio),
                "commit": False,
                "sample_rate": 16000,
            }
        ),
    ),
    "gradium": Vendor(
        before=[_gradium_text(word, index) for index, word in enumerate(WORDS[:-1])],
        result=lambda number: _gradium_text(f"{WORDS[-1]}{number}", 7),
        plain=_gradium_plain,
        wrap=lambda audio: json.dumps({"type": "audio", "audio": _base64(audio)}),
    ),
    "local": Vendor(result=_local_result, plain=_local_plain),
    "openai": Vendor(
        prelude=_openai_prelude,
        result=_openai_result,
        plain=_openai_plain,
        wrap=lambda audio: json.dumps({"type": "input_audio_buffer.append", "audio": _base64(audio)}),
    ),
    "soniox": Vendor(result=_soniox_result, plain=_soniox_plain),
    "speechmatics": Vendor(result=_speechmatics_result, plain=_speechmatics_plain),
    "vachana": Vendor(result=_vachana_result, plain=_vachana_plain),
}
"""By the catalogue's names."""
