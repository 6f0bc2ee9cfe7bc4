"""`routeraudio stream`: a client for `/v1/listen`."""

import os
from functools import partial
from typing import Annotated, Final, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
import trio
from cyclopts import Parameter

from routeraudio.commands import display
from routeraudio.commands.client import converse
from routeraudio.commands.conversation import Conversation, Ending
from routeraudio.commands.errors import DONE, Trouble, usage
from routeraudio.commands.refusals import ended
from routeraudio.commands.sound import Microphone, RawInput, Sound, opened
from routeraudio.model.audio import CHANNELS_MAX, SAMPLE_RATES_HZ, AudioFormat

KEY_VARIABLE: Final = "ROUTERAUDIO_KEY"

RawEncoding = Literal["pcm_s16le", "pcm_mulaw"]
"""What standard input may carry; everything else is decoded from files."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the daemon besides the audio's format; None leaves the daemon its default."""

    provider: str
    model: str | None = None
    language: str | None = None
    partials: bool = False
    diarize: bool | None = None
    punctuate: bool | None = None
    endpointing: int | None = None


def stream(
    file: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    provider: str,
    url: str = "ws://127.0.0.1:8080",
    key: str | None = None,
    model: str | None = None,
    language: str | None = None,
    partials: bool = False,
    diarize: bool | None = None,
    punctuate: bool | None = None,
    endpointing: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    realtime: Annotated[bool, Parameter(negative="--fast")] = True,
    encoding: RawEncoding = "pcm_s16le",
    sample_rate: int = 16_000,
    channels: int = 1,
    microphone: Annotated[bool, Parameter(negative="")] = False,
    ca_file: str | None = None,
) -> int:
    """Send audio to a daemon and show the transcripts.

    Parameters
    ----------
    file
        An audio file; - for raw audio on standard input.
    provider
        Who recognises: local, deepgram, …
    url
        The daemon's address.
    key
        A router key, or the provider's own; else the environment variable ROUTERAUDIO_KEY.
    model
        The provider's model.
    language
        A code such as en, or auto.
    partials
        Show text while it may still change.
    diarize
        Tell speakers apart.
    punctuate
        Ask for punctuation.
    endpointing
        Milliseconds of silence that end an utterance.
    json
        Print each server message on one line, and nothing else.
    realtime
        At the pace of speech; --fast sends as fast as the daemon takes.
    encoding
        Of raw audio on standard input.
    sample_rate
        Of raw audio on standard input, in Hz.
    channels
        Of raw audio on standard input.
    microphone
        Send the default microphone (needs the extra "microphone").
    ca_file
        An extra certificate authority to trust, in PEM.
    """
    sound = _sound(file, microphone, _raw_format(encoding, sample_rate, channels))
    wishes = Wishes(
        provider=provider,
        model=model,
        language=language,
        partials=partials,
        diarize=diarize,
        punctuate=punctuate,
        endpointing=endpointing,
    )
    with display.chosen(is_json=json, duration_s=sound.duration_s) as shown:
        conversation = Conversation(sound, shown, is_realtime=realtime)
        address = listen_url(url, sound.format, wishes)
        trio.run(partial(converse, address, headers(key), conversation, ca_file=ca_file))
    succeed(conversation.ending)
    return DONE


def listen_url(url: str, audio: AudioFormat, wishes: Wishes) -> str:
    """The address of the stream with every parameter in its query."""
    parameters = {
        "provider": wishes.provider,
        "encoding": audio.encoding,
        "sample_rate": audio.sample_rate,
        "channels": audio.channels,
        "model": wishes.model,
        "language": wishes.language,
        "partial_results": wishes.partials,
        "diarize": wishes.diarize,
        "punctuate": wishes.punctuate,
        "endpointing": wishes.endpointing,
    }
    said = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in parameters.items()
    }
    query = urlencode({name: value for name, value in said.items() if value is not None})
    base = urlsplit(url)
    return urlunsplit(base._replace(path=base.path.rstrip("/") or "/v1/listen", query=query))


def headers(key: str | None) -> dict[str, str]:
    """The key's header, from the option or the environment.

    Raises:
        Trouble: the key cannot stand in a header; it is not repeated.
    """
    key = key or os.environ.get(KEY_VARIABLE)
    if not key:
        return {}
    if not key.isascii() or not key.isprintable() or " " in key:
        raise usage(f"--key or {KEY_VARIABLE}: expected one word of printable ASCII characters")
    return {"x-api-key": key}


def succeed(ending: Ending | None) -> None:
    """Nothing, when the server left with 1000 and without an error message.

    Raises:
        Trouble: it did not.
    """
    if ending is None:
        raise Trouble("stopped before the end")
    trouble = ended(ending.code, ending.reason, ending.error)
    if trouble is not None:
        raise trouble


def _sound(file: str | None, microphone: bool, raw: AudioFormat) -> Sound:
    if microphone and file is None:
        return Microphone()
    if microphone or file is None:
        raise usage("expected one source of audio: a file, - or --microphone")
    if file == "-":
        return RawInput(raw)
    if file.startswith("-"):
        raise usage(f"{file}: there is no such option; see routeraudio stream --help")
    return opened(file)


def _raw_format(encoding: RawEncoding, sample_rate: int, channels: int) -> AudioFormat:
    if sample_rate not in SAMPLE_RATES_HZ:
        raise usage(f"--sample-rate: expected one of {', '.join(map(str, SAMPLE_RATES_HZ))}")
    if not 1 <= channels <= CHANNELS_MAX:
        raise usage(f"--channels: expected a number from 1 to {CHANNELS_MAX}")
    return AudioFormat(encoding, sample_rate, channels)
