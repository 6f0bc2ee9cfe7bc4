"""What a client is told about its wishes before anything is dialled: who could, and what has no effect.

A combination that cannot work is refused, and the refusal names models of the same provider that can, then other
providers that do. A wish that the provider cannot fulfil, but can leave out, is no reason to refuse: the client is
warned.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from routeraudio.model.errors import ClientFault, CloseCode, invalid_parameter
from routeraudio.model.options import Options
from routeraudio.providers import models
from routeraudio.providers.languages import canonical, offers
from routeraudio.providers.models import Model, Models

_NAMED_MAX: Final = 5
"""Alternatives of a kind named in a refusal: enough to find one's own, short enough to read."""

_ECHO_MAX: Final = 40
"""Characters of a client's value that an error repeats; BCP-47 tags have at most 35 (RFC 5646 4.4.1)."""

_ENDPOINTING_MS: Final = next(
    field.default for field in msgspec.structs.fields(Options) if field.name == "endpointing_ms"
)
"""What a client gets that does not ask, and need not be told of."""


class Alternative(msgspec.Struct, frozen=True):
    """What to ask for instead of a combination that cannot work."""

    provider: str
    model: str | None = None
    """None: the one it takes by itself does."""
    language: str | None = None
    """None: the code that was asked for does."""


def unsupported_language(title: str, known: Models, model: Model, language: str) -> ClientFault:
    """The refusal of a language, naming who speaks it; where nobody does, what the model speaks."""
    nearest = _relatives(model, language)
    siblings = siblings_that_can(known, model, language)
    others = elsewhere(known.provider, language)
    if nearest:  # to those, the language without its region is no news
        siblings, others = _as_asked(siblings), _as_asked(others)
    advice = [
        _listed("nearest: ", nearest),
        _grouped("models that can: ", ((its.model or "", its.language) for its in siblings)),
        _grouped("other providers that do: ", ((_named(its), its.language) for its in others)),
    ]
    if models.is_detection(language) or not any(advice):
        advice.append(_listed("or " * any(advice) + "use one of: ", model.languages))
    return ClientFault(
        "; ".join([f"{title}'s {model.id} {_problem(language)}", *filter(None, advice)]),
        code="unsupported_language",
        close_code=CloseCode.UNSUPPORTED_DATA,
        parameter="language",
    )


def unknown_model(
    title: str, known: Models, model: str, because: str = "is none of its models"
) -> ClientFault:
    """The refusal of a model, naming the provider's own, and who else has one of that name."""
    others = (name for name in models.names() if name != known.provider and models.load(name).find(model))
    advice = [_listed("use one of: ", _default_first(known)), _listed("it is a model of: ", others)]
    return invalid_parameter(
        "model", "; ".join([f"{title}: {shown(model)} {because}", *filter(None, advice)])
    )


def siblings_that_can(known: Models, model: Model, language: str) -> tuple[Alternative, ...]:
    """Other models of the same provider that can work in ``language``."""
    others = [other for other in known.models if other is not model]
    if models.is_detection(language):
        return tuple(Alternative(known.provider, other.id) for other in others if _detects(other))
    codes = ((other, models.speaks_as(other, language)) for other in others)
    return tuple(
        Alternative(known.provider, other.id, None if code.lower() == language.lower() else code)
        for other, code in codes
        if code is not None
    )


def elsewhere(provider: str, language: str) -> tuple[Alternative, ...]:
    """Other providers that can work in ``language``, those first that want nothing else changed."""
    others = [name for name in models.names() if name != provider]
    if models.is_detection(language):
        found = [Alternative(name) for name in others if _default_detects(models.load(name))]
    else:
        found = [its for name in others if (its := _speaking(name, language)) is not None]
    return tuple(sorted(found, key=lambda one: (one.model is not None) + (one.language is not None)))


def warnings(options: Options) -> tuple[str, ...]:
    """What was asked for and has no effect, a sentence each. Nothing about models that the data files do not know."""
    known = models.load(options.provider)
    row = known.find(known.chosen(options.model, options.language, has_partials=options.partial_results))
    return () if row is None else tuple(_without_effect(options, known.provider, row))


def shown(value: str) -> str:
    """A client's value as an error may repeat it."""
    return repr(value if len(value) <= _ECHO_MAX else value[: _ECHO_MAX - 1] + "…")


def _without_effect(options: Options, provider: str, model: Model) -> Iterator[str]:
    support = model.support
    wishes = (
        (not options.punctuate, support.punctuate, "punctuate=false", "text comes as the provider writes it"),
        (options.diarize, support.diarize, "diarize=true", "words have no speakers"),
        (options.partial_results, support.partials, "partial_results=true", "only finals come"),
        (
            options.endpointing_ms != _ENDPOINTING_MS,
            support.endpointing,
            f"endpointing={options.endpointing_ms}",
            "the provider decides by itself where an utterance ends",
        ),
        (
            models.is_detection(options.language),
            support.language_auto,
            f"language={options.language}",
            f"it hears {' and '.join(model.languages)} only",
        ),
        (
            options.multichannel and options.audio.channels > 1,
            support.multichannel if options.wants_channels else "ignored",
            "multichannel=true",
            "channels are mixed",
        ),
    )
    for is_wished, how, wish, consequence in wishes:
        if is_wished and how == "ignored":
            yield f"{wish} has no effect with {provider} {model.id}: {consequence}"


def _problem(language: str) -> str:
    if models.is_detection(language):
        return "cannot detect the language"
    return f"does not speak {shown(language)}"


def _relatives(model: Model, language: str) -> list[str]:
    """Other regions of the language in the same model."""
    family = language.lower().split("-")[0]
    return [known for known in model.languages if known.lower().split("-")[0] == family]


def _detects(model: Model) -> bool:
    return model.support.language_auto in ("native", "emulated")


def _default_detects(known: Models) -> bool:
    default = known.find(known.default_model)
    return default is not None and _detects(default)


def _speaking(provider: str, language: str) -> Alternative | None:
    """How to ask ``provider`` for a language: as it is, else without its region, else, where it has none, with one."""
    known = models.load(provider)
    wanted = canonical(language)
    primary = wanted.split("-")[0]
    alias = canonical(known.language_aliases.get(primary, primary))
    codes = [wanted, primary, alias, *(code for code in offers() if code.startswith(f"{wanted}-"))]
    for code in codes:
        its = [offer for offer in offers().get(code, ()) if offer.provider == provider]
        if its:
            best = next((offer for offer in its if offer.model == known.chosen(None, offer.code)), its[0])
            is_own = best.model == known.chosen(None, best.code)
            is_same = best.code.lower() == language.lower()
            return Alternative(provider, None if is_own else best.model, None if is_same else best.code)
    return None


def _default_first(known: Models) -> list[str]:
    return sorted((model.id for model in known.models), key=lambda id: id != known.default_model)


def _as_asked(alternatives: Iterable[Alternative]) -> tuple[Alternative, ...]:
    return tuple(its for its in alternatives if its.language is None)


def _named(its: Alternative) -> str:
    return its.provider if its.model is None else f"{its.provider} (model={its.model})"


def _grouped(what: str, named: Iterable[tuple[str, str | None]]) -> str:
    """Names, those together that want the same other code for the language."""
    every = list(named)
    codes = dict.fromkeys(code for _, code in every[:_NAMED_MAX])
    groups = []
    for code in codes:
        names = ", ".join(name for name, its in every[:_NAMED_MAX] if its == code)
        groups.append(names if code is None else f"with language={code} {names}")
    return _cut(what, ", or ".join(groups), len(every))


def _listed(what: str, named: Iterable[str]) -> str:
    every = list(named)
    return _cut(what, ", ".join(every[:_NAMED_MAX]), len(every))


def _cut(what: str, listed: str, count: int) -> str:
    """Empty where there is nothing to name."""
    more = f" and {count - _NAMED_MAX} more" if count > _NAMED_MAX else ""
    return f"{what}{listed}{more}" if count else ""
