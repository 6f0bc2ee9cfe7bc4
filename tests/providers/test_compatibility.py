"""Refusals name what works, warnings what does not."""

from typing import Any

import msgspec
import pytest

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.errors import ClientFault
from routeraudio.model.options import Options
from routeraudio.providers import languages, models
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.compatibility import (
    Alternative,
    elsewhere,
    siblings_that_can,
    unknown_model,
    warnings,
)

CODES = sorted(
    {offer.code for offers in languages.offers().values() for offer in offers} | {"auto", "en-ZZ", "tlh"}
)


def wishes(provider: str, **changes: Any) -> Options:
    return Options(**{"provider": provider, "audio": PCM_16K_MONO, **changes})


def works(its: Alternative, language: str) -> bool:
    options = wishes(its.provider, model=its.model, language=its.language or language)
    try:
        PROVIDERS[its.provider].check(options)
    except ClientFault:
        return False
    return True


def test_every_provider_has_a_data_file() -> None:
    """Who stands below the catalogue and reads the data files knows the same names."""
    assert models.names() == tuple(PROVIDERS)
    assert all(models.load(name).provider == name for name in PROVIDERS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_other_providers_that_are_named_can(provider: str) -> None:
    """For each language of the catalogue, and for detection, every provider named takes what is said of it."""
    assert all(works(its, code) for code in CODES for its in elsewhere(provider, code))
    assert all(its.provider != provider for code in CODES for its in elsewhere(provider, code))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_other_models_that_are_named_can(provider: str) -> None:
    """Likewise for models of the same provider, from any of its models."""
    known = models.load(provider)
    for model in known.models:
        for code in CODES:
            assert all(works(its, code) for its in siblings_that_can(known, model, code))


def test_whoever_can_is_named() -> None:
    """A provider that takes a language by itself is among the others that do."""
    for code in CODES:
        for provider in PROVIDERS:
            others = {its.provider for its in elsewhere(provider, code)}
            can = {name for name in PROVIDERS if name != provider and works(Alternative(name), code)}
            # English is what the local engine hears, whoever leaves the language open.
            assert can - others <= ({"local"} if code == "auto" else set())


@pytest.mark.parametrize(
    ("provider", "model", "language", "message"),
    [
        (
            "openai",
            None,
            "gu",
            "OpenAI's gpt-transcribe does not speak 'gu'; "
            "other providers that do: assemblyai, deepgram, elevenlabs, soniox, or with language=gu-IN vachana",
        ),
        (
            "assemblyai",
            "universal-streaming-english",
            "nl-BE",
            "AssemblyAI's universal-streaming-english does not speak 'nl-BE'; models that can: "
            "with language=nl universal-3-6-pro, universal-3-5-pro, whisper-rt; "
            "other providers that do: deepgram, or with language=nl elevenlabs, openai, soniox, speechmatics",
        ),
        (
            "vachana",
            None,
            "auto",
            "Vachana's vachana-stt-v3 cannot detect the language; "
            "other providers that do: assemblyai, deepgram, elevenlabs, gradium, openai and 1 more; "
            "or use one of: bn-IN, en-IN, gu-IN, hi-IN, kn-IN and 5 more",
        ),
    ],
    ids=["elsewhere", "region", "detection"],
)
def test_refused_language(provider: str, model: str | None, language: str, message: str) -> None:
    """At most five names of a kind: models of the same provider first, then other providers."""
    with pytest.raises(ClientFault) as caught:
        PROVIDERS[provider].check(wishes(provider, model=model, language=language))
    assert caught.value.message == message
    assert (caught.value.code, caught.value.parameter) == ("unsupported_language", "language")


def test_refused_model() -> None:
    """The provider's own, its default first, and whose model it is."""
    fault = unknown_model("OpenAI", models.load("openai"), "nova-3")
    assert fault.message == (
        "OpenAI: 'nova-3' is none of its models; use one of: gpt-transcribe, gpt-live-transcribe, "
        "gpt-realtime-whisper, gpt-4o-transcribe, gpt-4o-mini-transcribe and 2 more; it is a model of: deepgram"
    )
    assert (fault.code, fault.parameter) == ("invalid_parameter", "model")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_warnings_by_default(provider: str) -> None:
    """Who asks for nothing is not told that it has no effect."""
    assert warnings(wishes(provider)) == ()


WISHES: dict[str, dict[str, Any]] = {
    "punctuate": {"punctuate": False},
    "diarize": {"diarize": True},
    "partials": {"partial_results": True},
    "endpointing": {"endpointing_ms": 1234},
    "language_auto": {"language": "auto"},
    "multichannel": {"multichannel": True, "audio": AudioFormat("pcm_s16le", 16000, 2)},
}


@pytest.mark.parametrize(
    ("provider", "model"), [(name, model.id) for name in PROVIDERS for model in models.load(name).models]
)
def test_warnings_are_about_what_is_ignored(provider: str, model: str) -> None:
    """One sentence for each wish that the catalogue calls ignored, fit for a header."""
    row = models.load(provider).find(model)
    assert row is not None
    for parameter, value in WISHES.items():
        told = warnings(wishes(provider, model=model, **value))
        assert len(told) == (getattr(row.support, parameter) == "ignored")
        assert all(text.isascii() and text.isprintable() and model in text for text in told)


def test_warnings_of_everything_at_once() -> None:
    """Each wish is named as the client wrote it, with what it gets instead."""
    options = wishes("vachana", language="hi-IN", diarize=True, punctuate=False, partial_results=True)
    assert warnings(msgspec.structs.replace(options, endpointing_ms=300)) == (
        "punctuate=false has no effect with vachana vachana-stt-v3: text comes as the provider writes it",
        "diarize=true has no effect with vachana vachana-stt-v3: words have no speakers",
        "partial_results=true has no effect with vachana vachana-stt-v3: only finals come",
        "endpointing=300 has no effect with vachana vachana-stt-v3: "
        "the provider decides by itself where an utterance ends",
    )


def test_channels_of_a_container_are_mixed() -> None:
    """Nobody can tell them apart before it is decoded; with one channel there is nothing to tell."""
    webm = wishes("deepgram", multichannel=True, audio=AudioFormat("webm", 48000, 2))
    assert warnings(webm) == ("multichannel=true has no effect with deepgram nova-3: channels are mixed",)
    assert warnings(wishes("deepgram", multichannel=True)) == ()


def test_nothing_is_known_of_unknown_models() -> None:
    """A customer's own model is passed on without a word."""
    assert warnings(wishes("deepgram", model="my-own", diarize=True, punctuate=False)) == ()


def test_a_wish_for_partials_chooses_a_model_that_has_them() -> None:
    """Where the client leaves the model open."""
    assert warnings(wishes("openai", partial_results=True)) == ()
    assert len(warnings(wishes("openai", partial_results=True, model="gpt-transcribe"))) == 1
