"""Real time, with a second of leeway."""

from routeraudio.pull.pace import AHEAD_S, Pacer


def test_a_recording_in_real_time() -> None:
    """After the first second audio goes out as fast as it plays."""
    pacer = Pacer(1.0)
    dues = [pacer.due_s(0.5, 100.0) for _ in range(6)]
    assert dues == [99.0, 99.5, 100.0, 100.5, 101.0, 101.5]


def test_a_pause_is_not_made_up_for() -> None:
    """After ten seconds of nothing a second goes out at once, and no more."""
    pacer = Pacer(1.0)
    pacer.due_s(1.0, 100.0)
    assert [pacer.due_s(1.0, 110.0) for _ in range(3)] == [110.0 - AHEAD_S, 110.0, 111.0]


def test_live_catches_up() -> None:
    """What has gathered goes out a quarter faster than it plays."""
    pacer = Pacer(1.25)
    dues = [pacer.due_s(1.0, 100.0) for _ in range(3)]
    assert [round(due, 3) for due in dues] == [99.0, 99.8, 100.6]
