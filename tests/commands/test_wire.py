"""Messages from the daemon, as the command line reads them."""

import pytest

from routeraudio.commands.errors import Trouble
from routeraudio.commands.wire import Error, Transcript, TurnEnd, Word, decode


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"type":"transcript","provider":"x","transcript":"go","start_time":0.1,"end_time":1,"is_partial":true,'
            '"words":[{"text":"go","start_time":0.1,"end_time":1,"speaker":null}]}',
            Transcript("go", 0.1, 1.0, True, (Word("go", 0.1, 1.0),)),
        ),
        (
            '{"type":"transcript","transcript":"go","start_time":0,"end_time":1,"words":null}',
            Transcript("go", 0.0, 1.0),
        ),
        ('{"type":"turn_end","provider":"x","end_time":4.81}', TurnEnd(4.81)),
        ('{"type":"error","error":"no","code":"internal","request_id":"1"}', Error("no", "internal")),
        ('{"type":"something_new","x":1}', None),
    ],
)
def test_decodes(text: str, message: object) -> None:
    """Known messages become structs, unknown types are passed over."""
    assert decode(text) == decode(text.encode()) == message


@pytest.mark.parametrize(
    "text",
    ["", "hello", "[]", "{}", '{"type":5}', '{"type":"transcript"}', '{"type":"error"}', b"\xff", "[" * 5000],
)
def test_refuses(text: str | bytes) -> None:
    """What is not of this protocol is told, not shown as nothing."""
    with pytest.raises(Trouble, match="not of this protocol"):
        decode(text)
