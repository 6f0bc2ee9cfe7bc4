"""Reading faults."""

import pytest

from routeraudio.emulators.kit.faults import Faults, faults_of_key, parse_faults

CASES = [
    ("refuse-429", Faults(refuse=429)),
    ("delay-2.5", Faults(delay_s=2.5)),
    ("stall", Faults(stall=True)),
    ("garbage-utf8", Faults(garbage="utf8")),
    ("drop-3", Faults(drop_after_s=3.0)),
    ("deaf-0", Faults(deaf_after_s=0.0)),
    ("early-1", Faults(early_after_s=1.0)),
    ("endless", Faults(endless=True)),
    ("delay-1+drop-3", Faults(delay_s=1.0, drop_after_s=3.0)),
]


@pytest.mark.parametrize(("text", "faults"), CASES)
def test_each_fault_can_be_asked_for(text: str, faults: Faults) -> None:
    """The same words serve the command line and keys."""
    assert parse_faults(text) == faults
    assert faults_of_key(f"fault-{text}", Faults()) == faults


@pytest.mark.parametrize(
    "text",
    ["", "explode", "drop", "drop-", "drop-x", "drop--1", "drop-nan", "drop-inf", "drop-3601", "stall-3", "refuse-200",
     "garbage", "garbage-soup", "drop-3+"],
)  # fmt: skip
def test_nonsense_is_refused(text: str) -> None:
    """Unknown names and bad values are errors."""
    with pytest.raises(ValueError, match="fault"):
        parse_faults(text)


@pytest.mark.parametrize("key", [None, "", "abc", "my-fault-drop-3"])
def test_ordinary_keys_leave_the_faults_alone(key: str | None) -> None:
    """Only a key that begins with `fault-` asks for one."""
    base = Faults(stall=True)
    assert faults_of_key(key, base) is base


def test_a_key_adds_to_what_the_emulator_does_anyway() -> None:
    """A connection's faults lie on top of the emulator's."""
    assert faults_of_key("fault-drop-3", Faults(delay_s=1.0)) == Faults(delay_s=1.0, drop_after_s=3.0)
