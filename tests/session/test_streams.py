"""What passes through the seams of a session tells how something ended, and no secrets."""

from routeraudio.session.streams import Closed, NullListener, Refused


def test_a_refusal_does_not_show_its_body() -> None:
    """A provider's answer is for its adapter to read; whoever prints the exception sees the status."""
    refused = Refused(402, b"hush")
    assert (refused.status, refused.body) == (402, b"hush")
    assert "402" in str(refused)
    assert "hush" not in f"{refused} {refused!r}"


def test_a_close_is_the_peers_unless_said_otherwise() -> None:
    """Only what we ended because of the peer is a violation."""
    assert not Closed(1000, "").is_violation
    assert Closed(None, "") == Closed(None, "", is_violation=False)


def test_who_listens_to_nothing_stops_nobody() -> None:
    """A peer that is only told something is read, so that its pings are answered, and ignored."""
    deaf = NullListener()
    assert deaf.message("text")
    assert deaf.message(b"audio")
    deaf.closed(Closed(1000, ""))
    deaf.crashed(ValueError())
