"""How each kind of source is opened: which protocols, which demuxers, and who may connect to what.

http, https    a file object over `web`; what a playlist (HLS) names, too. libav may open nothing by itself
rtmp(s)        libav speaks it over the loopback, where `forward` joins it to the source
rtsp(s)        the same, interleaved in TCP. Never UDP: it would need ports that anybody can send to
upload         a file that the daemon has opened: libav may open nothing else
"""

import os
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, NoReturn
from urllib.parse import SplitResult, urlsplit

import av
from av.container import InputContainer

from routeraudio.pull.faults import SourceFault
from routeraudio.pull.sandbox.broker import Broker
from routeraudio.pull.sandbox.forward import forward, secured
from routeraudio.pull.sandbox.http_client import Download, HttpClient, opener
from routeraudio.pull.wire import UPLOAD

RECORDINGS: Final = (
    "aac,aiff,amr,caf,ac3,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpegts,ogg,wav"
)
"""Demuxers for files, and for the segments of a playlist. None of them opens anything else."""

PLAYLIST: Final = b"#EXTM3U"
"""The first line of every HLS playlist (RFC 8216 4.3.1.1)."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

PORTS: Final[Mapping[str, int]] = {"rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}

LOOK: Final = {"probesize": "1048576", "analyzeduration": "1000000", "max_streams": "32"}
"""What may be looked at to find the streams: 1 MiB or 1 s (microseconds), so that live sources start soon."""


class Opened(NamedTuple):
    """A source."""

    container: InputContainer
    is_live: bool
    download: Download | None = None
    """It is a recording, and this is where it comes from."""


def open_container(url: str, broker: Broker) -> Opened:
    """The source, with its streams known.

    Raises:
        SourceFault: it cannot be had, or is nothing that is pulled here.
        av.error.FFmpegError: it is not what it should be.
    """
    parts = urlsplit(url)
    return OPENERS[parts.scheme](parts, broker)


def _web(parts: SplitResult, broker: Broker) -> Opened:
    web = HttpClient(broker)
    download = web.open(parts.geturl())
    is_playlist = download.peek().removeprefix(BYTE_ORDER_MARK).startswith(PLAYLIST)
    options = {**LOOK, "protocol_whitelist": "none", "format_whitelist": RECORDINGS}
    if is_playlist:
        options |= {
            "format_whitelist": f"hls,{RECORDINGS}",
            # Names of segments are the source's business: what they are is looked at anyway.
            "allowed_extensions": "ALL",
            "allowed_segment_extensions": "ALL",
            "extension_picky": "0",
            # libav would keep connections of its own; ours are no such thing.
            "http_persistent": "0",
            "http_multiple": "0",
        }
    container = av.open(
        download,
        mode="r",
        format="hls" if is_playlist else None,
        io_open=opener(web),
        container_options=options,
        metadata_errors="replace",
    )
    if is_playlist:
        return Opened(container, is_live=container.duration is None)
    return Opened(container, is_live=download.size is None, download=download)


def _upload(parts: SplitResult, _broker: Broker) -> Opened:
    options = {**LOOK, "protocol_whitelist": "none", "format_whitelist": RECORDINGS}
    file = os.fdopen(int(parts.path), "rb")
    container = av.open(
        file, mode="r", io_open=_nothing, container_options=options, metadata_errors="replace"
    )
    return Opened(container, is_live=False)


def _nothing(_url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise OSError("a file names others")


def _rtmp(parts: SplitResult, broker: Broker) -> Opened:
    path = parts.path.strip("/").split("/")
    # As libav itself divides: of three parts or more, two are the application and its instance (rtmpproto.c).
    application = "/".join(path[: 2 if len(path) > 2 and ":" not in path[1] else 1])
    place = parts.netloc.rpartition("@")[2]
    options = {
        **LOOK,
        "protocol_whitelist": "rtmp,tcp",
        "format_whitelist": "flv,live_flv",
        # The server is told the name it is known by, not our loopback.
        "rtmp_tcurl": f"{parts.scheme}://{place}/{application}",
        "rtmp_live": "any",
    }
    address = _here(parts, "rtmp", broker)
    container = av.open(address, mode="r", format="flv", container_options=options, metadata_errors="replace")
    return Opened(container, is_live=True)


def _rtsp(parts: SplitResult, broker: Broker) -> Opened:
    options = {
        **LOOK,
        "protocol_whitelist": "tcp,rtp",
        "format_whitelist": "rtsp,sdp",
        "rtsp_transport": "tcp",
        "allowed_media_types": "audio",
    }
    address = _here(parts, "rtsp", broker)
    container = av.open(
        address, mode="r", format="rtsp", container_options=options, metadata_errors="replace"
    )
    return Opened(container, is_live=True)


def _here(parts: SplitResult, scheme: str, broker: Broker) -> str:
    """The URL by which libav reaches the source over the loopback."""
    host = parts.hostname
    if not host:
        raise SourceFault("the source's address names no host", is_retryable=False)
    peer = broker.connect(host, parts.port or PORTS[parts.scheme])
    if parts.scheme.endswith("s"):
        peer = secured(peer, host)
    credentials, at, _place = parts.netloc.rpartition("@")
    netloc = f"{credentials}{at}127.0.0.1:{forward(peer)}"
    return parts._replace(scheme=scheme, netloc=netloc, fragment="").geturl()


OPENERS: Final[Mapping[str, Callable[[SplitResult, Broker], Opened]]] = {
    "http": _web,
    "https": _web,
    "rtmp": _rtmp,
    "rtmps": _rtmp,
    "rtsp": _rtsp,
    "rtsps": _rtsp,
    UPLOAD: _upload,
}
