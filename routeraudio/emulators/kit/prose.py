"""How vendors dress words: a recogniser hears `two tickets please`, they write `Two tickets please.`"""

from collections.abc import Sequence


def as_prose(words: Sequence[str], *, begins: bool, ends: bool) -> list[str]:
    """The words as they stand in a sentence of which they are the beginning, the end, both or the middle."""
    dressed = list(words)
    if dressed and begins:
        dressed[0] = dressed[0][:1].upper() + dressed[0][1:]
    if dressed and ends:
        dressed[-1] += "."
    return dressed
