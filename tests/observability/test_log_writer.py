"""Log lines never wait for whoever reads them."""

import io
import os
import threading

import pytest

from routeraudio.observability.log_writer import LogWriter


def test_lines_come_in_order_and_whole() -> None:
    """Everything that was taken is written by the time `close` returns."""
    stream = io.StringIO()
    writer = LogWriter(stream)
    for number in range(1_000):
        writer.write(f"{number}\n")
    writer.close()
    assert stream.getvalue() == "".join(f"{number}\n" for number in range(1_000))
    assert writer.dropped == 0


class Stuck(io.StringIO):
    """A reader that does not read until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(60)
        return super().write(text)


def test_a_reader_that_does_not_read_costs_lines_and_no_time() -> None:
    """Beyond the bound lines are dropped, counted, and told of once there is room."""
    stream = Stuck()
    writer = LogWriter(stream, waiting_bytes_max=100)
    for _ in range(50):
        writer.write("ten bytes\n")  # returns although nobody reads
    assert writer.dropped == 40
    assert writer.untold() == 0  # there is no room for a line that says so
    stream.go.set()
    writer.close()
    assert stream.getvalue() == "ten bytes\n" * 10
    assert writer.untold() == 40
    assert writer.untold() == 0


@pytest.mark.parametrize("end", ["closed", "broken"])
def test_a_reader_that_has_gone_is_no_error(end: str) -> None:
    """A closed stream and a broken pipe end nothing."""
    receive, send = os.pipe()
    stream = os.fdopen(send, "w")
    os.close(receive)
    if end == "closed":
        try:
            stream.close()
        except BrokenPipeError:
            pass
    writer = LogWriter(stream)
    writer.write("x\n")
    writer.close()
    if end == "broken":
        try:
            stream.close()
        except BrokenPipeError:
            pass
