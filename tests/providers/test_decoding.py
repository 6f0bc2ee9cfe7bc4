"""Reading any vendor's messages."""

import msgspec
import pytest

from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Notice
from routeraudio.providers import decoding


class _Said(msgspec.Struct, tag_field="message_type", tag="said"):
    text: str


class _Asked(msgspec.Struct, tag_field="message_type", tag="asked"):
    text: str


DECODER: msgspec.json.Decoder[_Said | _Asked] = msgspec.json.Decoder(_Said | _Asked)


def test_the_tag_is_the_vendors_own_field() -> None:
    """Whatever the vendor calls it: a known message is read, a broken one is a fault that names it."""
    assert decoding.read(DECODER, '{"message_type":"said","text":"yes"}', title="X") == _Said("yes")
    broken = decoding.read(DECODER, '{"message_type":"asked","text":7}', title="X")
    assert isinstance(broken, UpstreamFault)
    assert broken.message.startswith("X sent a broken asked message: ")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"message_type":"sung","text":"la"}', "sung"),
        ('{"message_type":"she said hello"}', "unknown_message"),
        ('{"type":"said","text":"yes"}', "unknown_message"),
        ('{"message_type":7}', "unknown_message"),
        ("[]", "unknown_message"),
    ],
)
def test_what_is_not_known_is_noticed(message: str, code: str) -> None:
    """An unknown message is no fault; its type is told if it is a name."""
    assert decoding.read(DECODER, message, title="X") == Notice(code)


@pytest.mark.parametrize("message", ["", '{"message_type":"sung"', '{"message_type":"said","text":7', b"{}"])
def test_what_is_no_message_is_a_fault(message: str | bytes) -> None:
    """Neither JSON that is cut off nor binary is the vendor's."""
    assert isinstance(decoding.read(DECODER, message, title="X"), UpstreamFault)
