"""What is said in the conformance suite: at least one conversation per provider, in a file of its name."""

from importlib import import_module

from routeraudio.providers.catalog import PROVIDERS

from .script import Conversation

CONVERSATIONS: dict[str, tuple[Conversation, ...]] = {
    name: import_module(f"{__name__}.{name}").CONVERSATIONS for name in PROVIDERS
}
