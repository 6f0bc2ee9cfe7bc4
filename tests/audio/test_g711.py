import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.codec import CodecContext
from av.packet import Packet

from routeraudio.audio.g711 import MulawDecoder
from routeraudio.model.audio import AudioFormat

ALL_CODES = bytes(range(256))
MONO_8K = AudioFormat("pcm_mulaw", 8000)


def test_every_code_decodes_as_ffmpeg_decodes_it() -> None:
    """All 256 codes expand to the values that FFmpeg's own decoder gives."""
    ffmpeg = CodecContext.create("pcm_mulaw", "r")
    assert isinstance(ffmpeg, AudioCodecContext)
    ffmpeg.sample_rate, ffmpeg.layout = 8000, "mono"
    (frame,) = ffmpeg.decode(Packet(ALL_CODES))
    assert MulawDecoder(MONO_8K).push(ALL_CODES) == frame.to_ndarray().astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0x80, 4 * 8031),
        (0x8F, 4 * 4191),
        (0xFE, 4 * 2),
        (0xFF, 0),
        (0x7F, 0),
        (0x7E, -4 * 2),
        (0x00, -4 * 8031),
    ],
)
def test_values_of_the_recommendation(code: int, value: int) -> None:
    """Values from tables 2a and 2b of G.711, at 16 instead of 14 bits."""
    assert np.frombuffer(MulawDecoder(MONO_8K).push(bytes([code])), "<i2").tolist() == [value]


def test_channels_stay_in_step() -> None:
    """An instant of two channels that was cut in two decodes whole."""
    decoder = MulawDecoder(AudioFormat("pcm_mulaw", 8000, 2))
    whole = MulawDecoder(AudioFormat("pcm_mulaw", 8000, 2)).push(b"\x00\x80\x10\x90")
    assert [len(decoder.push(b"\x00")), len(decoder.push(b"\x80\x10"))] == [0, 4]
    assert decoder.push(b"\x90") == whole[4:]
    assert decoder.pcm == AudioFormat("pcm_s16le", 8000, 2)
