"""Every provider of the catalogue keeps the adapter contract."""

import pytest

from routeraudio.providers.base import Entry
from routeraudio.providers.catalog import PROVIDERS

from .conformance import CHECKS, Check
from .conversations import CONVERSATIONS
from .conversations.script import Conversation

CASES = [
    pytest.param(PROVIDERS[name], conversation, id=f"{name}-{conversation.title}")
    for name, conversations in CONVERSATIONS.items()
    for conversation in conversations
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize(("entry", "conversation"), CASES)
def test_adapter_keeps_the_contract(entry: Entry, conversation: Conversation, check: Check) -> None:
    """An adapter passes each check with each of its conversations."""
    check(entry, conversation)


def test_every_provider_has_a_conversation() -> None:
    """At least one; the catalogue calls each provider by its entry's own name."""
    assert all(CONVERSATIONS.values())
    assert all(name == entry.name for name, entry in PROVIDERS.items())
