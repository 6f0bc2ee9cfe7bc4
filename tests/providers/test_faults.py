"""Whose fault it is when a vendor says no."""

import pytest

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.providers.base import Credential
from routeraudio.providers.faults import Faults

OWN = Faults("Vendor", Credential("s3cret-key", is_clients_own=True))
STORED = Faults("Vendor", Credential("s3cret-key", is_clients_own=False))


@pytest.mark.parametrize("status", [401, 403])
def test_a_clients_own_key_is_the_clients_to_fix(status: int) -> None:
    """A refused key of the client's is 3000, one of the operator's is the provider's fault as the client sees it."""
    own = Faults("Vendor", Credential("k", is_clients_own=True)).refused(status)
    stored = Faults("Vendor", Credential("k", is_clients_own=False)).refused(status)
    assert isinstance(own, ClientFault)
    assert own.close_code is CloseCode.UNAUTHORIZED
    assert isinstance(stored, UpstreamFault)
    assert not stored.is_retryable


@pytest.mark.parametrize(
    ("status", "is_retryable"), [(400, False), (402, False), (429, True), (500, True), (503, True)]
)
def test_what_may_pass_is_retryable(status: int, is_retryable: bool) -> None:
    """Overload and server errors may pass; a wrong request or an empty account will not."""
    fault = Faults("Vendor", None).refused(status, "said so")
    assert isinstance(fault, UpstreamFault)
    assert fault.is_retryable is is_retryable
    assert "said so" in fault.message


def test_a_refused_key_in_a_message() -> None:
    """Told to its owner with the vendor's words and without the key; else it is the upstream's fault, and stays so."""
    own = OWN.reported("no such key: s3cret-key.", is_about_key=True)
    assert isinstance(own, ClientFault)
    assert own.message == "Vendor refused the API key you sent: no such key: …; check the key"
    stored = STORED.reported("no such key: s3cret-key", is_about_key=True)
    assert isinstance(stored, UpstreamFault)
    assert stored.message == "Vendor reported an error: no such key: …"


def test_an_error_without_words() -> None:
    """A reason is always told, even that there is none."""
    assert OWN.reported("\r\n").message == "Vendor reported an error: no reason given"


def test_undecodable_audio() -> None:
    """The client's parameter is named."""
    fault = OWN.undecodable(PCM_16K_MONO)
    assert (fault.parameter, fault.close_code) == ("encoding", CloseCode.UNSUPPORTED_DATA)
