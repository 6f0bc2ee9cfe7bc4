"""Who a client is: keys, tokens, provider keys, what is counted."""

from hashlib import sha256
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from routeraudio.auth.authenticator import LOOKUPS_BURST, Authenticator, PresentedKeys
from routeraudio.config import schema
from routeraudio.config.secret import Secret
from routeraudio.model.errors import CloseCode, Fault, Overloaded, Unavailable, UpstreamFault
from routeraudio.policy.access import CONFIGURED, CONFIGURED_TERMS, Principal
from routeraudio.policy.keys import Terms, keyed_hash, new_text
from routeraudio.policy.secrets import Secrets, parse
from routeraudio.policy.tokens import Narrowing, mint
from routeraudio.providers.base import Credential
from tests.auth.keystore import CLOUD, LOCAL, SECRETS, STORED, KeyStore

NOW = 1_800_000_000
STATIC = "router_static-canary"
UNKNOWN = "router_AAAAAAAAAAAA_" + "B" * 32
UNAUTHORIZED, FORBIDDEN = CloseCode.UNAUTHORIZED, CloseCode.FORBIDDEN


def config(*, keys: bool = True, **access: Any) -> schema.Config:
    key = schema.Key(id="team", hash="sha256:" + sha256(STATIC.encode()).hexdigest())
    return schema.Config(access=schema.Access(**access), keys=(key,) if keys else ())


def access_of(
    store: KeyStore, settings: schema.Config | None = None, secrets: Secrets = SECRETS
) -> Authenticator:
    return Authenticator(store, secrets, settings or config(), wall=lambda: NOW)


async def admitted(access: Authenticator, shown: PresentedKeys, **given: Any) -> Principal:
    return await access.principal(shown, **{"entry": CLOUD, "stored": STORED, **given})


async def refused(access: Authenticator, shown: PresentedKeys, **given: Any) -> Fault:
    with pytest.raises(Fault) as raised:
        await admitted(access, shown, **given)
    assert "canary" not in raised.value.message
    return raised.value


@pytest.fixture
def store() -> KeyStore:
    return KeyStore()


def token_of(key_id: str, *, secrets: Secrets = SECRETS, now_s: int = NOW, **narrowed: Any) -> str:
    return mint(key_id, Narrowing(**narrowed), secrets, now_s=now_s).text


async def test_a_key_of_the_store(store: KeyStore) -> None:
    """Becomes its account and terms."""
    key, text = store.make(concurrency_max=5)
    assert await admitted(access_of(store), PresentedKeys(key=text)) == Principal(
        key.id, STORED, "acme", key.terms
    )


async def test_a_key_of_the_configuration(store: KeyStore) -> None:
    """Goes on working, without the store."""
    store.is_down = True
    found = await admitted(access_of(store), PresentedKeys(key=STATIC), streams=True)
    assert found == Principal("team", STORED, CONFIGURED, CONFIGURED_TERMS)
    assert store.reads == 0


async def test_a_token(store: KeyStore) -> None:
    """Becomes its key's principal, narrowed; also for a key of the configuration."""
    key, _ = store.make()
    access = access_of(store)
    found = await admitted(access, PresentedKeys(token=token_of(key.id, max_concurrent=2)))
    assert (found.key_id, found.account) == (key.id, "acme")
    assert found.restriction is not None
    assert (found.restriction.max_concurrent, found.restriction.expires_at_s) == (2, NOW + 60)
    assert (await admitted(access, PresentedKeys(token=token_of("team")))).account == CONFIGURED


async def test_what_decides_when_several_are_shown(store: KeyStore) -> None:
    """The key, whatever kind, before the token."""
    _, text = store.make()
    access = access_of(store)
    both = PresentedKeys(key=text, token=token_of("team"))
    assert (await admitted(access, both)).restriction is None
    assert (await admitted(access, PresentedKeys(key="their-own", token=token_of("team")))).key_id == "own"
    assert (
        await refused(access, PresentedKeys(key=UNKNOWN, token=token_of("team")))
    ).close_code == UNAUTHORIZED


async def test_a_providers_key_beside_ours(store: KeyStore) -> None:
    """Opens the provider, while the router key's account and limits hold; with a token too; alone it is just that."""
    key, text = store.make()
    access = access_of(store)
    own = Credential("their-own", is_clients_own=True)
    for shown in (PresentedKeys(key=text), PresentedKeys(token=token_of(key.id))):
        found = await admitted(access, msgspec.structs.replace(shown, provider_key="their-own"), stored=None)
        assert (found.credential, found.account, found.is_own_key) == (own, "acme", True)
    assert await admitted(access, PresentedKeys(provider_key="their-own")) == Principal("own", own)


async def test_our_keys_are_never_sent_to_a_provider(store: KeyStore) -> None:
    """Wherever a client puts them."""
    _, text = store.make()
    access = access_of(store)
    for shown in (
        PresentedKeys(provider_key=text),
        PresentedKeys(key=text, provider_key=UNKNOWN),
        PresentedKeys(key="router_x"),
    ):
        assert (await refused(access, shown)).close_code == UNAUTHORIZED


@pytest.mark.parametrize(
    "shown",
    [PresentedKeys(key="a b"), PresentedKeys(key=STATIC, provider_key="a\r\nb"), PresentedKeys(key="")],
)
async def test_characters(store: KeyStore, shown: PresentedKeys) -> None:
    """What no header can carry is no key."""
    assert (await refused(access_of(store), shown)).close_code == UNAUTHORIZED


async def test_unknown_keys(store: KeyStore) -> None:
    """Of a foreign id, of a foreign secret, of no form at all: the same words."""
    _, text = store.make()
    access = access_of(store)
    told = {
        (await refused(access, PresentedKeys(key=key))).message
        for key in (UNKNOWN, text[:-1] + ("a" if text[-1] != "a" else "b"), "router_x", STATIC + "x")
    }
    assert told == {"the router key is unknown here; check it, or create one"}


async def test_bad_tokens(store: KeyStore) -> None:
    """Of another secret, over, or of a key that is gone, disabled or expired."""
    key, _ = store.make()
    access = access_of(store)
    foreign = Secrets(parse("test:" + "x" * 40))
    for text in (token_of(key.id, secrets=foreign), token_of(key.id, now_s=NOW - 100), token_of("gone"), "x"):
        assert (await refused(access, PresentedKeys(token=text))).close_code == UNAUTHORIZED
    disabled, _ = store.make(is_disabled=True)
    expired, _ = store.make(expires_at_s=NOW)
    for one in (disabled, expired):
        assert (await refused(access, PresentedKeys(token=token_of(one.id)))).close_code == UNAUTHORIZED


async def test_who_before_what(store: KeyStore) -> None:
    """A bad key is 3000 even where a good one would be 3003; a missing credential comes last."""
    _, text = store.make(origins=("https://a.b",))
    access = access_of(store)
    wrong: dict[str, Any] = {"origin": "https://c.d", "streams": True, "stored": None}
    assert (await refused(access, PresentedKeys(key=UNKNOWN), **wrong)).close_code == UNAUTHORIZED
    assert (await refused(access, PresentedKeys(key=text), **wrong)).close_code == FORBIDDEN
    _, text = store.make()
    assert isinstance(await refused(access, PresentedKeys(key=text), stored=None), UpstreamFault)


async def test_a_daemon_without_any_key_is_open(store: KeyStore, mock_clock: trio.testing.MockClock) -> None:
    """A provider that needs no credential serves everybody until there is a key, in the configuration or the store."""
    access = access_of(store, config(keys=False))
    assert await admitted(access, PresentedKeys(), entry=LOCAL) == Principal("anonymous", None)
    assert await admitted(access, PresentedKeys(key="whatever"), entry=LOCAL) == Principal("anonymous", None)
    closed = access_of(store)
    assert (await refused(closed, PresentedKeys(), entry=LOCAL)).close_code == UNAUTHORIZED
    store.make(is_disabled=True)
    mock_clock.jump(3)
    assert (await refused(access, PresentedKeys(), entry=LOCAL)).close_code == UNAUTHORIZED
    store.is_down = True
    fresh = access_of(store, config(keys=False))
    assert isinstance(await refused(fresh, PresentedKeys(), entry=LOCAL), Unavailable)


async def test_rotating_a_key(store: KeyStore) -> None:
    """The new secret is good at once, though the old one was looked up a moment ago."""
    key, old = store.make()
    access = access_of(store)
    await admitted(access, PresentedKeys(key=old))
    new = new_text(key.id).text
    store.records[key.id] = (key, keyed_hash(new, SECRETS.peppers[0]))
    assert (await admitted(access, PresentedKeys(key=new))).key_id == key.id
    assert (await refused(access, PresentedKeys(key=old))).close_code == UNAUTHORIZED


async def test_rotating_the_servers_secret(store: KeyStore) -> None:
    """Keys hashed and tokens signed under the line before go on working."""
    before, after = Secrets(parse("a:" + "a" * 40)), Secrets(parse("b:" + "b" * 40 + "\na:" + "a" * 40))
    key, text = store.make(before)
    access = access_of(store, secrets=after)
    assert (await admitted(access, PresentedKeys(key=text))).key_id == key.id
    assert (await admitted(access, PresentedKeys(token=token_of(key.id, secrets=before)))).key_id == key.id
    assert (
        await refused(access_of(store, secrets=Secrets(parse("b:" + "b" * 40))), PresentedKeys(key=text))
    ).code == ("unauthorized")


async def test_wrong_keys_from_one_address(store: KeyStore, mock_clock: trio.testing.MockClock) -> None:
    """Beyond the budget little is looked up for it; keys in use, good ones, and other addresses are served."""
    key, text = store.make()
    access = access_of(store, config(failures_per_minute_max=3))
    await admitted(access, PresentedKeys(key=text), address="192.0.2.1")
    for _ in range(3):
        assert (
            await refused(access, PresentedKeys(key=UNKNOWN), address="192.0.2.1")
        ).close_code == UNAUTHORIZED
    reads = store.reads
    _, colleagues = store.make()
    assert await admitted(access, PresentedKeys(key=colleagues), address="192.0.2.1")
    for _ in range(50):
        await refused(access, PresentedKeys(key=UNKNOWN), address="192.0.2.1")
    fault = await refused(access, PresentedKeys(key=UNKNOWN), address="192.0.2.1")
    assert isinstance(fault, Overloaded)
    assert fault.retry_after_s == pytest.approx(20)
    assert store.reads <= reads + LOOKUPS_BURST
    assert (await admitted(access, PresentedKeys(key=text), address="192.0.2.1")).key_id == key.id
    assert (await refused(access, PresentedKeys(key=UNKNOWN), address="192.0.2.2")).close_code == UNAUTHORIZED
    mock_clock.jump(20)
    assert (await refused(access, PresentedKeys(key=UNKNOWN), address="192.0.2.1")).close_code == UNAUTHORIZED


async def test_wrong_tokens_count_too(store: KeyStore) -> None:
    """An invented one; not one that was good and has expired."""
    _, text = store.make()
    access = access_of(store, config(failures_per_minute_max=3))
    for _ in range(3):
        await refused(access, PresentedKeys(token="rt1.x.y"), address="192.0.2.1")
    assert isinstance(await refused(access, PresentedKeys(token="rt1.x.y"), address="192.0.2.1"), Overloaded)
    assert await admitted(access, PresentedKeys(key=text), address="192.0.2.1")


async def test_an_ipv6_customer_is_one_address(store: KeyStore) -> None:
    """All of a /64 shares a budget."""
    access = access_of(store, config(failures_per_minute_max=1))
    await refused(access, PresentedKeys(key=UNKNOWN), address="2001:db8::1")
    assert isinstance(await refused(access, PresentedKeys(key=UNKNOWN), address="2001:db8::ffff"), Overloaded)


async def test_an_outage(store: KeyStore, mock_clock: trio.testing.MockClock) -> None:
    """A key that was in use is good for the grace time; any other one cannot be told."""
    key, text = store.make()
    access = access_of(store)
    await admitted(access, PresentedKeys(key=text))
    store.is_down = True
    mock_clock.jump(30)
    assert (await admitted(access, PresentedKeys(key=text))).key_id == key.id
    assert isinstance(await refused(access, PresentedKeys(key=UNKNOWN)), Unavailable)
    mock_clock.jump(60)
    assert isinstance(await refused(access, PresentedKeys(key=text)), Unavailable)


async def test_a_new_secret_in_the_configuration(store: KeyStore) -> None:
    """Acts without a restart; its absence leaves the old one."""
    lines = "b:" + "b" * 40 + "\ntest:" + "s" * 40
    access = access_of(store)
    key, text = store.make()
    access.configure(config(token_secret=Secret(lines)))
    assert access.secrets.signing_kid == "b"
    assert (await admitted(access, PresentedKeys(key=text))).key_id == key.id
    access.configure(config())
    assert access.secrets.signing_kid == "b"


async def test_terms(store: KeyStore) -> None:
    """Of a key, of a token's key, and of a stranger."""
    key, text = store.make(default_provider="soniox")
    access = access_of(store)
    assert (
        await access.terms(PresentedKeys(key=text))
        == await access.terms(PresentedKeys(token=token_of(key.id)))
        == key.terms
    )
    assert await access.terms(PresentedKeys(key="their-own")) == Terms()
    with pytest.raises(Fault):
        await access.terms(PresentedKeys(key=UNKNOWN))


async def test_a_new_configuration(store: KeyStore) -> None:
    """Acts on the next client."""
    access = access_of(store)
    access.configure(config(keys=False, own_provider_keys=False))
    assert (await refused(access, PresentedKeys(key=STATIC))).close_code == UNAUTHORIZED
    assert (await refused(access, PresentedKeys(key="their-own"))).close_code == FORBIDDEN


def test_what_was_shown_is_not_told() -> None:
    """No representation has a key or a token."""
    shown = PresentedKeys(key="canary", token="canary", provider_key="canary")
    for text in (repr(shown), str(shown), str(shown.__rich_repr__())):
        assert "canary" not in text
