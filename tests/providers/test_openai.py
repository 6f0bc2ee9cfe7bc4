"""OpenAI's own oddities: two families of models, commits, and the order of turns."""

import base64
import json
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Failed, Final, Finished, Lost, Notice, Ready, TurnEnd, Usage
from routeraudio.model.options import Options
from routeraudio.providers.base import AdapterConfig, Credential
from routeraudio.providers.models import load
from routeraudio.providers.openai import ENTRY
from routeraudio.providers.openai.messages import APPEND_BYTES_MAX
from routeraudio.providers.openai.request import LISTED, LIVE, MULAW, check

from .conversations.openai import (
    PCM_24K,
    added,
    committed,
    completed,
    delta,
    error,
    event,
    failed,
    session,
    started,
    stopped,
)

KEY = "sk-0123456789abcdef0123456789abcdef01234567"
TURNS = "gpt-transcribe"
AUDIO = Path(__file__).parent.parent / "assets" / "audio"
BYTES_PER_MS = 48


def wishes(**changes: Any) -> Options:
    return msgspec.structs.replace(Options(provider="openai", audio=PCM_24K, partial_results=True), **changes)


def adapter(*, key: str | None = KEY, is_clients_own: bool = True, **changes: Any) -> Any:
    """A session before anything was said. `Any`: tests call the adapter as the relay does."""
    credential = None if key is None else Credential(key, is_clients_own=is_clients_own)
    config = AdapterConfig(options=wishes(**changes), url=ENTRY.default_url, credential=credential)
    return ENTRY.adapter(config)


def ready(*, audio_ms: int = 0, **changes: Any) -> Any:
    """A session that takes audio, and was sent so much silence."""
    opened = adapter(**changes)
    opened.tick(0.0)
    opened.received(session("session.created"))
    opened.received(session())
    if audio_ms:
        opened.audio(silence(audio_ms))
    return opened


def update(**changes: Any) -> dict[str, Any]:
    """What `session.update` asks for."""
    [message] = adapter(**changes).opened()
    whole = json.loads(message)
    assert (whole["type"], whole["session"]["type"]) == ("session.update", "transcription")
    heard: dict[str, Any] = whole["session"]["audio"]["input"]
    return heard


def silence(length_ms: int) -> bytes:
    return bytes(length_ms * BYTES_PER_MS)


def speech() -> bytes:
    """ "go forward ten meters" from 0.5 to 2.3 s of 2.8 s."""
    with wave.open(str(AUDIO / "goforward.wav")) as file:
        converter = transcoder(PCM_16K_MONO, PCM_24K)
        return converter.push(file.readframes(file.getnframes())) + converter.finish()


def said(messages: Iterable[str]) -> list[str]:
    """Kinds of the messages: `append 20` with its milliseconds, `commit`, `session.update`."""
    kinds = []
    for message in map(json.loads, messages):
        kind = message["type"].removeprefix("input_audio_buffer.")
        audio_ms = len(base64.b64decode(message.get("audio", ""))) // BYTES_PER_MS
        kinds.append(f"append {audio_ms}" if kind == "append" else kind)
    return kinds


def commits(messages: Iterable[str]) -> int:
    return said(messages).count("commit")


def failure(events: Any) -> Any:
    """The fault at the end."""
    assert isinstance(events[-1], Failed)
    return events[-1].fault


# Dialling and the session's settings.


def test_the_address_has_the_intent_and_no_model() -> None:
    """With `model` in the query it would be a conversation; without `intent` too."""
    config = AdapterConfig(
        options=wishes(model=TURNS),
        url="wss://host:9/prefix/",
        credential=Credential(KEY, is_clients_own=True),
    )
    dial = ENTRY.adapter(config).dial()
    assert dial.url == "wss://host:9/prefix/v1/realtime?intent=transcription"
    assert dial.headers == (("Authorization", f"Bearer {KEY}"),)
    assert dial.subprotocols == ()
    assert adapter(key=None).dial().headers == ()


@pytest.mark.parametrize("key", ["", "a\r\nHost: other", "schlüssel", "a\x00b"])
def test_key_that_cannot_be_sent(key: str) -> None:
    """A key that would break the request head is refused, without being shown."""
    with pytest.raises(ClientFault) as caught:
        adapter(key=key).dial()
    assert caught.value.close_code == CloseCode.UNAUTHORIZED
    assert not key or key not in caught.value.message


def test_a_live_model_gets_no_detection() -> None:
    """Live models refuse `turn_detection`; the session's own default has to be switched off."""
    assert update() == {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "transcription": {"model": "gpt-live-transcribe", "languages": ["en"]},
        "turn_detection": None,
    }


def test_other_models_end_turns_themselves() -> None:
    """All numbers are sent: the vendor's defaults are told differently in different places."""
    assert update(model=TURNS, endpointing_ms=700)["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 700,
    }
    assert update(model=TURNS, endpointing_ms=0)["turn_detection"]["silence_duration_ms"] == 200


@pytest.mark.parametrize(
    ("model", "language", "sent"),
    [
        ("gpt-live-transcribe", "de", {"languages": ["de"]}),
        ("gpt-live-transcribe", "auto", {}),
        ("gpt-live-transcribe-2026-09-01", "pt-BR", {"languages": ["pt"]}),
        ("gpt-transcribe", "EN-us", {"languages": ["en"]}),
        ("gpt-transcribe", "multi", {}),
        ("gpt-realtime-whisper", "fr", {"language": "fr"}),
        ("gpt-4o-transcribe", "zh-Hant-TW", {"language": "zh"}),
        ("gpt-4o-mini-transcribe-2025-12-15", "sv", {"language": "sv"}),
        ("whisper-1", "auto", {}),
    ],
)
def test_language_hints(model: str, language: str, sent: dict[str, Any]) -> None:
    """Each model has its own field; regions are cut, and no hint is no field: an empty list is refused."""
    check(wishes(model=model, language=language))
    assert update(model=model, language=language)["transcription"] == {"model": model} | sent


def test_families_are_those_of_the_data_file() -> None:
    """Every model with its own turn ends has no partials, and the other way round; every name is known."""
    rows = {row.id: row for row in load("openai").models}
    assert {id for id, row in rows.items() if row.support.turn_end != "native"} == LIVE
    assert {id for id, row in rows.items() if row.support.partials == "native"} == LIVE
    assert set(rows) >= LISTED


@pytest.mark.parametrize(
    ("audio", "sent", "declared"),
    [
        (PCM_24K, PCM_24K, {"type": "audio/pcm", "rate": 24_000}),
        (PCM_16K_MONO, PCM_24K, {"type": "audio/pcm", "rate": 24_000}),
        (AudioFormat("pcm_s16le", 24_000, 2), PCM_24K, {"type": "audio/pcm", "rate": 24_000}),
        (AudioFormat("pcm_s16le", 8000), PCM_24K, {"type": "audio/pcm", "rate": 24_000}),
        (MULAW, MULAW, {"type": "audio/pcmu"}),
        (AudioFormat("pcm_mulaw", 16_000), PCM_24K, {"type": "audio/pcm", "rate": 24_000}),
        (AudioFormat("pcm_mulaw", 8000, 2), PCM_24K, {"type": "audio/pcm", "rate": 24_000}),
        (AudioFormat("webm", 48_000), PCM_24K, {"type": "audio/pcm", "rate": 24_000}),
    ],
    ids=str,
)
def test_formats(audio: AudioFormat, sent: AudioFormat, declared: dict[str, Any]) -> None:
    """24 kHz mono PCM and telephony mu-law pass untouched; everything else becomes the first."""
    assert adapter(audio=audio).audio_format == sent
    assert update(audio=audio)["format"] == declared


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-live", "", "nova-3", "gpt-transcribe-2026", "x" * 200])
def test_unknown_model(model: str) -> None:
    """A model that does not transcribe is refused with the ones that do."""
    with pytest.raises(ClientFault, match="use one of: gpt-transcribe, gpt-live-transcribe") as caught:
        check(wishes(model=model or " "))
    assert (caught.value.code, caught.value.parameter) == ("invalid_parameter", "model")


@pytest.mark.parametrize("language", ["tlh", "english", "", "xx-en"])
def test_unknown_language(language: str) -> None:
    """A language that the model does not speak is refused with some it does."""
    with pytest.raises(ClientFault, match="use one of: af, ar") as caught:
        check(wishes(language=language))
    assert (caught.value.code, caught.value.parameter) == ("unsupported_language", "language")


def test_the_hour() -> None:
    """Sessions are moved before the vendor's hour is over."""
    assert ENTRY.session_s == 3600


# Audio, and the turns of live models.


def test_audio_is_wrapped() -> None:
    """Each chunk is one message with its bytes in base64, and nothing else."""
    [message] = ready().audio(b"\x01\x02\x03\x04")
    assert json.loads(message) == {"type": "input_audio_buffer.append", "audio": "AQIDBA=="}


def test_long_chunks_are_cut() -> None:
    """No message comes near the vendor's 15 MiB, and every byte goes."""
    audio = bytes(range(256)) * (2 * APPEND_BYTES_MAX // 256) + b"\x01\x02"
    sent = [json.loads(message) for message in ready(model=TURNS).audio(audio)]
    assert b"".join(base64.b64decode(message["audio"]) for message in sent) == audio
    assert len(sent) == 3


@pytest.mark.parametrize("model", sorted(LIVE))
@pytest.mark.parametrize("chunk_ms", [10, 20, 50, 333, 5000])
def test_silence_commits_the_turn_of_a_live_model(model: str, chunk_ms: int) -> None:
    """500 ms behind the last word, in audio time and in the middle of a chunk where it must be."""
    audio = speech() + silence(1200)
    live = ready(model=model)
    step = chunk_ms * BYTES_PER_MS
    messages = [
        each for start in range(0, len(audio), step) for each in live.audio(audio[start : start + step])
    ]
    kinds = said(messages)
    assert kinds.count("commit") == 1
    before_ms = sum(int(kind.split()[1]) for kind in kinds[: kinds.index("commit")])
    assert 2700 <= before_ms <= 2900
    sent = b"".join(base64.b64decode(json.loads(message).get("audio", "")) for message in messages)
    assert sent == audio


@pytest.mark.parametrize(("endpointing_ms", "commits_sent"), [(0, 1), (1000, 1), (1600, 0)])
def test_endpointing_is_the_silence(endpointing_ms: int, commits_sent: int) -> None:
    """The client says how much silence ends a turn."""
    assert commits(ready(endpointing_ms=endpointing_ms).audio(speech() + silence(1000))) == commits_sent


def test_other_models_are_not_committed() -> None:
    """Where the vendor ends turns, silence is its business."""
    assert commits(ready(model=TURNS).audio(speech() + silence(2000))) == 0


def test_a_live_turn() -> None:
    """Deltas add up; the turn lies where the speech was; its end is told because silence ended it."""
    live = ready()
    live.audio(speech()[: 1500 * BYTES_PER_MS])
    events = [*live.received(delta("item_1", "Go")), *live.received(delta("item_1", " forward"))]
    assert commits(live.audio(speech()[1500 * BYTES_PER_MS :] + silence(1000))) == 1
    events += live.received(delta("item_1", " ten"))
    events += live.received(committed("item_1"))
    events += live.received(completed("item_1", "Go forward ten meters."))
    *partials, final, end = events
    assert [partial.text for partial in partials] == ["Go", "Go forward", "Go forward ten"]
    assert {(partial.start_ms, partial.end_ms) for partial in partials[:2]} == {(final.start_ms, 1500)}
    assert final.text == "Go forward ten meters."
    assert final.words is None
    assert 350 <= final.start_ms <= 650
    assert 2000 <= final.end_ms <= 2500
    assert end == TurnEnd(final.end_ms)
    assert not live.received(delta("item_1", " late"))
    assert not live.received(completed("item_1", "Go forward ten meters."))


def test_steady_noise_is_cut_without_a_turn_end() -> None:
    """After thirty seconds a commit bounds the buffer, but nobody's turn is over."""
    live = ready()
    loud = speech()[800 * BYTES_PER_MS : 1800 * BYTES_PER_MS] * 31
    assert commits(live.audio(loud)) == 1
    live.received(committed("item_1"))
    events = live.received(completed("item_1", "And so on"))
    assert [type(event) for event in events] == [Final]


def test_a_voice_that_is_not_heard_here() -> None:
    """A live model finds words where our detector finds nobody: the turn ends when no more words come."""
    live = ready(audio_ms=1000)
    assert live.received(delta("item_1", "Psst"))
    assert commits(live.audio(silence(2900))) == 0
    assert commits(live.audio(silence(200))) == 1
    assert commits(live.audio(silence(10_000))) == 0
    live.received(committed("item_1"))
    events = live.received(completed("item_1", "Psst."))
    assert events == [Final("Psst.", 0, 4100), TurnEnd(4100)]


def test_an_hour_of_silence_does_not_fill_the_buffer() -> None:
    """Silence is committed each minute; its blank text is no event."""
    live = ready()
    assert sum(commits(live.audio(silence(1000))) for _ in range(150)) == 2
    live.received(committed("item_1"))
    assert live.received(completed("item_1", " ")) == []


def test_a_muted_microphone_ends_the_turn() -> None:
    """Audio that stops in the middle of a turn leaves it open for two to four seconds, and once only."""
    live = ready()
    live.audio(speech()[: 2000 * BYTES_PER_MS])
    assert live.tick(2.0) == ()
    assert commits(live.tick(4.0)) == 1
    assert live.tick(6.0) == ()
    live.received(committed("item_1"))
    events = live.received(completed("item_1", "Go forward ten"))
    assert [type(event) for event in events] == [Final, TurnEnd]
    assert live.tick(8.0) == ()


def test_a_muted_microphone_where_nothing_was_said() -> None:
    """Silence is not committed: vendors invent words for it."""
    live = ready(audio_ms=3000)
    assert [live.tick(2.0 * i) for i in range(1, 5)] == [()] * 4


def test_finalize() -> None:
    """What was said is committed now; that is no turn end, and speech that goes on is the next turn."""
    live = ready()
    audio = speech()
    live.audio(audio[: 1200 * BYTES_PER_MS])
    assert said(live.finalize()) == ["commit"]
    assert live.finalize() == ()
    live.received(committed("item_1"))
    [first] = live.received(completed("item_1", "Go forward"))
    assert first.end_ms == 1200
    assert commits(live.audio(audio[1200 * BYTES_PER_MS :] + silence(800))) == 1
    live.received(committed("item_2", "item_1"))
    second, end = live.received(completed("item_2", "ten meters."))
    assert second.start_ms == 1200
    assert isinstance(end, TurnEnd)


@pytest.mark.parametrize("model", [None, TURNS])
def test_finalize_without_speech(model: str | None) -> None:
    """There is nothing to ask for, or less than the vendor takes."""
    assert ready(model=model, audio_ms=2000).finalize() == ()
    assert ready(model=model).finalize() == ()
    short = ready(model=model)
    short.received(delta("item_1", "Go"))
    short.audio(silence(90))
    assert short.finalize() == ()


def test_a_commit_may_be_too_small() -> None:
    """That error does no harm, wherever it comes."""
    turns = ready(model=TURNS, audio_ms=1000)
    assert turns.received(error("input_audio_buffer_commit_empty")) == ()
    turns.audio(speech())
    assert commits(turns.finalize()) == 1
    assert turns.received(error("input_audio_buffer_commit_empty", event_id="commit-1")) == ()
    assert turns.finalize() == ()
    assert said(turns.finish()) == ["session.update"]


# The order of turns.


def test_turns_are_told_in_the_order_of_their_commits() -> None:
    """A text that is ready early waits; deltas in the burst behind a turn are no partials."""
    turns = ready(model=TURNS, audio_ms=6000)
    for number in (1, 2, 3):
        turns.received(started(f"item_{number}", number * 1000))
        turns.received(stopped(f"item_{number}", number * 1000 + 800))
        turns.received(committed(f"item_{number}"))
        turns.received(added(f"item_{number}"))
    assert turns.received(completed("item_3", "Three.")) == []
    assert turns.received(delta("item_2", "Two")) == []
    assert turns.received(completed("item_1", "One.")) == [
        Final("One.", 1000, 1800),
        TurnEnd(1800),
    ]
    assert turns.received(completed("item_2", "Two.")) == [
        Final("Two.", 2000, 2800),
        TurnEnd(2800),
        Final("Three.", 3000, 3800),
        TurnEnd(3800),
    ]


def test_no_turn_waits_for_ever() -> None:
    """After ten seconds of audio a text passes the one that is missing, which is told when it comes."""
    turns = ready(model=TURNS, audio_ms=4000)
    for number in (1, 2, 3):
        turns.received(started(f"item_{number}", number * 1000))
        turns.received(stopped(f"item_{number}", number * 1000 + 800))
        turns.received(committed(f"item_{number}"))
    assert turns.received(completed("item_2", "Two.")) == []
    turns.audio(silence(10_000))
    events = turns.received(completed("item_3", "Three."))
    assert [event.text for event in events if isinstance(event, Final)] == ["Two.", "Three."]
    assert turns.received(completed("item_1", "One.")) == [Final("One.", 3800, 3800), TurnEnd(3800)]


def test_settled_text_survives_the_socket() -> None:
    """Text that waits for an earlier turn is told when the connection falls; unsettled text is not."""
    turns = ready(model=TURNS, audio_ms=4000)
    turns.received(committed("item_1"))
    turns.received(committed("item_2"))
    turns.received(delta("item_1", "On"))
    turns.received(completed("item_2", "Two."))
    events = turns.closed(None, "")
    assert [event.text for event in events if isinstance(event, Final)] == ["Two."]
    assert failure(events).is_retryable


def test_a_turn_without_a_transcript() -> None:
    """The session goes on; text that was heard before is all there will be, and that the rest is lost is told."""
    turns = ready(model=TURNS, audio_ms=4000)
    turns.received(started("item_1", 500))
    turns.received(stopped("item_1", 1500))
    turns.received(committed("item_1"))
    assert turns.received(failed("item_1")) == [Notice("audio_unintelligible"), Lost(500, 1500)]
    turns.received(started("item_2", 2000))
    turns.received(stopped("item_2", 3000))
    turns.received(committed("item_2"))
    turns.received(delta("item_2", "Hello"))
    assert turns.received(failed("item_2")) == [
        Notice("audio_unintelligible"),
        Final("Hello", 2000, 3000),
        TurnEnd(3000),
        Lost(2000, 3000),
    ]
    assert turns.received(failed("item_2")) == [Notice("audio_unintelligible")]


def test_positions_stay_inside_the_audio() -> None:
    """A mad position is the end of the audio; none runs backwards."""
    turns = ready(model=TURNS, audio_ms=1000)
    turns.received(started("item_1", -5))
    turns.received(stopped("item_1", 10**300))
    turns.received(committed("item_1"))
    assert turns.received(completed("item_1", "Hm.")) == [Final("Hm.", 0, 1000), TurnEnd(1000)]


def test_too_many_turns_are_owed() -> None:
    """A vendor that commits and never transcribes has failed."""
    turns = ready(model=TURNS, audio_ms=1000)
    events = [event for number in range(300) for event in turns.received(committed(f"item_{number}"))]
    assert failure(events).is_retryable


@pytest.mark.parametrize("spelling", ["session.updated", "transcription_session.updated"])
def test_ready_when_the_settings_are_taken(spelling: str) -> None:
    """`session.created` is not enough; both spellings count, once."""
    opened = adapter()
    assert opened.received(session("session.created")) == ()
    assert opened.received(session(spelling)) == (Ready("sess_1"),)
    assert opened.received(session(spelling)) == ()


def test_bookkeeping_is_ignored() -> None:
    """What says nothing new is no event at all."""
    opened = ready()
    for kind in ("conversation.item.created", "conversation.item.done", "rate_limits.updated"):
        assert opened.received(event(kind, item={}, rate_limits=[])) == ()
    assert opened.received(event("input_audio_buffer.cleared")) == (Notice("unknown_message"),)


# The end.


@pytest.mark.parametrize("model", [None, TURNS])
def test_finish_commits_what_was_said_and_waits(model: str | None) -> None:
    """The last words are asked for, and the connection is done when they are there."""
    made = ready(model=model)
    made.audio(speech()[: 2000 * BYTES_PER_MS])
    assert said(made.finish()) == ["commit"]
    assert made.finish() == ()
    assert made.due_s() is None
    assert made.received(committed("item_1")) == []
    events = made.received(completed("item_1", "Go forward ten.", type="duration", seconds=2.0))
    assert [type(event) for event in events] == [Final, TurnEnd, Usage, Finished]
    assert events[2] == Usage(2000)
    assert made.received(completed("item_2", "x")) == ()
    assert made.closed(1000, "") == ()


@pytest.mark.parametrize("audio_ms", [0, 90, 2000])
@pytest.mark.parametrize("model", [None, TURNS])
@pytest.mark.parametrize("answer", [session(), error("unknown_parameter", event_id="end")])
def test_finish_without_anything_to_commit(model: str | None, audio_ms: int, answer: str) -> None:
    """An update that changes nothing is answered by a vendor that has read everything, even if it refuses it."""
    made = ready(model=model, audio_ms=audio_ms)
    [message] = made.finish()
    assert json.loads(message) == {
        "type": "session.update",
        "event_id": "end",
        "session": {"type": "transcription"},
    }
    assert made.received(answer) == [Finished()]


def test_finish_waits_for_turns_already_committed() -> None:
    """Nothing more is sent where an answer is due anyway."""
    live = ready()
    assert commits(live.audio(speech() + silence(1000))) == 1
    assert live.finish() == ()
    assert live.received(committed("item_1")) == []
    assert live.received(completed("item_1", "Go."))[-1] == Finished()


def test_a_burst_is_not_taken_for_the_end() -> None:
    """A file sent at once: the vendor's own commits come before the answer to ours, and none of them is it."""
    turns = ready(model=TURNS)
    turns.audio(speech() + silence(3000) + speech())
    assert said(turns.finish()) == ["commit"]
    turns.received(started("item_1", 200))
    turns.received(stopped("item_1", 2900))
    turns.received(committed("item_1"))
    events = turns.received(completed("item_1", "Go forward ten meters."))
    assert [type(event) for event in events] == [Final, TurnEnd]
    turns.received(started("item_2", 6000))
    turns.received(committed("item_2"))
    events = turns.received(completed("item_2", "Go forward ten meters."))
    assert [type(event) for event in events] == [Final, TurnEnd, Finished]


def test_the_vendor_ends_the_last_turn_first() -> None:
    """Its commit at the very end leaves nothing for ours, whose answer is then an error."""
    turns = ready(model=TURNS)
    turns.audio(speech() + silence(600))
    assert said(turns.finish()) == ["commit"]
    turns.received(started("item_1", 200))
    turns.received(stopped("item_1", 3390))
    turns.received(committed("item_1"))
    assert turns.received(error("input_audio_buffer_commit_empty", event_id="commit-1")) == ()
    assert turns.received(completed("item_1", "Go."))[-1] == Finished()


def test_the_answer_may_be_that_nothing_was_left() -> None:
    """An empty commit as the last answer ends the stream."""
    turns = ready(model=TURNS)
    turns.audio(speech()[: 1000 * BYTES_PER_MS])
    turns.finish()
    assert turns.received(error("input_audio_buffer_commit_empty")) == [Finished()]


@pytest.mark.parametrize("code", [1000, 1005])
def test_a_clean_close(code: int) -> None:
    """It is success only after `finish` and when nothing is owed."""
    assert failure(ready(audio_ms=1000).closed(code, "")).is_retryable
    silent = ready(audio_ms=1000)
    silent.finish()
    assert silent.closed(code, "") == [Finished()]
    owing = ready()
    owing.audio(speech())
    owing.finish()
    assert failure(owing.closed(code, "")).is_retryable


def test_text_of_a_turn_that_is_never_committed_is_kept() -> None:
    """At the vendor's end the words so far are all there will be."""
    live = ready(audio_ms=1000)
    live.received(delta("item_1", "Bye"))
    live.finish()
    final, end, finished = live.received(error("input_audio_buffer_commit_empty"))
    assert (final.text, end, finished) == ("Bye", TurnEnd(1000), Finished())


# Faults.


@pytest.mark.parametrize(("code", "reason"), [(3000, "invalid_request_error.invalid_api_key"), (3000, "")])
def test_a_bad_key_is_told_after_the_upgrade(code: int, reason: str) -> None:
    """The client's own key is the client's to fix; a stored one is the upstream's fault, for good."""
    fault = failure(adapter().closed(code, reason))
    assert (fault.code, fault.close_code) == ("unauthorized", CloseCode.UNAUTHORIZED)
    stored = failure(adapter(is_clients_own=False).closed(code, reason))
    assert isinstance(stored, UpstreamFault)
    assert not stored.is_retryable
    assert reason in stored.message


def test_a_bad_key_may_be_told_in_an_error_first() -> None:
    """The error says the same as the close; our key is not in it."""
    fault = failure(adapter().received(error("invalid_api_key", f"Incorrect API key provided: {KEY}.")))
    assert fault.code == "unauthorized"
    assert KEY not in fault.message


@pytest.mark.parametrize(
    ("code", "changes", "is_retryable"),
    [
        ("invalid_model", {}, False),
        ("session_expired", {}, True),
        ("rate_limit_exceeded", {}, True),
        ("insufficient_quota", {}, False),
        ("insufficient_quota", {"type": "rate_limit_error"}, False),
        (None, {"type": "server_error"}, True),
        ("invalid_value", {"event_id": "session"}, False),
        ("strange", {"event_id": "commit-1"}, False),
    ],
)
def test_fatal_errors(code: str | None, changes: dict[str, Any], is_retryable: bool) -> None:
    """Errors after which nothing more comes end the session with the vendor's words."""
    fault = failure(ready().received(error(code, "Turn detection\nis not supported.", **changes)))
    assert fault.message == "OpenAI reported an error: Turn detection is not supported."
    assert fault.is_retryable is is_retryable


def test_any_error_before_ready_is_fatal() -> None:
    """Settings that were refused will not be taken by waiting."""
    assert not failure(adapter().received(error("unknown_parameter"))).is_retryable
    assert ready().received(error("unknown_parameter")) == (Notice("unknown_parameter"),)


@pytest.mark.parametrize(
    ("code", "is_retryable"), [(4000, False), (1001, True), (1011, True), (1013, True), (None, True)]
)
def test_closes(code: int | None, is_retryable: bool) -> None:
    """What we sent wrong comes again; what broke may not."""
    fault = failure(ready().closed(code, "invalid_request_error.invalid_model"))
    assert isinstance(fault, UpstreamFault)
    assert fault.is_retryable is is_retryable


def test_http_refusals() -> None:
    """The body's sentence is told; without credit waiting does not help."""
    body = b'{"error":{"message":"You exceeded your quota.","type":"insufficient_quota","code":"insufficient_quota"}}'
    fault = adapter().refused(429, body)
    assert "You exceeded your quota." in fault.message
    assert not fault.is_retryable
    assert adapter().refused(429, b"<html>").is_retryable
    assert adapter().refused(403, body).close_code == CloseCode.UNAUTHORIZED


def test_broken_messages_pass_a_raw_client() -> None:
    """With `parse_json=false` the client reads them itself."""
    broken = event("input_audio_buffer.committed", item_id=7)
    assert failure(ready().received(broken)).is_retryable
    assert ready(parse_json=False).received(broken) == ()
