"""What dialects are given and give: no key in any representation of it."""

import traceback

import pytest
from rich.pretty import pretty_repr

from routeraudio.dialects.base import BadRequest, Request, StreamRequest
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import invalid_parameter
from routeraudio.model.options import Options

CANARY = "canary-in-a-coal-mine"

REQUEST = Request("/v1/listen", f"api_key={CANARY}", {"x-api-key": CANARY, "authorization": CANARY})
WISH = StreamRequest(Options(provider="deepgram", audio=PCM_16K_MONO), key=CANARY, token=CANARY)


@pytest.mark.parametrize("value", [REQUEST, WISH], ids=["request", "wish"])
def test_no_representation_tells_a_key(value: object) -> None:
    """Neither `repr` nor `str`, nor the pretty printer that consoles use, shows keys, tokens or queries."""
    for text in (
        repr(value),
        str(value),
        f"{value}",
        repr([value]),
        pretty_repr(value),
        pretty_repr([value]),
    ):
        assert CANARY not in text
        assert type(value).__name__ in text


def test_a_bad_request_tells_no_more_than_its_faults() -> None:
    """The exception carries all faults and quotes nothing."""
    fault = invalid_parameter("encoding", "wrong")
    try:
        raise BadRequest([fault, fault])
    except BadRequest as bad:
        text = "".join(traceback.format_exception(bad))
        faults = bad.faults
    assert faults == (fault, fault)
    assert "2 parameters" in text
