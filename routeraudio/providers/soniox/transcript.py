"""Soniox's tokens: what they are, and how words are made of them.

A token is a piece of a word (`" mor"`, `"ning"`), a punctuation mark, a space, or a whole word in languages
written without spaces. A leading space begins a new word; text is the tokens one after the other.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import msgspec

END: Final = "<end>"
"""A final token: the speaker's utterance is over (endpoint detection)."""

FINALIZED: Final = "<fin>"
"""A final token: everything before a `finalize` is final now."""

CONTROLS: Final = frozenset({END, FINALIZED})
"""Tokens without text. Their times may be missing, 0 or real, so nobody looks at them."""

_UNSPACED: Final = frozenset({"ja", "th", "zh"})
"""Languages written without spaces, where a token counts as a word. INFERRED; texts do not depend on it."""

_SENTENCE_ENDS: Final = (".", "?", "!", "\u3002", "\uff1f", "\uff01")


class Token(msgspec.Struct, gc=False):
    """One token, as far as it is used here."""

    text: str
    start_ms: float | None = None
    """From the start of the connection's audio; some tokens have no times."""
    end_ms: float | None = None
    is_final: bool | None = None
    speaker: str | int | None = None
    """Documented as a string; integrations tolerate numbers."""
    language: str | None = None
    translation_status: str | None = None

    @property
    def is_spoken(self) -> bool:
        """Whether it belongs to the transcript: no control token, no translation."""
        return self.text not in CONTROLS and self.translation_status != "translation"

    @property
    def place(self) -> tuple[str, float | None, float | None]:
        """What tells it from every other token, if it has times."""
        return self.text, self.start_ms, self.end_ms


def text_of(tokens: Iterable[Token]) -> str:
    """The transcript of a run of tokens."""
    return "".join(token.text for token in tokens).strip()


class Group:
    """The tokens of one word."""

    def __init__(self, index: int, token: Token) -> None:
        self.index: Final = index
        """Of its first token."""
        self.tokens: Final = [token]

    @property
    def text(self) -> str:
        """The word with the punctuation that clings to it."""
        first, *more = self.tokens
        return text_of(self.tokens) if more else first.text.strip()

    @property
    def span_ms(self) -> tuple[float, float] | None:
        """First start and last end on the vendor's clock; None where no token says."""
        first, *more = self.tokens
        if (
            not more
            and first.start_ms is not None
            and first.end_ms is not None
            and first.start_ms <= first.end_ms
        ):
            return first.start_ms, first.end_ms  # most words are one token
        known = [time for token in self.tokens for time in (token.start_ms, token.end_ms) if time is not None]
        return (min(known), max(known)) if known else None

    @property
    def speaker(self) -> str | None:
        """As the first token says, once it is final; before, it is a guess."""
        first = self.tokens[0]
        return str(first.speaker) if first.is_final and first.speaker is not None else None


def group(tokens: Sequence[Token], hint: str | None) -> list[Group]:
    """The words of a run of tokens.

    Args:
        hint: the language asked for, where tokens do not name theirs.
    """
    groups: list[Group] = []
    is_apart = True  # something before the next token says that it begins a word
    has_spaces = False
    for index, token in enumerate(tokens):
        text = token.text
        if text.isspace():
            has_spaces = has_spaces or bool(groups)
            is_apart = True
        elif text:
            has_spaces = has_spaces or (text[0].isspace() and bool(groups))
            is_new = is_apart or text[0].isspace() or _is_other_speaker(token, groups[-1])
            if is_new or (not has_spaces and _is_whole_word(token, hint)):
                groups.append(Group(index, token))
            else:
                groups[-1].tokens.append(token)
            is_apart = text[-1].isspace()
    return groups


def cut(tokens: Sequence[Token], hint: str | None) -> int:
    """Where to cut a run of tokens that has become too long: behind its last sentence, else before its last word.

    Returns:
        The index of the first token behind the cut; 0: it is one single word.
    """
    groups = group(tokens, hint)
    sentences = [later.index for earlier, later in pairwise(groups) if earlier.text.endswith(_SENTENCE_ENDS)]
    return sentences[-1] if sentences else groups[-1].index if groups else 0


def _is_other_speaker(token: Token, word: Group) -> bool:
    before = word.tokens[-1].speaker
    return None not in (token.speaker, before) and token.speaker != before


def _is_whole_word(token: Token, hint: str | None) -> bool:
    """In a language without spaces; but punctuation and combining marks cling to what stands before them."""
    return (token.language or hint) in _UNSPACED and any(letter.isalnum() for letter in token.text)
