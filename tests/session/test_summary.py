"""`summary=true`: the last message tells what became of the audio."""

import msgspec
import numpy as np
from trio.testing import MockClock

from routeraudio.audio.downmix import WARNING
from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Overloaded
from tests.audio.signals import s16, tone
from tests.session.conversation import SECOND, conversation, options

ASKED = msgspec.structs.replace(options(), summary=True)
END = '{"type":"end_of_stream"}'


async def test_a_session_that_was_heard_out_lost_nothing(autojump_clock: MockClock) -> None:
    """Silence behind the last final counts: the vendor has heard it."""
    async with conversation(wishes=ASKED) as play:
        await play.ready()
        await play.client.says(SECOND + SECOND)
        await play.upstream.says("final hello")
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
    assert play.story == ["final hello", "summary", "1000"]
    assert play.told[-1] == {
        "type": "summary",
        "provider": "fake",
        "seconds_received": 2.0,
        "seconds_sent": 2.0,
        "seconds_finalised": 2.0,
        "seconds_lost": 0.0,
        "upstream_connections": 1,
        "connections": [{"provider": "fake", "start_time": 0.0, "end_time": 2.0, "ending": "ok"}],
        "warnings": [],
    }


async def test_what_was_not_final_when_the_vendor_fell_is_lost(autojump_clock: MockClock) -> None:
    """The summary comes behind the error, and the close is no 1000."""
    async with conversation(wishes=ASKED) as play:
        await play.ready()
        await play.client.says(SECOND + SECOND)
        await play.upstream.says("final hello")
        play.upstream.hangs_up(None)
        await play.ends()
    assert play.story == ["final hello", "error provider_error", "summary", "4040"]
    assert (play.told[-1]["seconds_finalised"], play.told[-1]["seconds_lost"]) == (0.1, 1.9)


async def test_what_is_said_behind_our_end_is_lost(autojump_clock: MockClock) -> None:
    """A limit ends the session while the client goes on: "finished" is not believed beyond what was sent."""
    async with conversation(wishes=ASKED) as play:
        await play.ready()
        await play.client.says(SECOND)
        play.session.finish(Overloaded("the limit"))
        await play.client.says(SECOND + SECOND)
        await play.upstream.says("end")
        await play.ends()
    assert play.story == ["error rate_limited", "summary", "1013"]
    summary = play.told[-1]
    assert (summary["seconds_received"], summary["seconds_finalised"], summary["seconds_lost"]) == (
        3.0,
        1.0,
        2.0,
    )


async def test_what_the_vendor_failed_at_is_lost(autojump_clock: MockClock) -> None:
    """It says so itself: told at once, and not 1000."""
    async with conversation(wishes=ASKED) as play:
        await play.ready()
        await play.client.says(SECOND + SECOND)
        await play.upstream.says("lost 500 1500")
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
    assert play.story == ["notice audio_lost", "error provider_error", "summary", "4040"]
    assert (play.told[-1]["seconds_finalised"], play.told[-1]["seconds_lost"]) == (1.0, 1.0)


async def test_what_was_never_sent_is_told(autojump_clock: MockClock) -> None:
    """Audio that waited for a vendor who never got ready was received, not sent."""
    async with conversation(wishes=ASKED) as play:
        await play.client.says(SECOND)
        await play.ends()
    assert (play.told[-1]["seconds_received"], play.told[-1]["seconds_sent"]) == (1.0, 0.0)


async def test_nobody_gets_one_who_did_not_ask(autojump_clock: MockClock) -> None:
    """Published clients see nothing new."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
    assert play.story == ["1000"]


async def test_channels_that_cancel_are_told(autojump_clock: MockClock) -> None:
    """Their mean is silence: one of them is heard instead, and the client learns why."""
    one = tone(440, 16_000, 2.0)
    wishes = msgspec.structs.replace(ASKED, audio=AudioFormat("pcm_s16le", 16_000, 2))
    async with conversation(wishes=wishes) as play:
        await play.ready()
        await play.client.says(s16(np.stack((one, -one), axis=1).ravel()))
        await play.client.says(END)
        await play.upstream.says("end")
        await play.ends()
    assert play.told[-1]["warnings"] == [WARNING]
