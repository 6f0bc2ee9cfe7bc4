"""Certificates of our own listeners: renewed while the daemon runs, chosen by name."""

import datetime
import os
import ssl
from pathlib import Path

import pytest
import trustme

from routeraudio.model.errors import ConfigFault
from routeraudio.transport.certificates import Certificates, Files
from routeraudio.transport.tls import client_context


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(str(folder / "ca.pem"))

    def issue(self, file: str, *names: str, days: float = 90) -> Files:
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        issued = self._ca.issue_cert(*names, not_after=until)
        files = Files(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        # As ACME clients do: written beside and put in place.
        for blob, path in (
            (issued.cert_chain_pems[0], files.certificate),
            (issued.private_key_pem, files.key),
        ):
            draft = path.with_suffix(".new")
            draft.write_bytes(blob.bytes())
            os.replace(draft, path)
        return files

    def served(self, certificates: Certificates, name: str) -> tuple[str, ...]:
        """The names in the certificate that a client for ``name`` is shown."""
        client = client_context(self.folder / "ca.pem")
        client.check_hostname = False
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = client.wrap_bio(to_client, to_server, server_hostname=name)
        far = certificates.context.wrap_bio(to_server, to_client, server_side=True)
        for end in (near, far, near, far):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
        shown = near.getpeercert()
        assert shown is not None
        return tuple(str(value) for _kind, value in shown["subjectAltName"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_renewed_certificate_serves_the_next_connection(authority: Authority) -> None:
    """Nothing is read again until it is asked for; then new handshakes get the new one."""
    certificates = Certificates([authority.issue("tls", "old.example")])
    assert not certificates.is_changed()
    authority.issue("tls", "new.example")
    assert certificates.is_changed()
    assert authority.served(certificates, "x") == ("old.example",)
    certificates.reload()
    assert not certificates.is_changed()
    assert authority.served(certificates, "x") == ("new.example",)


@pytest.mark.parametrize("ruin", ["gone", "garbage", "other_key", "empty"])
def test_files_that_cannot_be_used_change_nothing(ruin: str, authority: Authority) -> None:
    """A renewal that is half done is refused, and noticed again when it is done."""
    files = authority.issue("tls", "old.example")
    certificates = Certificates([files])
    match ruin:
        case "gone":
            files.certificate.unlink()
        case "garbage":
            files.certificate.write_text("no PEM")
        case "empty":
            files.key.write_bytes(b"")
        case "other_key":
            files.key.write_bytes(authority.issue("other", "x.example").key.read_bytes())
    with pytest.raises(ConfigFault, match=r"server\.tls_certificate"):
        certificates.reload()
    assert authority.served(certificates, "x") == ("old.example",)
    assert certificates.is_changed()
    authority.issue("tls", "new.example")
    certificates.reload()
    assert authority.served(certificates, "x") == ("new.example",)


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("one.example", "one.example"),
        ("ONE.example", "one.example"),
        ("two.example", "two.example"),
        ("a.wild.example", "*.wild.example"),
        ("a.b.wild.example", "one.example"),
        ("wild.example", "one.example"),
        ("unknown.example", "one.example"),
    ],
)
def test_a_name_has_its_certificate(asked: str, served: str, authority: Authority) -> None:
    """By SNI; the first one for names that nobody has."""
    certificates = Certificates(
        [
            authority.issue("one", "one.example"),
            authority.issue("two", "two.example", "one.example"),
            authority.issue("wild", "*.wild.example"),
        ]
    )
    assert authority.served(certificates, asked)[0] == served


def test_the_first_to_expire_counts(authority: Authority) -> None:
    """Whichever it is."""
    soon = datetime.datetime.now(datetime.UTC).timestamp() + 3 * 86_400
    certificates = Certificates([authority.issue("a", "a"), authority.issue("b", "b", days=3)])
    assert abs(certificates.expires_at - soon) < 60
