"""Who is measured: per proxy its command line, its configuration and its sign of readiness."""

import http.client
import random
import shlex
import shutil
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import python_module

LISTEN: Final = "/v1/listen?provider=deepgram&encoding=pcm_s16le&sample_rate=16000&partial_results=true"
PASSAGE: Final = "/gateway/deepgram/v1/listen?encoding=linear16&sample_rate=16000&interim_results=true"
"""The same through the transparent gateway, whose meter knows the audio's rate."""

_PORTS: Final = range(20_000, 30_000)

DAEMON_COMMAND: Final = f"{shlex.quote(sys.executable)} -m routeraudio"
HAPROXY_COMMAND: Final = "haproxy"

UVLOOP_COPY: Final = "blind-websockets"
HYPERCORN_COPY: Final = "blind-hypercorn"
DIRECT: Final = "direct"
"""No proxy at all: the delays of the kernel and of the harness itself."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a contestant is started."""

    port: int
    upstream_port: int
    folder: Path
    """Empty, for configuration files."""
    ca_file: Path
    """The authority behind a TLS upstream's certificate."""
    daemon_command: str = DAEMON_COMMAND

    @property
    def upstream_url(self) -> str:
        """Of a plain upstream, with Deepgram's path."""
        return f"ws://127.0.0.1:{self.upstream_port}/v1/listen"


@dataclass(frozen=True)
class Contestant:
    """One row of the table."""

    name: str
    title: str
    command: Callable[[Place], list[str]]
    """Writes what configuration it needs, returns the command line."""
    is_ready: Callable[[int], bool]
    """Whether the proxy on this port takes sessions by now."""
    has_tls_upstream: bool = False
    target: str = LISTEN
    """What the sessions ask for."""
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot be measured on this machine; None: it can."""


def _daemon(place: Place, url: str, more: str = "") -> list[str]:
    file = place.folder / "routeraudio.toml"
    file.write_text(
        f'[server]\nbind = ["127.0.0.1:{place.port}"]\n'
        f'[providers.deepgram]\nurl = "{url}"\napi_key = "bench-key"\n{more}'
        '[log]\nlevel = "warning"\n'
    )
    return [*shlex.split(place.daemon_command), "serve", "--config", str(file)]


ONE_CONNECTION: Final = "redial = false\n"
"""As everybody beside: no audio is kept for another connection, and nobody looks whether the provider listens."""


def _daemon_plain(place: Place) -> list[str]:
    return _daemon(place, f"ws://127.0.0.1:{place.upstream_port}", ONE_CONNECTION)


def _daemon_redials(place: Place) -> list[str]:
    """As it is by default: what is not final is kept, and a lost connection replaced."""
    return _daemon(place, f"ws://127.0.0.1:{place.upstream_port}")


def _daemon_tls(place: Place) -> list[str]:
    return _daemon(
        place, f"wss://127.0.0.1:{place.upstream_port}", f'ca_file = "{place.ca_file}"\n{ONE_CONNECTION}'
    )


def _blind(module: str) -> Callable[[Place], list[str]]:
    return lambda place: python_module(f"bench.proxies.{module}", str(place.port), place.upstream_url)


def _haproxy(place: Place) -> list[str]:
    file = place.folder / "haproxy.cfg"
    file.write_text(
        "global\n  nbthread 1\n  maxconn 2000\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        "  timeout tunnel 1h\n"
        f"frontend clients\n  bind 127.0.0.1:{place.port}\n  default_backend upstream\n"
        f"backend upstream\n  server sink 127.0.0.1:{place.upstream_port}\n"
    )
    return [HAPROXY_COMMAND, "-db", "-f", str(file)]


def _haproxy_missing() -> str | None:
    return None if shutil.which(HAPROXY_COMMAND) else "not installed"


def _says_ready(port: int) -> bool:
    """The daemon's own word for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _accepts(port: int) -> bool:
    """The next best thing for proxies without a readiness call."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


CONTESTANTS: Final[dict[str, Contestant]] = {
    one.name: one
    for one in (
        Contestant("daemon", "routeraudio", _daemon_plain, _says_ready),
        Contestant("daemon-failover", "routeraudio, failover", _daemon_redials, _says_ready),
        Contestant("daemon-tls", "routeraudio, TLS", _daemon_tls, _says_ready, has_tls_upstream=True),
        Contestant("gateway", "gateway, metering", _daemon_plain, _says_ready, target=PASSAGE),
        Contestant(UVLOOP_COPY, "uvloop copy", _blind("blind_websockets"), _accepts),
        Contestant(
            HYPERCORN_COPY,
            "Hypercorn copy",
            _blind("blind_hypercorn"),
            _accepts,
        ),
        Contestant("haproxy", "HAProxy", _haproxy, _accepts, missing=_haproxy_missing),
    )
}


def free_port() -> int:
    """A port nobody uses now, from below the range that outgoing connections take theirs from."""
    for port in random.sample(_PORTS, len(_PORTS)):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise RuntimeError(f"no port of 127.0.0.1 is free between {_PORTS.start} and {_PORTS.stop}")


@dataclass(frozen=True)
class Certificates:
    """A throw-away authority and the upstream's certificate, as PEM files."""

    authority: Path
    upstream: Path


def issue(folder: Path) -> Certificates:
    """Makes new certificates in ``folder``."""
    import trustme

    authority, upstream = folder / "ca.pem", folder / "upstream.pem"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority)
    ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(upstream)
    ssl.create_default_context(cafile=authority)  # refuses here, not in the middle of a run
    return Certificates(authority, upstream)
