"""Every `native`, `emulated` and `ignored` of the catalogue, held against what the adapter sends and tells.

*Native*: the wish changes what the vendor is asked for, or the vendor tells it anyway. *Emulated*: the vendor is asked
for the same, and still something else is sent or told. *Ignored*: nothing changes at all.
"""

import json
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import ClientFault
from routeraudio.model.events import Event, Final, Partial, TurnEnd
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import models
from routeraudio.providers.base import Adapter
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.models import Support

from .conformance import adapter_config
from .conversations import CONVERSATIONS
from .conversations.gradium import ready, step, text
from .conversations.openai import session
from .conversations.script import Conversation, Finalizes, Finishes, Says, Sends, Step

ROWS = [(name, model.id) for name in models.names() for model in models.load(name).models]

each_model = pytest.mark.parametrize(("provider", "model"), ROWS)

with wave.open(str(Path(__file__).parent.parent / "assets" / "audio" / "goforward.wav")) as file:
    SPEECH = file.readframes(file.getnframes())

STEREO = AudioFormat("pcm_s16le", 16000, 2)

WISHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "punctuate": ({"punctuate": True}, {"punctuate": False}),
    "diarize": ({"diarize": False}, {"diarize": True}),
    "endpointing": ({"endpointing_ms": 1000}, {"endpointing_ms": 2000}),
    "multichannel": ({"audio": STEREO}, {"audio": STEREO, "multichannel": True}),
}
"""Two values of each parameter that is asked of the vendor, inside the bounds of all."""


def support(provider: str, model: str) -> Support:
    row = models.load(provider).find(model)
    assert row is not None
    return row.support


def conversation(provider: str, model: str) -> Conversation:
    """The model's own, else one of a model that can do the same."""
    known = models.load(provider)

    def strangeness(talk: Conversation) -> tuple[bool, int]:
        spoken = known.chosen(talk.options.model, "en", has_partials=True)
        its, wanted = (
            msgspec.to_builtins(support(provider, spoken)),
            msgspec.to_builtins(support(provider, model)),
        )
        return spoken != model, sum(its[name] != wanted[name] for name in wanted)

    return min(CONVERSATIONS[provider], key=strangeness)


def wishes(provider: str, model: str, **changes: Any) -> Options:
    return msgspec.structs.replace(conversation(provider, model).options, model=model, **changes)


def asked(options: Options) -> tuple[object, ...]:
    """All that the vendor is asked for before any audio."""
    entry = PROVIDERS[options.provider]
    adapter = entry.adapter(adapter_config(entry, options))
    dial = adapter.dial()
    return dial.url, dial.headers, dial.subprotocols, tuple(adapter.opened())


def play(adapter: Adapter, steps: Sequence[Step]) -> Iterator[Message | Event]:
    """What is sent and told, in order."""
    yield from adapter.opened()
    for each in steps:
        match each:
            case Sends(audio_ms=audio_ms):
                yield from adapter.audio(bytes(adapter.audio_format.bytes_per_second * audio_ms // 1000))
            case Says(message=message):
                yield from adapter.received(message)
            case Finalizes():
                yield from adapter.finalize()
            case Finishes():
                yield from adapter.finish()


def played(options: Options) -> list[Message | Event]:
    entry = PROVIDERS[options.provider]
    talk = conversation(options.provider, options.model or "")
    return list(play(entry.adapter(adapter_config(entry, options)), talk.steps))


# What is asked of the vendor.


@each_model
@pytest.mark.parametrize("parameter", WISHES)
def test_what_the_vendor_is_asked_for(provider: str, model: str, parameter: str) -> None:
    """Exactly the native wishes change it."""
    here, there = (wishes(provider, model, **value) for value in WISHES[parameter])
    is_native = getattr(support(provider, model), parameter) == "native"
    assert (asked(here) != asked(there)) == is_native


@each_model
@pytest.mark.parametrize("parameter", WISHES)
def test_what_is_ignored_changes_nothing(provider: str, model: str, parameter: str) -> None:
    """Neither a message to the vendor nor an event differs."""
    if getattr(support(provider, model), parameter) == "ignored":
        here, there = (played(wishes(provider, model, **value)) for value in WISHES[parameter])
        assert here == there


def sent_while_speech_ends(options: Options) -> list[tuple[int, Message]]:
    """What is sent besides audio during speech and the five seconds of silence behind it, and when."""
    entry = PROVIDERS[options.provider]
    adapter = entry.adapter(adapter_config(entry, options))
    adapter.opened()
    converter = transcoder(PCM_16K_MONO, adapter.audio_format)
    audio = converter.push(SPEECH) + converter.finish() + bytes(adapter.audio_format.bytes_per_second * 5)
    piece = adapter.audio_format.bytes_per_second * 80 // 1000
    sent = []
    adapter.received(ready() if options.provider == "gradium" else session())
    for number, start in enumerate(range(0, len(audio), piece)):
        messages = adapter.audio(audio[start : start + piece])
        sent += [(number, message) for message in messages if '"audio"' not in str(message)]
        if options.provider == "gradium":
            adapter.received(step((number + 1) * 0.08, 0.9 if number > 30 else 0.1))
            if number == 20:
                adapter.received(text("forward", 0.9))
    return sent


@each_model
def test_emulated_endpointing(provider: str, model: str) -> None:
    """We end the utterance behind as much silence as was asked for: twice as much is later."""
    if support(provider, model).endpointing == "emulated":
        sooner, later = (
            sent_while_speech_ends(wishes(provider, model, **value)) for value in WISHES["endpointing"]
        )
        assert sooner[0][0] < later[0][0]


# What is told.


@each_model
def test_partials(provider: str, model: str) -> None:
    """They come where the catalogue says so and the client wants them, never otherwise."""
    options = wishes(provider, model)
    has_partials = support(provider, model).partials != "ignored"
    assert any(isinstance(each, Partial) for each in played(options)) == has_partials
    without = msgspec.structs.replace(options, partial_results=False)
    assert not any(isinstance(each, Partial) for each in played(without))


@each_model
def test_words_and_turn_ends(provider: str, model: str) -> None:
    """Finals have words, and turns end, where the catalogue says so."""
    told = played(wishes(provider, model))
    assert any(isinstance(each, Final) for each in told)
    has_words = any(isinstance(each, Final) and each.words for each in told)
    assert has_words == (support(provider, model).words != "ignored")
    assert any(isinstance(each, TurnEnd) for each in told) == (support(provider, model).turn_end != "ignored")


@each_model
def test_who_finds_the_silence_ends_the_turn(provider: str, model: str) -> None:
    """Turn ends are ours exactly where the endpointing is."""
    its = support(provider, model)
    assert (its.turn_end == "emulated") == (its.endpointing == "emulated")


@each_model
def test_channels(provider: str, model: str) -> None:
    """Transcripts and turn ends say their channel where they can be told apart and the client wants it."""
    _, wished = WISHES["multichannel"]
    told = [each for each in played(wishes(provider, model, **wished)) if isinstance(each, Final | TurnEnd)]
    has_channels = support(provider, model).multichannel != "ignored"
    assert all((each.channel is not None) == has_channels for each in told)


def kind(message: Message) -> tuple[object, ...]:
    """What tells a vendor's client messages apart."""
    if isinstance(message, bytes):
        return ("binary",)
    fields = json.loads(message)
    return tuple(fields.get(name) for name in ("type", "message_type", "message", "commit"))


@each_model
def test_finalize(provider: str, model: str) -> None:
    """Native: the vendor is told to. Emulated: it hears silence, and nothing else."""
    options = wishes(provider, model)
    entry = PROVIDERS[provider]
    adapter = entry.adapter(adapter_config(entry, options))
    steps = conversation(provider, model).steps
    cut = next(i for i, each in enumerate(steps) if isinstance(each, Finalizes | Finishes))
    list(play(adapter, steps[:cut]))
    audio = {kind(message) for message in adapter.audio(bytes(adapter.audio_format.bytes_per_second))}
    sent = {kind(message) for message in adapter.finalize()}
    how = support(provider, model).finalize
    assert bool(sent) == (how != "ignored")
    assert (sent <= audio) == (how == "emulated")


@each_model
def test_language_auto(provider: str, model: str) -> None:
    """Refused where the catalogue says so; where it is ignored the vendor is asked for the same as without."""
    options = wishes(provider, model, language="auto")
    how = support(provider, model).language_auto
    if how == "refused":
        with pytest.raises(ClientFault, match="cannot detect the language"):
            PROVIDERS[provider].check(options)
    else:
        PROVIDERS[provider].check(options)
        spoken = models.load(provider).find(model)
        assert spoken is not None
        is_choice = len({code.split("-")[0] for code in spoken.languages}) > 1
        assert how == ("native" if is_choice else "ignored")
        if how == "ignored":
            assert asked(options) == asked(msgspec.structs.replace(options, language="en"))


@each_model
def test_nothing_is_called_emulated_without_a_proof(provider: str, model: str) -> None:
    """Emulated are only the parameters whose emulation the tests above have seen."""
    emulated = {
        name for name, how in msgspec.to_builtins(support(provider, model)).items() if how == "emulated"
    }
    assert emulated <= {"endpointing", "turn_end", "finalize"}
