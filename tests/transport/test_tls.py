"""TLS contexts and socket options."""

import socket
import ssl
from pathlib import Path

import pytest
import trustme

from routeraudio.model.errors import ConfigFault
from routeraudio.transport.tls import USER_TIMEOUT_MS, client_context, server_context, set_options


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a certificate, its key, its authority and things that are none."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    issued.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(tmp_path / "other.key"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "garbage").write_bytes(b"\0\1\2 no PEM")
    return tmp_path


def test_a_server_context_speaks_http_1_over_modern_tls(files: Path) -> None:
    """A client that offers HTTP/2 and HTTP/1.1 gets the latter, over TLS 1.2 or later."""
    context = server_context(files / "tls.crt", files / "tls.key")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    client = client_context(files / "ca.pem")
    client.set_alpn_protocols(["h2", "http/1.1"])
    ours, theirs = client.wrap_bio, context.wrap_bio
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = ours(to_client, to_server, server_hostname="localhost")
    far = theirs(to_server, to_client, server_side=True)
    for end in (near, far, near, far):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    assert near.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("missing", "tls.key"), ("tls.crt", "missing"), ("garbage", "tls.key"), ("tls.crt", "other.key")],
)
def test_unusable_server_files_are_named(certificate: str, key: str, files: Path) -> None:
    """The error names the two keys of the configuration and the two files."""
    with pytest.raises(ConfigFault, match=r"server\.tls_certificate, server\.tls_key") as caught:
        server_context(files / certificate, files / key)
    assert certificate in str(caught.value)
    assert key in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "garbage", "tls.key"])
def test_an_unusable_authority_is_named(name: str, files: Path) -> None:
    """The error names the key of the configuration and the file."""
    with pytest.raises(ConfigFault, match="ca_file") as caught:
        client_context(files / name)
    assert name in str(caught.value)


def test_providers_are_verified() -> None:
    """Host names and certificates are checked, always."""
    context = client_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_socket_options() -> None:
    """TCP sockets neither wait for acknowledgements nor for peers that acknowledge nothing; others are let be."""
    with socket.socket() as tcp:
        set_options(tcp)
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT_MS
    with socket.socket(socket.AF_UNIX) as local:
        set_options(local)
