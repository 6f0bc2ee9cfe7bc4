"""One push is a bounded amount of work, whatever the bytes: counted in calls, not in seconds."""

import sys
from collections.abc import Callable

import pytest

from routeraudio.audio.transcode import Transcoder, transcoder
from routeraudio.model.audio import PCM_16K_MONO, Encoding
from routeraudio.model.errors import ClientFault
from tests.audio import written
from tests.audio.made import named
from tests.audio.written import page

CALLS_MAX = 12_000
"""Some 3 ms. An ordinary push of 20 ms of audio makes some fifty."""

MIB = 1 << 20
SILENT_MP3 = b"\xff\xe3\x18\xc4" + bytes(68)
OPUS = b"\xf8\xff\xfe"


def calls_of(through: Transcoder, data: bytes) -> int:
    """How many Python and C functions a push calls."""
    count = 0

    def profile(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        through.push(data)
    except ClientFault:
        pass
    finally:
        sys.setprofile(None)
    return count


def mp3(junk: bytes) -> bytes:
    return b"".join(SILENT_MP3 * 3 + junk for _ in range(40))


CASES: dict[str, tuple[Encoding, bytes]] = {
    "mp3: ones between frames": ("mp3", mp3(b"\xff" * 60_000)),
    "mp3: half headers": ("mp3", mp3(b"\xff\xfb" * 8_000)),
    "mp3: headers that nothing follows": ("mp3", mp3(b"\xff\xe3\x18\x00" * 4_000)),
    "mp3: tags of tags": ("mp3", mp3(b"ID3\x04\x00\x00\x00\x00\x00\x00" * 3_000)),
    "mp3: hours of silence": ("mp3", SILENT_MP3 * 12_000),
    "ogg: capture patterns": ("ogg_opus", b"".join(written.ogg_pages([])) + b"OggS" * 200_000),
    "ogg: pages of nothing": (
        "ogg_opus",
        b"".join(written.ogg_pages([])) + b"".join(page([], number=n, granule=0) for n in range(2, 20_000)),
    ),
    "ogg: packets of nothing": (
        "ogg_opus",
        b"".join(written.ogg_pages([]))
        + b"".join(page([b""] * 255, number=n, granule=0) for n in range(2, 900)),
    ),
    "ogg: hours of silence": (
        "ogg_opus",
        b"".join(written.ogg_pages([]))
        + b"".join(page([OPUS] * 60, number=n, granule=0) for n in range(2, 900)),
    ),
    "webm: cluster marks": ("webm", written.webm_head() + b"\x1f\x43\xb6\x75" * 200_000),
    "webm: clusters of nothing": ("webm", written.webm_head() + written.cluster(0) * 60_000),
    "webm: junk behind a cluster": ("webm", written.webm_head() + written.cluster(0) + b"\x00" * 60_000),
    "webm: blocks of another track": (
        "webm",
        written.webm_head() + written.cluster(0) + written.element(0xA3, b"\x85\x00\x00\x80x") * 100_000,
    ),
    "webm: hours of silence": (
        "webm",
        written.webm_head() + written.cluster(0) + written.element(0xA3, written.block([OPUS])) * 60_000,
    ),
    "zeros as anything": ("webm", bytes(MIB)),
}


ENDLESS: dict[str, tuple[Encoding, bytes, Callable[[int], bytes]]] = {
    "mp3: descriptions": ("mp3", SILENT_MP3 * 3, lambda n: SILENT_MP3[:13] + b"Info" + bytes(55)),
    "mp3: tags": ("mp3", SILENT_MP3 * 3, lambda n: b"ID3\x04" + bytes(6)),
    "ogg: pages without packets": (
        "ogg_opus",
        b"".join(written.ogg_pages([])),
        lambda n: page([], number=n + 2),
    ),
    "ogg: pages of others": ("ogg_opus", b"".join(written.ogg_pages([])), lambda n: page([b"x"], serial=9)),
    "ogg: heads": (
        "ogg_opus",
        b"",
        lambda n: page([written.opus_head()], serial=7 + n, first=True),
    ),
    "webm: headers": ("webm", b"", lambda n: written.webm_head()),
    "webm: clusters": ("webm", written.webm_head(), lambda n: written.cluster(n)),
    "webm: empty blocks": (
        "webm",
        written.webm_head() + written.cluster(),
        lambda n: written.element(0xA3, b"\x81\0\0\x80"),
    ),
}
"""Well formed, and never any audio."""


@pytest.mark.parametrize("case", ENDLESS)
def test_what_never_holds_audio_comes_to_an_end(case: str) -> None:
    """However little there is to read in it, and however long it goes on."""
    encoding, start, piece = ENDLESS[case]
    through = transcoder(named(encoding), named(encoding))
    through.push(start)

    def go_on() -> None:
        for number in range(20_000):
            through.push(piece(number))

    with pytest.raises(ClientFault, match="expected") as caught:
        go_on()
    assert caught.value.code == "audio_error"


@pytest.mark.parametrize("is_passed_on", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_push_is_bounded(case: str, is_passed_on: bool) -> None:
    """In messages of a mebibyte and of a kibibyte; the rest is for later turns, and what is mostly junk is refused."""
    encoding, data = CASES[case]
    for step in (1 << 10, MIB):
        through = transcoder(named(encoding), named(encoding) if is_passed_on else PCM_16K_MONO)
        through.push(b"")
        most = turns = 0
        for at in range(0, min(len(data), 60 * step), step):
            most = max(most, calls_of(through, data[at : at + step]))
            while through.has_more and turns < 200:
                turns += 1
                most = max(most, calls_of(through, b""))
            if turns >= 200:
                break
        assert most <= CALLS_MAX
