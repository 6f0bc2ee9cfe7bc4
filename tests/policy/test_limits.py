"""Every bound of the daemon: positive, documented, and in keeping with the others."""

import ast
import inspect

import msgspec
import pytest

from routeraudio.policy.limits import Limits

FIELDS = msgspec.structs.fields(Limits)


def documented() -> dict[str, str]:
    """The docstring under each field; a comment for people is no use to the generated page."""
    (struct,) = ast.parse(inspect.getsource(Limits)).body
    assert isinstance(struct, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(struct.body, [*struct.body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            found[field.target.id] = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[field.target.id] = str(below.value.value)
    return found


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_limit_is_positive_and_has_a_reason(field: msgspec.structs.FieldInfo) -> None:
    """A limit of zero stops everything, and one without a reason is a guess."""
    assert field.default > 0
    assert type(field.default) is field.type
    assert len(documented()[field.name]) > 10


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_name_ends_in_its_unit(field: msgspec.structs.FieldInfo) -> None:
    """Bytes are whole, seconds are not; nobody has to look which is which."""
    endings = {"_bytes": int, "_max": int, "_s": float}
    (kind,) = {kind for ending, kind in endings.items() if field.name.endswith(ending)}
    assert field.type is kind


def test_limits_do_not_contradict_each_other() -> None:
    """What is inside something is smaller than what is around it."""
    limits = Limits()
    assert limits.target_bytes < limits.head_bytes
    assert limits.message_text_bytes <= limits.message_binary_bytes
    assert limits.flood_per_s < limits.flood_burst_max
    assert max(limits.dial_dns_s, limits.dial_tcp_s, limits.dial_tls_s, limits.dial_upgrade_s) < limits.dial_s
    assert limits.dial_s <= limits.dialling_audio_s, "audio is held for as long as dialling may take"
    assert limits.dial_s + limits.ready_s < limits.idle_s, "a client is not idle because we are slow"
    assert limits.last_words_s < limits.idle_s < limits.session_s
    assert limits.connections_per_address_max <= limits.connections_unauthenticated_max
    assert limits.connections_unauthenticated_max <= limits.connections_max


def test_unknown_limits_are_refused() -> None:
    """A limit that is misspelt in the configuration is not silently another one's default."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"idle_seconds": 5}, Limits)
    assert msgspec.convert({"idle_s": 5}, Limits).idle_s == 5
