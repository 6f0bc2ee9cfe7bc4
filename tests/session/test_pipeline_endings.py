"""`Session`: every way a session can end, and what the client, the upstream and the log are told."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.dialects.base import Dialect, DialectEvent
from routeraudio.dialects.listen import Listen
from routeraudio.model.errors import ClientFault, CloseCode, Overloaded, UpstreamFault, unauthorized
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.policy.limits import Limits
from routeraudio.session.streams import Refused
from tests.session.adapter import FakeAdapter
from tests.session.conversation import CHUNK, conversation, settled
from tests.session.fakes import CLOSE_S, FakeDialler, FakeStream

END = '{"type":"end_of_stream"}'
STOPPING = Overloaded("the daemon is stopping; connect again", close_code=CloseCode.RESTART)


# The client asks for the end.


async def test_last_words_are_waited_for(autojump_clock: MockClock) -> None:
    """After the end of the stream everything the vendor still says is told before 1000."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(CHUNK)
        await play.client.says(END)
        await trio.sleep(9)
        await play.upstream.says("final last words")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final last words", "1000"]
        assert play.upstream.close.code == 1000


async def test_a_vendor_that_closes_after_finish_has_finished(autojump_clock: MockClock) -> None:
    """A clean close after `finish` is an end as good as a message, and what was settled is told."""
    async with conversation() as play:
        await play.ready()
        await play.upstream.says("settle nearly")
        await play.client.says(END)
        play.upstream.hangs_up(1000)
        await play.ends()
        assert play.story == ["final nearly", "1000"]


async def test_a_vendor_silent_after_finish(autojump_clock: MockClock) -> None:
    """`last_words_s` after the end of the stream: what is settled, the error, 4040."""
    async with conversation() as play:
        await play.ready()
        await play.upstream.says("settle nearly")
        await play.client.says(END)
        await play.ends()
        assert play.story == ["final nearly", "error provider_unreachable", "4040"]
        assert play.duration_s == pytest.approx(10)
        assert play.told[-1]["error"] == "Fake did not finish within 10 s"


# The vendor ends it.


async def test_the_error_comes_behind_every_final(autojump_clock: MockClock) -> None:
    """A failure of the vendor's: its finals first, also what was settled, then its words, then 4040."""
    async with conversation() as play:
        await play.ready()
        for word in ("final 1", "final 2", "settle 3", "fail Fake is out of credit"):
            await play.upstream.says(word)
        await play.ends()
        assert play.story == ["final 1", "final 2", "final 3", "error provider_error", "4040"]
        assert play.told[-1] == {
            "type": "error",
            "error": "Fake is out of credit",
            "code": "provider_error",
            "provider": "fake",
            "request_id": "request-1",
            "retry": False,
        }
        line = play.logged("session_ended")
        assert (line["close_code"], line["error"]) == (4040, "provider_error")


async def test_the_error_comes_behind_every_final_for_a_slow_client_too(autojump_clock: MockClock) -> None:
    """A client that reads slowly gets every final that came before the failure, then the error."""
    async with conversation() as play:
        await play.ready()
        play.client.stops_reading()
        for word in ("final 1", "partial x", "final 2", "partial y", "final 3", "fail gone"):
            await play.upstream.says(word)
        for _ in range(4):
            await trio.sleep(5)
            play.client.reads(1)
        play.client.reads()
        await play.ends()
        assert play.story == ["final 1", "final 2", "final 3", "error provider_error", "4040"]


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1011, 4000, None])
async def test_a_vendor_that_closes_unasked(autojump_clock: MockClock, code: int | None) -> None:
    """Before `finish` every close is a failure, even a clean one; what was settled is told first."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(CHUNK)
        await play.upstream.says("settle so far")
        play.upstream.hangs_up(code)
        await play.ends()
        assert play.story == ["final so far", "error provider_error", "4040"]
        assert str(code) in play.told[-1]["error"]


async def test_a_vendor_that_cannot_be_reached(autojump_clock: MockClock) -> None:
    """The dialler's fault reaches the client, though its audio was accepted."""
    upstream = FakeStream()
    fault = UpstreamFault("Fake is unreachable", code="provider_unreachable")
    async with conversation(upstream=upstream, dial=FakeDialler(upstream, after_s=3, fails=fault)) as play:
        await play.client.says(CHUNK)
        await play.ends()
        assert play.story == ["error provider_unreachable", "4040"]
        assert play.duration_s == pytest.approx(3)


async def test_a_vendor_that_refuses(autojump_clock: MockClock) -> None:
    """A refused upgrade is read by the adapter, and its verdict told."""
    upstream = FakeStream()
    async with conversation(
        upstream=upstream, dial=FakeDialler(upstream, fails=Refused(402, b"pay"))
    ) as play:
        await play.ends()
        assert play.story == ["error provider_error", "4040"]
        assert play.told[0]["error"] == "Fake refused the connection (HTTP 402)"


async def test_a_key_that_the_vendor_refuses(autojump_clock: MockClock) -> None:
    """A client's own key that its provider refuses is the client's to fix: 3000."""
    upstream = FakeStream()
    dial = FakeDialler(upstream, fails=unauthorized("Fake refused the API key you sent"))
    async with conversation(upstream=upstream, dial=dial) as play:
        await play.ends()
        assert play.story == ["error unauthorized", "3000"]


async def test_a_vendor_that_is_never_ready(autojump_clock: MockClock) -> None:
    """A vendor that does not get ready is given up after `ready_s`, with an error that says so."""
    async with conversation() as play:
        await play.client.says(CHUNK)
        await play.ends()
        assert play.story == ["error provider_unreachable", "4040"]
        assert "was not ready within 10 s" in play.told[0]["error"]
        assert play.upstream.heard == []


async def test_what_is_settled_survives_a_vendor_that_stops_reading(autojump_clock: MockClock) -> None:
    """When a stalled vendor is given up, the text it had settled reaches the client before the error."""
    async with conversation() as play:
        await play.ready()
        await play.upstream.says("settle half a sentence")
        play.upstream.stops_reading()
        await play.client.says(CHUNK)
        await play.client.says(CHUNK)
        await play.ends()
        assert play.story == ["final half a sentence", "error provider_unreachable", "4040"]


# The client ends it.


@pytest.mark.parametrize("code", [1000, 1001, 1005, None])
async def test_a_client_that_leaves(autojump_clock: MockClock, code: int | None) -> None:
    """The upstream is closed at once; nobody is told anything, and it is no bug."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(CHUNK)
        await trio.sleep(5)
        play.client.hangs_up(code)
        await play.ends()
        assert play.client.heard == []
        assert play.upstream.close.code == 1000
        assert play.duration_s == pytest.approx(5)
        assert play.bugs == []
        line = play.logged("session_ended")
        assert (line["close_code"], line["error"], line["audio_ms"]) == (code, "client_gone", 20)


async def test_a_client_that_leaves_a_rude_vendor(autojump_clock: MockClock) -> None:
    """A vendor that does not answer the close holds the session up for the close deadline and no longer."""
    async with conversation(upstream=FakeStream(is_polite=False)) as play:
        await play.ready()
        play.client.hangs_up(None)
        await play.ends()
        assert play.duration_s == pytest.approx(CLOSE_S)


async def test_a_client_that_leaves_while_we_dial(autojump_clock: MockClock) -> None:
    """The dial is given up at once."""
    upstream = FakeStream()
    dial = FakeDialler(upstream, after_s=8)
    async with conversation(upstream=upstream, dial=dial) as play:
        await trio.sleep(1)
        play.client.hangs_up(1001)
        await play.ends()
        assert dial.is_cancelled
        assert play.duration_s == pytest.approx(1)
        assert not upstream.is_started


async def test_a_client_that_leaves_before_we_begin(autojump_clock: MockClock) -> None:
    """A client that is gone when the session begins ends it at once."""
    client = FakeStream(already=[CHUNK])
    async with conversation(client=client, dial_s=1) as play:
        await settled()
        client.hangs_up(None)
        await play.ends()
        assert play.duration_s == 0


async def test_text_where_audio_belongs(autojump_clock: MockClock) -> None:
    """A text message that is no control ends the session with `audio_error` and 1003, behind the finals."""
    async with conversation() as play:
        await play.ready()
        await play.upstream.says("final 1")
        await play.upstream.says("settle 2")
        await play.client.says("UklGRiQAAABXQVZF")
        await play.ends()
        assert play.story == ["final 1", "final 2", "error audio_error", "1003"]
        assert play.upstream.close.code == 1000


async def test_a_slow_client_that_breaks_the_rules_gets_its_finals(autojump_clock: MockClock) -> None:
    """What waits for a slow client when its own fault ends the session is sent before the error, all of it."""
    async with conversation() as play:
        await play.ready()
        play.client.stops_reading()
        for word in ("final 1", "final 2", "partial 3", "final 3"):
            await play.upstream.says(word)
        await settled()
        await play.client.says("nonsense")
        await settled()
        play.client.reads()
        await play.ends()
        assert play.story == ["final 1", "final 2", "final 3", "error audio_error", "1003"]


# Time ends it.


async def test_an_idle_client(autojump_clock: MockClock) -> None:
    """After `idle_s` without audio: finish, the last words, the error, 3008."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(CHUNK)
        await trio.sleep(66)
        assert play.upstream.heard == [CHUNK, "FINISH"]
        await play.upstream.says("final last words")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final last words", "error timeout", "3008"]
        assert "no audio for 60 s" in play.told[-1]["error"]


async def test_keepalive_messages_keep_a_quiet_client(autojump_clock: MockClock) -> None:
    """A client without audio stays as long as it says that it is there."""
    async with conversation() as play:
        await play.ready()
        for _ in range(20):
            await trio.sleep(50)
            await play.client.says('{"type":"keepalive"}')
        assert play.upstream.heard == []
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["1000"]


async def test_a_client_we_keep_from_sending_is_not_idle(autojump_clock: MockClock) -> None:
    """While a slow vendor holds the client back, its silence is ours."""
    limits = Limits(send_s=200)
    async with conversation(limits=limits) as play, trio.open_nursery() as nursery:
        await play.ready()
        play.upstream.stops_reading()
        nursery.start_soon(_talk_on, play.client)
        await trio.sleep(150)
        assert play.client.is_paused
        play.upstream.reads()
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["1000"]


async def _talk_on(client: FakeStream) -> None:
    for _ in range(300):
        await client.says(CHUNK)


async def test_an_end_asked_for_in_time_is_no_idleness(autojump_clock: MockClock) -> None:
    """A quiet client that ends the stream just before the idle limit gets its last words and 1000."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(CHUNK)
        await trio.sleep(59)
        await play.client.says(END)
        await trio.sleep(8)
        await play.upstream.says("final last words")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final last words", "1000"]


async def test_sessions_end(autojump_clock: MockClock) -> None:
    """After `session_s`: finish, the last words, the error, 3008, though audio flows."""
    async with conversation(limits=Limits(session_s=100)) as play:
        await play.ready()
        for _ in range(106):
            await play.client.says(CHUNK)
            await trio.sleep(1)
        assert play.upstream.heard[-1] == "FINISH"
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["error timeout", "3008"]
        assert "100 s" in play.told[-1]["error"]


# The daemon ends it.


async def test_a_daemon_that_stops(autojump_clock: MockClock) -> None:
    """`finish` with a restart: behind the audio the last words are asked for, then 1012 without an error."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(CHUNK)
        play.session.finish(STOPPING)
        play.session.finish(STOPPING)
        await play.client.says(CHUNK)
        assert play.upstream.heard == [CHUNK, "FINISH"]
        await play.upstream.says("final last words")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final last words", "1012"]
        assert play.logged("session_ended")["close_code"] == 1012


async def test_a_daemon_that_stops_while_we_dial(autojump_clock: MockClock) -> None:
    """What the client said while dialling is still transcribed before the restart."""
    async with conversation(dial_s=4) as play:
        await play.client.says(CHUNK)
        play.session.finish(STOPPING)
        await trio.sleep(5)
        await play.ready()
        assert play.upstream.heard == [CHUNK, "FINISH"]
        await play.upstream.says("final words")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final words", "1012"]


async def test_a_daemon_that_stops_does_not_disturb_an_end_already_asked_for(
    autojump_clock: MockClock,
) -> None:
    """A client that had ended its stream gets all of it and 1000: there is nothing to connect again for."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(END)
        play.session.finish(STOPPING)
        await play.upstream.says("final last words")
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["final last words", "1000"]


async def test_the_first_reason_stands(autojump_clock: MockClock) -> None:
    """A session that is ending for one reason does not get another one meanwhile."""
    async with conversation() as play:
        await play.ready()
        play.session.finish(STOPPING)
        play.session.finish(ClientFault("late", code="timeout", close_code=CloseCode.TIMEOUT))
        await play.upstream.says("end")
        await play.ends()
        assert play.story == ["1012"]


async def test_finishing_what_has_ended_is_nothing(autojump_clock: MockClock) -> None:
    """`finish` may come at any time, also when the session is already closing its streams."""
    async with conversation(client=FakeStream(is_polite=False)) as play:
        await play.ready()
        await play.upstream.says("fail gone")
        await settled()
        assert not play.ended.is_set()
        play.session.finish(STOPPING)
        await play.ends()
        assert play.story == ["error provider_error", "4040"]


# A dialect of another kind.


class Silent(Listen):
    """Tells a client nothing but how its connection closes."""

    def event(self, event: Event | DialectEvent) -> list[Message]:
        return []

    def error(self, fault: object) -> list[Message]:
        return []


def _silent(options: Options, request_id: str) -> Dialect:
    return Silent(options, request_id)


async def test_a_dialect_without_words_still_has_close_codes(autojump_clock: MockClock) -> None:
    """The close code and its reason reach clients whose protocol has no error message."""
    async with conversation(adapter=FakeAdapter(), make_dialect=_silent) as play:
        await play.ready()
        await play.upstream.says("fail gone")
        await play.ends()
        assert play.client.heard == []
        assert (play.client.close.code, play.client.close.reason) == (4040, "provider_error")
