"""The one line a session leaves in the log."""

from trio.testing import MockClock

from routeraudio.model.errors import UpstreamFault
from tests.session.conversation import conversation
from tests.session.fakes import FakeDialler, FakeStream


async def test_our_own_words_are_logged(autojump_clock: MockClock) -> None:
    """An operator reads why a provider could not be reached."""
    upstream = FakeStream()
    fault = UpstreamFault("Fake is unreachable: the TCP connection failed", code="provider_unreachable")
    async with conversation(upstream=upstream, dial=FakeDialler(upstream, fails=fault)) as play:
        await play.ends()
    assert play.logged("session_ended")["why"] == fault.message


async def test_a_vendors_reason_is_logged(autojump_clock: MockClock) -> None:
    """What a vendor says about a failure goes to the client and to the log: a support call begins with it."""
    async with conversation() as play:
        await play.ready()
        await play.upstream.says("fail the vendor's words")
        await play.ends()
    assert "the vendor's words" in play.told[-1]["error"]
    assert "the vendor's words" in str(play.logged("session_ended")["why"])


async def test_a_clients_mistake_is_not(autojump_clock: MockClock) -> None:
    """It may quote anything that a client has sent."""
    async with conversation() as play:
        await play.ready()
        await play.client.says("nonsense")
        await play.ends()
    assert "why" not in play.logged("session_ended")
    assert play.logged("session_fault")["log_level"] == "debug"
