"""How the gateway counts each vendor's audio, and what of its clients it knows."""

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.model.message import Message
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.native import AudioCounter, Handshake, base64_bytes

SECOND = bytes(32_000)
"""Of 16 kHz PCM."""


def meter(provider: str, query: dict[str, str] | None = None, **headers: str) -> AudioCounter:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PROVIDERS[provider].native.meter(Handshake(tuple((query or {}).items()), named))


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def eleven(data: bytes, **more: Any) -> str:
    return json.dumps({"message_type": "input_audio_chunk", "audio_base_64": b64(data), **more})


def append(data: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": b64(data)})


def update(kind: str) -> str:
    session = {"type": "transcription", "audio": {"input": {"format": {"type": kind}}}}
    return json.dumps({"type": "session.update", "session": session})


def gradium(data: bytes) -> str:
    return json.dumps({"type": "audio", "audio": b64(data)})


def setup(**more: Any) -> str:
    return json.dumps({"type": "setup", "model_name": "default", **more})


def soniox(**more: Any) -> str:
    return json.dumps({"model": "stt-rt-v5", **more})


def start(**audio_format: Any) -> str:
    return json.dumps({"message": "StartRecognition", "audio_format": audio_format})


RAW_16K = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}

SIZED: list[tuple[str, AudioCounter, list[Message], int]] = [
    ("assemblyai, defaults", meter("assemblyai"), [SECOND], 1000),
    (
        "assemblyai, mu-law",
        meter("assemblyai", {"encoding": "pcm_mulaw", "sample_rate": "8000"}),
        [SECOND],
        4000,
    ),
    ("deepgram", meter("deepgram", {"encoding": "linear16", "sample_rate": "16000"}), [SECOND, SECOND], 2000),
    (
        "deepgram, stereo",
        meter("deepgram", {"encoding": "linear16", "sample_rate": "16000", "channels": "2"}),
        [SECOND],
        500,
    ),
    ("deepgram, mu-law", meter("deepgram", {"encoding": "mulaw", "sample_rate": "8000"}), [SECOND], 4000),
    (
        "deepgram, texts",
        meter("deepgram", {"encoding": "linear16", "sample_rate": "16000"}),
        ['{"type":"KeepAlive"}', "no json"],
        0,
    ),
    ("elevenlabs, defaults", meter("elevenlabs"), [eleven(SECOND)], 1000),
    (
        "elevenlabs, rate of the query",
        meter("elevenlabs", {"audio_format": "pcm_8000"}),
        [eleven(SECOND)],
        2000,
    ),
    (
        "elevenlabs, rate of the message",
        meter("elevenlabs"),
        [eleven(SECOND, sample_rate=8000), eleven(SECOND)],
        3000,
    ),
    (
        "elevenlabs, mu-law",
        meter("elevenlabs", {"audio_format": "ulaw_8000"}),
        [eleven(SECOND, sample_rate=8000)],
        4000,
    ),
    ("elevenlabs, unbelievable rate", meter("elevenlabs"), [eleven(SECOND, sample_rate=99_999_999)], 1000),
    ("elevenlabs, rate as text", meter("elevenlabs"), [eleven(SECOND, sample_rate="8000")], 1000),
    ("elevenlabs, escaped", meter("elevenlabs"), [eleven(b"\xff" * 32_000).replace("/", "\\/")], 1000),
    ("elevenlabs, unpadded", meter("elevenlabs"), [eleven(SECOND).replace("=", "")], 1000),
    ("elevenlabs, broken", meter("elevenlabs"), ["{", "[]", "", '{"audio_base_64": 5}', "[" * 5000], 0),
    ("elevenlabs, binary", meter("elevenlabs"), [SECOND], 0),
    ("openai, defaults", meter("openai"), [append(bytes(48_000))], 1000),
    (
        "openai, mu-law",
        meter("openai"),
        [append(bytes(24_000)), update("audio/pcmu"), append(bytes(8000))],
        1500,
    ),
    (
        "openai, as in the beta",
        meter("openai"),
        [
            '{"type":"transcription_session.update","session":{"input_audio_format":"g711_ulaw"}}',
            append(bytes(8000)),
        ],
        1000,
    ),
    (
        "gradium, two setups",
        meter("gradium"),
        [
            '{"type":"setup","input_format":"ulaw_8000"}',
            '{"type":"setup","input_format":"pcm_48000"}',
            json.dumps({"type": "audio", "audio": b64(bytes(8000))}),
        ],
        1000,
    ),
    (
        "openai, a session without a format",
        meter("openai"),
        ['{"type":"session.update","session":{}}', append(bytes(48_000))],
        1000,
    ),
    (
        "openai, a session beside audio",
        meter("openai"),
        [json.dumps({"type": "input_audio_buffer.append", "audio": b64(bytes(48_000)), "session": {}})],
        1000,
    ),
    ("gradium", meter("gradium"), [setup(input_format="pcm_16000"), gradium(SECOND)], 1000),
    ("gradium, 24 kHz", meter("gradium"), [setup(input_format="pcm"), gradium(bytes(48_000))], 1000),
    ("gradium, mu-law", meter("gradium"), [setup(input_format="ulaw_8000"), gradium(bytes(8000))], 1000),
    (
        "gradium, a format beside audio",
        meter("gradium"),
        [
            setup(input_format="pcm_16000"),
            json.dumps({"type": "audio", "audio": b64(SECOND), "input_format": "pcm_48000"}),
        ],
        1000,
    ),
    (
        "soniox",
        meter("soniox"),
        [soniox(audio_format="pcm_s16le", sample_rate=16000, num_channels=1), SECOND],
        1000,
    ),
    (
        "soniox, stereo in 32 bits",
        meter("soniox"),
        [soniox(audio_format="pcm_f32le", sample_rate=16000, num_channels=2), SECOND],
        250,
    ),
    (
        "soniox, a second start",
        meter("soniox"),
        [
            soniox(audio_format="mulaw", sample_rate=8000, num_channels=1),
            soniox(audio_format="pcm_s16le", sample_rate=48000, num_channels=8),
            SECOND,
        ],
        4000,
    ),
    ("speechmatics", meter("speechmatics"), [start(**RAW_16K), SECOND], 1000),
    (
        "speechmatics, mu-law",
        meter("speechmatics"),
        [start(type="raw", encoding="mulaw", sample_rate=8000), SECOND],
        4000,
    ),
    ("vachana, defaults", meter("vachana"), [SECOND], 1000),
    ("vachana, 8 kHz", meter("vachana", x_sample_rate="8000"), [SECOND], 2000),
    ("local", meter("local"), [SECOND, '{"type":"finish"}'], 1000),
]

BY_CLOCK: list[tuple[str, AudioCounter, list[Message]]] = [
    ("assemblyai, opus", meter("assemblyai", {"encoding": "ogg_opus"}), [b"OggS"]),
    ("deepgram, container", meter("deepgram"), [b"RIFF"]),
    ("deepgram, opus", meter("deepgram", {"encoding": "opus", "sample_rate": "48000"}), [b"x"]),
    ("deepgram, no rate", meter("deepgram", {"encoding": "linear16"}), [b"x"]),
    ("deepgram, absurd rate", meter("deepgram", {"encoding": "linear16", "sample_rate": "9" * 30}), [b"x"]),
    ("deepgram, negative", meter("deepgram", {"encoding": "linear16", "sample_rate": "-16000"}), [b"x"]),
    ("elevenlabs, unknown format", meter("elevenlabs", {"audio_format": "opus_48000"}), [eleven(b"x")]),
    ("openai, unknown format", meter("openai"), [update("audio/opus"), append(b"x")]),
    ("gradium, wav", meter("gradium"), [setup(input_format="wav"), gradium(b"RIFF")]),
    ("gradium, no format", meter("gradium"), [setup(), gradium(b"RIFF")]),
    ("gradium, no setup", meter("gradium"), [gradium(b"RIFF")]),
    ("soniox, auto", meter("soniox"), [soniox(audio_format="auto"), b"x"]),
    ("soniox, no rate", meter("soniox"), [soniox(audio_format="pcm_s16le"), b"x"]),
    ("soniox, no start", meter("soniox"), [b"x"]),
    ("speechmatics, file", meter("speechmatics"), [start(type="file"), b"x"]),
    (
        "speechmatics, channels",
        meter("speechmatics"),
        [start(**RAW_16K), '{"message":"AddChannelAudio","channel":"left","data":"AAAA"}'],
    ),
]


@pytest.mark.parametrize(
    ("_what", "counting", "messages", "audio_ms"), SIZED, ids=[case[0] for case in SIZED]
)
def test_audio_is_sized(_what: str, counting: AudioCounter, messages: list[Message], audio_ms: int) -> None:
    """Audio counts by its samples, whatever it travels in; what is none, or cannot be read, counts nothing."""
    for message in messages:
        counting.read(message)
    assert (counting.audio_ms, counting.is_by_clock) == (audio_ms, False)


@pytest.mark.parametrize(("_what", "counting", "messages"), BY_CLOCK, ids=[case[0] for case in BY_CLOCK])
def test_what_has_no_size_goes_by_the_clock(
    _what: str, counting: AudioCounter, messages: list[Message]
) -> None:
    """Containers and everything unknown: from the first audio, not from the first message."""
    for message in messages[:-1]:
        counting.read(message)
    assert not counting.is_by_clock
    counting.read(messages[-1])
    assert counting.is_by_clock


@pytest.mark.parametrize("provider", PROVIDERS)
@given(
    texts=st.lists(
        st.text()
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "type",
                            "message",
                            "session",
                            "audio",
                            "audio_format",
                            "input_format",
                            "audio_base_64",
                            "sample_rate",
                            "num_channels",
                            "StartRecognition",
                            "setup",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ).map(json.dumps),
        max_size=4,
    )
)
def test_no_message_breaks_a_meter(provider: str, texts: list[str]) -> None:
    """Whatever a client sends, counting never raises and never goes back."""
    counting, before_ms = meter(provider), 0
    for text in texts:
        counting.read(text)
        assert counting.audio_ms >= before_ms
        before_ms = counting.audio_ms


@given(data=st.binary(max_size=200))
def test_base64_is_sized_without_decoding(data: bytes) -> None:
    """The size is exact for every length, padded or not."""
    text = b64(data)
    for written in (text, text.rstrip("=")):
        assert base64_bytes(msgspec.Raw(json.dumps(written).encode())) == len(data)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_gateway_is_open_to_every_provider(provider: str) -> None:
    """At a path of the vendor's own; what could carry somebody else's key is never passed on."""
    native = PROVIDERS[provider].native
    assert native.paths.fullmatch(native.default_path)
    assert not native.headers & {"cookie", "authorization", "x-api-key", "xi-api-key", "x-forwarded-for"}


@pytest.mark.parametrize(
    "path",
    ["/v1/speak", "/v1/listen/../agent", "/v1/listen/", "/v3/listen", "/v1%2Flisten", "//v1/listen", ""],
)
def test_only_transcription_is_open(path: str) -> None:
    """What else the vendor has at its host is not paid for by our credential."""
    assert PROVIDERS["deepgram"].native.paths.fullmatch(path) is None


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/v2", True),
        ("/v2/", True),
        ("/v2/en", True),
        ("/v2/cmn_en", True),
        ("/v2/agent", True),
        ("/v2/agent/x", False),
        ("/v1/flow", False),
    ],
)
def test_speechmatics_paths(path: str, is_open: bool) -> None:
    """The old SDK's language is a path, and Agent STT; the voice agent, Flow, is not ours to offer."""
    assert bool(PROVIDERS["speechmatics"].native.paths.fullmatch(path)) is is_open


def test_end_of_audio() -> None:
    """A vendor that has an end of audio is told it; Speechmatics with the number of its audio messages."""
    expected = {
        "assemblyai": '{"type":"Terminate"}',
        "deepgram": '{"type":"CloseStream"}',
        "gradium": '{"type":"end_of_stream"}',
        "local": '{"type":"finish"}',
        "soniox": "",
        "speechmatics": '{"message":"EndOfStream","last_seq_no":7}',
    }
    for name, message in expected.items():
        end_of_audio = PROVIDERS[name].native.end_of_audio
        assert end_of_audio is not None
        assert end_of_audio(7) == message


@pytest.mark.parametrize("name", ["openai", "elevenlabs", "gradium"])
@pytest.mark.parametrize("odd", ["NaN", '"\\ud800"', "[" * 2000 + "]" * 2000, "-Infinity"])
def test_audio_beside_what_we_cannot_read(name: str, odd: str) -> None:
    """Parsers that are less strict than ours hear it: it is charged as at the lowest bit rate, not as nothing."""
    counter = PROVIDERS[name].native.meter(Handshake((), {}))
    audio = "A" * 40_000
    counter.read(
        f'{{"type":"input_audio_buffer.append","audio":"{audio}","audio_base_64":"{audio}","x":{odd}}}'
    )
    counted_ms = counter.audio_ms + counter.floor_ms
    assert counted_ms >= 600
