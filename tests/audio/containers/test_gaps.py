"""The container's clock counts: what its positions leave out becomes silence, so that later words keep their place."""

import pytest

from routeraudio.audio.containers.intake import GAP_S_MAX, GAPS_S_MAX
from routeraudio.audio.transcode import transcoder
from routeraudio.model.audio import PCM_16K_MONO, Encoding
from routeraudio.model.errors import ClientFault
from tests.audio import written
from tests.audio.made import named
from tests.audio.signals import drained

SILENCE = b"\xf8\xff\xfe"
"""20 ms of Opus."""

SECOND = [SILENCE] * 50


def ogg(seconds: list[int]) -> bytes:
    """A page for each of these seconds; what lies between is missing."""
    pages = [
        written.page(SECOND, number=at + 2, granule=48_000 * (second + 1))
        for at, second in enumerate(seconds)
    ]
    return b"".join([*written.ogg_pages([]), *pages])


def webm(seconds: list[int]) -> bytes:
    """A cluster for each of these seconds."""
    blocks = [
        written.element(0xA3, written.block([SILENCE], time=20 * number)) for number in range(len(SECOND))
    ]
    return written.webm_head() + b"".join(
        written.cluster(1000 * second) + b"".join(blocks) for second in seconds
    )


MAKERS = {"ogg_opus": ogg, "webm": webm}


def lasts_ms(encoding: Encoding, data: bytes, *, is_passed_on: bool, step: int = 5000) -> int:
    """How long it is, by our count; the audio that comes out must agree."""
    target = named(encoding) if is_passed_on else PCM_16K_MONO
    through = transcoder(named(encoding), target)
    out = drained(through, [data[at : at + step] for at in range(0, len(data), step)])
    heard = out
    if is_passed_on:
        heard = drained(transcoder(named(encoding), PCM_16K_MONO), [out])
    assert abs(len(heard) / 32 - through.source_ms) <= 25
    return through.source_ms


@pytest.mark.parametrize("is_passed_on", [False, True])
@pytest.mark.parametrize("encoding", MAKERS)
@pytest.mark.parametrize(
    ("seconds", "expected_s"),
    [
        ([0, 1, 2, 3], 4),
        ([0, 1, 6, 7], 8),  # five seconds muted
        ([0, 2, 4, 6, 8], 9),
        ([0, 1, 120], 121),
    ],
)
def test_gaps_become_silence(
    encoding: Encoding, seconds: list[int], expected_s: int, is_passed_on: bool
) -> None:
    """For a decoder and for a provider that takes the container alike, however it is cut."""
    data = MAKERS[encoding](seconds)
    lengths = {
        lasts_ms(encoding, data, is_passed_on=is_passed_on, step=step) for step in (777, 5000, 1 << 20)
    }
    assert len(lengths) == 1
    assert lengths.pop() == pytest.approx(1000 * expected_s, abs=25)


@pytest.mark.parametrize("encoding", MAKERS)
def test_a_jump_is_no_gap(encoding: Encoding) -> None:
    """A position that lies hours ahead was set anew; nobody is charged for it."""
    data = MAKERS[encoding]([0, 1, GAP_S_MAX + 10, GAP_S_MAX + 11])
    assert lasts_ms(encoding, data, is_passed_on=False) == pytest.approx(4000, abs=25)


@pytest.mark.parametrize("encoding", MAKERS)
def test_a_clock_that_goes_back_is_no_gap(encoding: Encoding) -> None:
    """What was said is heard, at the place where it comes."""
    data = MAKERS[encoding]([0, 1, 2, 0, 1, 2])
    assert lasts_ms(encoding, data, is_passed_on=False) == pytest.approx(6000, abs=25)


def test_all_gaps_together_are_bounded() -> None:
    """A few bytes cannot be days of silence."""
    step = GAP_S_MAX - 10
    data = ogg([number * step for number in range(GAPS_S_MAX // step + 20)])
    through = transcoder(named("ogg_opus"), named("ogg_opus"))
    drained(through, [data])
    assert through.source_ms <= (GAPS_S_MAX + 2 * GAP_S_MAX) * 1000


def test_a_stream_without_its_head() -> None:
    """Refused within its first pages, naming what to do; it had been silence to its end."""
    data = ogg(list(range(60)))
    headless = data[data.index(b"OggS", data.index(b"OpusTags")) :]
    through = transcoder(named("ogg_opus"), PCM_16K_MONO)
    with pytest.raises(ClientFault, match="from its beginning") as caught:
        drained(through, [headless[at : at + 100] for at in range(0, 3000, 100)])
    assert caught.value.close_code == 1003
