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


async def test_a_vendors_words_are_not(autojump_clock: MockClock) -> None:
    """What a vendor says about a failure goes to the client, and to the log at debug level only."""
    async with conversation() as play:
        await play.ready()
        await play.upstream.says("fail the vendor's words")
        await play.ends()
    assert "the vendor's words" in play.told[-1]["error"]
    assert "why" not in play.logged("session_ended")
    assert play.logged("session_fault")["log_level"] == "debug"
