"""Which encodings can be converted, and by what. A new one is one file and one line here."""

from collections.abc import Callable
from functools import partial
from typing import Final

from routeraudio.audio.containers.decoding import ContainerDecoder
from routeraudio.audio.containers.mp3 import Mp3Demuxer
from routeraudio.audio.containers.muxing import Mp3Muxer, Muxer, OggMuxer, WebmMuxer
from routeraudio.audio.containers.ogg import OggDemuxer
from routeraudio.audio.containers.packets import Demuxer
from routeraudio.audio.containers.webm import WebmDemuxer
from routeraudio.audio.decoder import Decoder
from routeraudio.audio.g711 import MulawDecoder
from routeraudio.audio.pcm import PcmDecoder
from routeraudio.model.audio import CHANNELS_MAX, SAMPLE_RATES_HZ, AudioFormat, Encoding
from routeraudio.model.errors import invalid_parameter

DEMUXERS: Final[dict[Encoding, Callable[[], Demuxer]]] = {
    "ogg_opus": OggDemuxer,
    "webm": WebmDemuxer,
    "mp3": Mp3Demuxer,
}
"""Containers: they can be decoded, or passed on packet by packet."""

MUXERS: Final[dict[Encoding, Callable[[], Muxer]]] = {
    "ogg_opus": OggMuxer,
    "webm": WebmMuxer,
    "mp3": Mp3Muxer,
}
"""What writes them anew for providers that take them."""


def _contained(demuxer: Callable[[], Demuxer], _: AudioFormat) -> Decoder:
    """The container's own header beats the rate and channels that the client named."""
    return ContainerDecoder(demuxer())


DECODERS: Final[dict[Encoding, Callable[[AudioFormat], Decoder]]] = {
    "pcm_s16le": PcmDecoder,
    "pcm_mulaw": MulawDecoder,
    **{encoding: partial(_contained, demuxer) for encoding, demuxer in DEMUXERS.items()},
}


def check(source: AudioFormat, target: AudioFormat | None = None) -> None:
    """Refuse audio that cannot be converted, before anything is dialled.

    Args:
        source: what the client sends.
        target: what the upstream takes. The same format passes through, so there is nothing to refuse.

    Raises:
        ClientFault: naming the parameter and what is allowed.
    """
    if source != target and source.is_raw:
        _check_raw(source)


def _check_raw(source: AudioFormat) -> None:
    """Rates and channels a client may name; a container's are its header's, for its decoder to judge."""
    if source.sample_rate not in SAMPLE_RATES_HZ:
        allowed = ", ".join(map(str, SAMPLE_RATES_HZ))
        raise invalid_parameter(
            "sample_rate", f"a sample rate of {source.sample_rate} Hz is not supported; use one of {allowed}"
        )
    if not 1 <= source.channels <= CHANNELS_MAX:
        raise invalid_parameter(
            "channels", f"{source.channels} channels are not supported; send 1 to {CHANNELS_MAX}"
        )
