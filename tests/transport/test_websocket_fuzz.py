"""The driver cuts most frames itself; whatever is sent and however it is cut, the protocol object would agree."""

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from routeraudio.model.message import Message
from tests.transport.peers import frame, open_line

BYTES_MAX = 300

PAYLOADS = st.binary(max_size=20) | st.sampled_from(
    [bytes(125), bytes(126), bytes(300), bytes(301), "ö".encode()]
)
WELL_FORMED = st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A])
FRAMES = st.builds(
    frame,
    WELL_FORMED | st.integers(0, 255),
    PAYLOADS,
    is_masked=st.sampled_from([True] * 9 + [False]),
    width=st.sampled_from([0, 0, 0, 8]),
)
"""Whole frames: of half a frame the driver waits for the rest before it judges."""
CUTS = st.lists(st.integers(0, 1000), max_size=8)


def expected(data: bytes) -> tuple[list[Message], int | None]:
    """What the protocol object makes of ``data``: messages, and the code it answers with."""
    protocol = ServerProtocol(state=OPEN, max_size=BYTES_MAX)
    protocol.receive_data(data)
    messages: list[Message] = []
    parts, is_text = b"", False
    for event in protocol.events_received():
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):  # type: ignore[union-attr]
            parts, is_text = b"", event.opcode is Opcode.TEXT  # type: ignore[union-attr]
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):  # type: ignore[union-attr]
            parts += bytes(event.data)  # type: ignore[union-attr]
            if event.fin:  # type: ignore[union-attr]
                try:
                    messages.append(parts.decode() if is_text else parts)
                except UnicodeDecodeError:
                    return messages, 1007
    return messages, protocol.close_sent.code if protocol.close_sent else None


@given(st.lists(FRAMES, max_size=8), CUTS)
async def test_no_cut_changes_the_meaning(frames: list[bytes], cuts: list[int]) -> None:
    """Messages and verdict are the protocol object's own, wherever segments end."""
    data = b"".join(frames)
    messages, code = expected(data)
    async with open_line(bytes_max=BYTES_MAX) as line:
        begin = 0
        for cut in [*sorted(cuts), len(data)]:
            if begin < cut <= len(data):
                await line.peer.say_raw(data[begin:cut])
                await trio.testing.wait_all_tasks_blocked()
                begin = cut
        assert line.listener.messages == messages
        assert [ended.code for ended in line.listener.closings] == ([] if code is None else [code])
