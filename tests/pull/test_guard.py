"""Names are looked up once, checked, and what was checked is what is connected to."""

from ipaddress import ip_network

import httpx
import pytest
import trio

from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard, guarded_client

from .sources import ALIVE, PRIVATE, Names, Page, Web, serving

ONLY_ALIVE = Guard([ip_network(ALIVE)])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "::1",
        "::ffff:127.0.0.1",
        "localhost",
    ],
)
async def test_loopback_however_it_is_written(host: str) -> None:
    """Decimal, hexadecimal, octal, short, mapped and by name: it is the address that counts."""
    with pytest.raises(SourceFault) as refused:
        await Guard().addresses(host, 80)
    assert refused.value.is_refused
    assert not refused.value.is_retryable


@pytest.mark.parametrize("answer", [[PRIVATE], ["8.8.8.8", PRIVATE], ["::ffff:10.0.0.1"], ["fe80::1%2"]])
async def test_a_name_that_leads_inside(answer: list[str]) -> None:
    """One bad address among good ones condemns a name."""
    trio.socket.set_custom_hostname_resolver(Names({"press.example": [answer]}))
    with pytest.raises(SourceFault, match=r"press\.example is a private") as refused:
        await Guard().connect("press.example", 80)
    assert refused.value.is_refused


async def test_rebinding() -> None:
    """A name server that answers differently the second time is not asked a second time."""
    names = Names({"press.example": [[ALIVE], [PRIVATE]]})
    trio.socket.set_custom_hostname_resolver(names)
    good, bad = Web({}, ALIVE), Web({}, PRIVATE)
    async with serving(good):
        bad.port = good.port
        async with serving(bad), await ONLY_ALIVE.connect("press.example", good.port) as stream:
            assert stream.socket.getpeername()[0] == ALIVE
    assert names.lookups == ["press.example"]


async def test_the_answer_changes_between_two_connections() -> None:
    """Each connection is checked anew."""
    trio.socket.set_custom_hostname_resolver(Names({"press.example": [[ALIVE], [PRIVATE]]}))
    web = Web({})
    async with serving(web):
        await (await ONLY_ALIVE.connect("press.example", web.port)).aclose()
        with pytest.raises(SourceFault, match="private"):
            await ONLY_ALIVE.connect("press.example", web.port)


async def test_nobody_there() -> None:
    """A closed port may be open in a moment; its address is not told."""
    web = Web({})
    async with serving(web):
        pass
    with pytest.raises(SourceFault, match="cannot be reached") as unreachable:
        await ONLY_ALIVE.connect(ALIVE, web.port)
    assert unreachable.value.is_retryable


async def test_unknown_name() -> None:
    """A name that cannot be looked up now may be known in a moment."""

    class Nothing(Names):
        async def getaddrinfo(self, *_: object, **__: object) -> list[object]:
            raise OSError

    trio.socket.set_custom_hostname_resolver(Nothing({}))
    with pytest.raises(SourceFault, match="looked up") as unknown:
        await Guard().connect("press.example", 80)
    assert unknown.value.is_retryable


async def test_client_goes_through_the_guard() -> None:
    """The webhooks' client connects to allowed addresses only, by the address that was checked."""
    names = Names({"hook.example": [[ALIVE]], "inside.example": [[PRIVATE]]})
    trio.socket.set_custom_hostname_resolver(names)
    web = Web({"/": Page(b"ok")})
    async with serving(web), guarded_client(ONLY_ALIVE, 5.0) as client:
        assert (await client.post(f"http://hook.example:{web.port}/")).text == "ok"
        with pytest.raises(httpx.ConnectError, match="private"):
            await client.post(f"http://inside.example:{web.port}/")
    assert names.lookups == ["hook.example", "inside.example"]
    assert "host: hook.example" in web.heads[0].lower()


async def test_client_follows_no_redirect() -> None:
    """A webhook that answers with a redirect has not answered with success."""
    web = Web({"/": Page(status=307, headers={"location": "/other"}), "/other": Page(b"ok")})
    async with serving(web), guarded_client(ONLY_ALIVE, 5.0) as client:
        assert (await client.post(web.url("/"))).status_code == 307
    assert web.asked == ["/"]
