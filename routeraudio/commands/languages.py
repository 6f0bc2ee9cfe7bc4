"""`routeraudio languages`: who speaks a language."""

from itertools import groupby

import msgspec
from rich.console import Console
from rich.table import Table

from routeraudio.commands.errors import DONE, FAILED
from routeraudio.providers.languages import Language, find


def languages(query: str = "", /, *, json: bool = False) -> int:
    """Show which providers and models speak a language. Exit code 1 when none does.

    Parameters
    ----------
    query
        A code (ta, tam, pt-BR), an English or a native name; nothing for all.
    json
        Print JSON instead of a table.
    """
    found = find(query)
    if json:
        print(msgspec.json.encode(found).decode())
    elif found:
        Console().print(_table(found))
    else:
        print(f"no model of the catalogue speaks {query!r}")
    return DONE if found else FAILED


def _table(found: tuple[Language, ...]) -> Table:
    table = Table("code", "language", "native name", "provider: models")
    for column in table.columns:
        column.overflow = "fold"  # names are copied from here
    for language in found:
        offers = [
            f"{provider}: {', '.join(offer.model for offer in offered)}"
            + ("" if code == language.code else f" (as {code})")
            for (provider, code), offered in groupby(
                language.offers, key=lambda offer: (offer.provider, offer.code)
            )
        ]
        table.add_row(language.code, language.name, language.native_name, "\n".join(offers))
    return table
