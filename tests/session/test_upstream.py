"""One connection: what it converts for itself, because its provider takes another format than the first one did."""

import pytest
from trio.testing import MockClock

from routeraudio.model.audio import PCM_16K_MONO, Encoding
from routeraudio.policy.limits import Limits
from routeraudio.session.candidate import Candidate
from routeraudio.session.upstream import Upstream
from tests.audio.made import CONTAINERS, encoded, named, noise
from tests.session.adapter import FakeAdapter
from tests.session.fakes import FakeDialler, FakeStream


@pytest.mark.parametrize("encoding", CONTAINERS)
async def test_a_replay_is_converted_in_turns(encoding: Encoding, autojump_clock: MockClock) -> None:
    """Seconds of a container at once, as after a loss: all of it is sent before more is taken."""
    stream = FakeStream()
    candidate = Candidate(
        title="Fake",
        audio_format=PCM_16K_MONO,
        adapter=lambda: FakeAdapter(is_ready_when_opened=True),
        dial=FakeDialler(stream),
    )
    upstream = Upstream(
        candidate,
        Limits(),
        source=named(encoding),
        generation=1,
        is_raw=False,
        on_refused=lambda _name, _status: None,
        tell=lambda _upstream, _event: True,
    )
    await upstream.open()
    assert not upstream.take(encoded(encoding, noise(48_000, 6.0), 48_000))
    assert upstream.sent_to_ms < 1000
    await upstream.flushed()
    assert upstream.sent_to_ms > 5900
    await upstream.aclose()
