"""Whether a final ends its turn, or whether somebody says so later."""

from routeraudio.model.options import Options
from routeraudio.providers import models


def are_told(options: Options) -> bool:
    """Whether a `TurnEnd` comes after the finals of a turn; else every final ends one.

    Of an operator's own model nobody knows: it is taken for the provider's default.
    """
    known = models.load(options.provider)
    name = known.chosen(options.model, options.language, has_partials=options.partial_results)
    model = known.find(name) or known.find(known.default_model)
    return model is not None and model.support.turn_end != "ignored"
