"""`/v1/listen`: what clients say, and what they are told, byte for byte."""

import json
import traceback
from typing import get_args

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.dialects.base import Control
from routeraudio.dialects.listen import CONTROLS, Listen
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import (
    ClientFault,
    CloseCode,
    ErrorCode,
    Fault,
    InternalFault,
    Overloaded,
    UpstreamFault,
    forbidden,
    unauthorized,
)
from routeraudio.model.events import (
    Event,
    Failed,
    Final,
    Finished,
    Notice,
    Partial,
    Raw,
    Ready,
    Summary,
    TurnEnd,
    Usage,
    Word,
)
from routeraudio.model.options import Options


def listen(*, partial_results: bool = True, parse_json: bool = True, summary: bool = False) -> Listen:
    options = Options(
        provider="deepgram",
        audio=PCM_16K_MONO,
        partial_results=partial_results,
        parse_json=parse_json,
        summary=summary,
    )
    return Listen(options, "request-1")


WORDS = (Word("good", 1200, 1440), Word("morning", 1460, 1900, "0"))

TOLD: list[tuple[Event, str]] = [
    (
        Final("Good morning.", 1200, 2360, WORDS),
        '{"type":"transcript","provider":"deepgram","transcript":"Good morning.","start_time":1.2,'
        '"end_time":2.36,"is_partial":false,"words":['
        '{"text":"good","start_time":1.2,"end_time":1.44,"speaker":null},'
        '{"text":"morning","start_time":1.46,"end_time":1.9,"speaker":"0"}]}',
    ),
    (
        Final("a", 0, 1),
        '{"type":"transcript","provider":"deepgram","transcript":"a","start_time":0.0,"end_time":0.001,'
        '"is_partial":false,"words":null}',
    ),
    (
        Final("a", 14_399_999, 14_400_000, ()),
        '{"type":"transcript","provider":"deepgram","transcript":"a","start_time":14399.999,'
        '"end_time":14400.0,"is_partial":false,"words":[]}',
    ),
    (
        Partial("good", 1200, 1440),
        '{"type":"transcript","provider":"deepgram","transcript":"good","start_time":1.2,'
        '"end_time":1.44,"is_partial":true,"words":null}',
    ),
    (
        Final('Grüße, "世界" \U0001f600\n\u2028', 0, 1000),
        '{"type":"transcript","provider":"deepgram","transcript":"Grüße, \\"世界\\" \U0001f600\\n\u2028",'
        '"start_time":0.0,"end_time":1.0,"is_partial":false,"words":null}',
    ),
    (TurnEnd(4810), '{"type":"turn_end","provider":"deepgram","end_time":4.81}'),
    (TurnEnd(4810, 0), '{"type":"turn_end","provider":"deepgram","end_time":4.81,"channel":0}'),
    (
        Final("a", 0, 1000, None, 1),
        '{"type":"transcript","provider":"deepgram","transcript":"a","start_time":0.0,"end_time":1.0,'
        '"is_partial":false,"words":null,"channel":1}',
    ),
]


@pytest.mark.parametrize(("event", "text"), TOLD)
def test_what_is_told(event: Event, text: str) -> None:
    """Texts and turn ends as the API reference shows them; seconds, not milliseconds."""
    assert listen().event(event) == (text,)
    json.loads(text)


@pytest.mark.parametrize(
    "event",
    [
        Ready("id"),
        Usage(1),
        Notice("warning"),
        Finished(),
        Failed(UpstreamFault("gone")),
        Final("", 0, 100),
        Raw("{}"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_is_not_told(event: Event) -> None:
    """The session's own business and empty finals are not for the client."""
    assert list(listen().event(event)) == []


def test_partials_are_for_those_who_asked() -> None:
    """Without `partial_results` no partial is told, and finals are."""
    dialect = listen(partial_results=False)
    assert list(dialect.event(Partial("a", 0, 1))) == []
    assert len(dialect.event(Final("a", 0, 1))) == 1


@pytest.mark.parametrize("message", ['{"vendor": "said",  "this":1e3}', "", "not json", b"\x00\xff"])
def test_raw_sessions_hear_the_vendor(message: str | bytes) -> None:
    """With `parse_json=false` the vendor's messages are told byte for byte, and nothing else is."""
    dialect = listen(parse_json=False)
    assert dialect.event(Raw(message)) == (message,)
    for event, _ in TOLD:
        assert list(dialect.event(event)) == []


@pytest.mark.parametrize("parse_json", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        *[ClientFault("wrong", code=code, close_code=CloseCode.POLICY) for code in get_args(ErrorCode)],
        UpstreamFault("gone"),
        Overloaded("full"),
        InternalFault("request-1"),
        unauthorized("no key"),
        forbidden("not yours"),
    ],
    ids=lambda fault: getattr(fault, "code", None),
)
def test_errors(fault: Fault, parse_json: bool) -> None:
    """Every fault has the same fields, in raw sessions too."""
    (message,) = listen(parse_json=parse_json).error(fault)
    assert isinstance(message, str)
    assert json.loads(message) == {
        "type": "error",
        "error": fault.message,
        "code": fault.code,
        "provider": "deepgram",
        "request_id": "request-1",
        "retry": fault.retry,
    }
    assert fault.code in get_args(ErrorCode)


def test_a_restart_is_no_error() -> None:
    """A daemon that stops says so with the close code alone."""
    assert list(listen().error(Overloaded("stopping", close_code=CloseCode.RESTART))) == []


# What clients say.


@pytest.mark.parametrize("message", [b"", b"\x00", b'{"type":"end_of_stream"}', bytes(100_000)])
def test_binary_is_audio(message: bytes) -> None:
    """Binary messages are audio, whatever is in them."""
    assert list(listen().received(message)) == [message]


@pytest.mark.parametrize("parse_json", [True, False])
@pytest.mark.parametrize(
    ("kind", "control"),
    [
        ("end_of_stream", Control.FINISH),
        ("CloseStream", Control.FINISH),
        ("Terminate", Control.FINISH),
        ("finalize", Control.FINALIZE),
        ("Finalize", Control.FINALIZE),
        ("keepalive", Control.KEEPALIVE),
        ("KeepAlive", Control.KEEPALIVE),
    ],
)
def test_controls(kind: str, control: Control, parse_json: bool) -> None:
    """Every control and its aliases, with blanks and other fields around."""
    dialect = listen(parse_json=parse_json)
    escaped = "".join(f"\\u{ord(character):04x}" for character in kind)
    for text in (
        f'{{"type":"{kind}"}}',
        f' {{ "type" : "{kind}" }}\n',
        f'{{"channel":[0,1],"more":{{"a":null}},"type":"{kind}","n":-1.5e300}}',
        f'{{"type":"{escaped}"}}',
    ):
        assert list(dialect.received(text)) == [control]


def test_all_controls_are_tested() -> None:
    """The table above is the dialect's own."""
    assert set(CONTROLS) == {
        "end_of_stream",
        "CloseStream",
        "Terminate",
        "finalize",
        "Finalize",
        "keepalive",
        "KeepAlive",
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"type":""}',
        '{"type":"END_OF_STREAM"}',
        '{"type":"end_of_stream "}',
        '{"type":"configure","options":{"language":"fr"}}',
        '{"type":"x","type":"y"}',
        '{"type":"x","n":1e999,"i":' + "9" * 50 + "}",
        '{"type":"x","a":' + "[" * 50 + "]" * 50 + "}",
        '{"type":"' + "x" * 60 + '"}',
    ],
    ids=lambda text: text[:40],
)
def test_unknown_types_are_ignored(text: str) -> None:
    """Messages of newer clients change nothing."""
    assert list(listen().received(text)) == []


def test_the_last_of_two_types_counts() -> None:
    """Duplicated keys are read as everywhere in JSON: the last one wins."""
    assert list(listen().received('{"type":"x","type":"finalize"}')) == [Control.FINALIZE]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "hello",
        "UklGRiQAAABXQVZF",
        "null",
        "1",
        '"end_of_stream"',
        "[]",
        '[{"type":"finalize"}]',
        "{}",
        '{"type":null}',
        '{"type":1}',
        '{"type":["finalize"]}',
        '{"Type":"finalize"}',
        '{"type":"finalize"',
        '{"type":"finalize"}}',
        '{"type":"finalize"}{"type":"finalize"}',
        "{'type':'finalize'}",
        '{"type":finalize}',
        '{"type":"\ud800"}',
        '{"type":"\\ud800"}',
        '{"type":"x","n":NaN}',
        '{"type":"x","a":' + "[" * 100_000,
        '{"type":"x","a":' + '{"a":' * 100_000,
        "[" * 100_000,
        "\x00",
        "\ufeff{}",
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_text_that_is_no_message_is_refused(text: str) -> None:
    """Text that is no object with a type is audio in the wrong place; ignored it would look like silence."""
    with pytest.raises(ClientFault) as raised:
        listen().received(text)
    fault = raised.value
    assert (fault.code, fault.close_code) == ("audio_error", CloseCode.UNSUPPORTED_DATA)
    assert "binary messages" in fault.message
    assert fault.__cause__ is None
    assert fault.__suppress_context__


@given(st.text())
def test_any_text_is_understood_ignored_or_refused(text: str) -> None:
    """No text does anything else than the three."""
    try:
        commands = list(listen().received(text))
    except ClientFault as fault:
        code = fault.code
        commands = []
    else:
        code = "audio_error"
    assert code == "audio_error"
    assert commands == [] or isinstance(commands[0], Control)


@given(
    st.builds(
        Final,
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
    )
)
def test_any_text_arrives_as_it_is(final: Final) -> None:
    """Whatever a vendor hears, the client reads the same text and times."""
    (message,) = listen().event(final)
    told = json.loads(message)
    assert told["transcript"] == final.text
    assert round(told["start_time"] * 1000) == final.start_ms
    assert round(told["end_time"] * 1000) == final.end_ms


@pytest.mark.parametrize("text", ["canary", '{"type":["canary"]}', '"canary"', '{"type":"canary'])
def test_refusals_do_not_quote(text: str) -> None:
    """What a client sent is never repeated to it, nor to whoever prints the fault."""
    with pytest.raises(ClientFault) as raised:
        listen().received(text)
    assert "canary" not in "".join(traceback.format_exception(raised.value))
    assert "canary" not in repr(raised.value)


AUDIO_IN_TEXT = [
    '{"type":"audio","data":"' + "AAEC" * 20 + '"}',
    '{"type":"input_audio_buffer.append","audio":"' + "UklGRiQAAABXQVZF" * 60 + '"}',
    '{"type":"Audio","samples":[' + ",".join(["0.01"] * 200) + "]}",
    '{"type":"' + "x" * 60_000 + '"}',
    '{"type":"media","media":{"payload":"' + "__--" * 16 + '"}}',
]


@pytest.mark.parametrize("message", AUDIO_IN_TEXT)
def test_audio_in_a_text_message(message: str) -> None:
    """Whoever sends it would wait for words for ever: told at once where audio belongs."""
    with pytest.raises(ClientFault, match="binary messages") as caught:
        listen().received(message)
    assert (caught.value.code, caught.value.close_code) == ("audio_error", 1003)
    assert "AAEC" not in caught.value.message


@pytest.mark.parametrize("kind", ["configure", "input_audio_buffer.commit", "ping"])
def test_a_short_unknown_message_is_told_in_the_summary(kind: str) -> None:
    """A newer client's, perhaps: it has no effect, and the summary says so once."""
    dialect = listen(summary=True)
    for _ in range(3):
        assert dialect.received(f'{{"type":"{kind}"}}') == ()
    (summary,) = dialect.event(Summary(1000, 1000, 1000, 1))
    warnings = json.loads(summary)["warnings"]
    assert [kind in warning for warning in warnings] == [True]


def test_unknown_messages_are_remembered_with_a_bound() -> None:
    """However many kinds a client invents; what is no name is not repeated."""
    dialect = listen(summary=True)
    for number in range(100):
        dialect.received(f'{{"type":"kind{number}"}}')
    dialect.received('{"type":"a\\nb<script>"}')
    (summary,) = dialect.event(Summary(1000, 1000, 1000, 1))
    assert len(json.loads(summary)["warnings"]) <= 32
    assert "script" not in summary
