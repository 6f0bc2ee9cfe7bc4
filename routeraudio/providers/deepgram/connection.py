"""What Deepgram's two protocols do alike: host, key, refusals, closes, ticks.

`deepgram` (v1) and `deepgram_flux` (v2) fill in the parameters, the messages, and what a quiet line needs.

Documentation: https://developers.deepgram.com (2026-11), Python SDK 7.16.0.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, Fault
from routeraudio.model.events import Event, Finished
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities, Credential, Dial, key_header, refusal
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.compatibility import unsupported_language
from routeraudio.providers.models import Model, Models, is_detection, load, spelled

TITLE: Final = "Deepgram"

CLOSE_STREAM: Final = '{"type":"CloseStream"}'
"""End of audio in both protocols. Control messages must be text: binary ones are taken for audio."""

Parameters = Sequence[tuple[str, str]]


class DeepgramConnection(Connection):
    """What v1 and Flux do alike."""

    _path: str

    def __init__(self, config: AdapterConfig, capabilities: Capabilities) -> None:
        super().__init__(config, target(config.options, capabilities))
        self._model = config.options.model or models().default_model

    # What the protocols fill in.

    @abstractmethod
    def _parameters(self) -> Parameters:
        """Query parameters, always in the same order."""

    @abstractmethod
    def _quiet(self) -> Sequence[Message]:
        """What a line needs that was quiet for `_quiet_ticks` whole intervals, at least one."""

    @property
    def _has_unsettled(self) -> bool:
        """Whether text was heard that the vendor has not made final, and that we must not."""
        return False

    # The contract.

    def dial(self) -> Dial:
        return Dial(
            decoding.url(self._config.url, self._path, self._parameters()),
            headers=_authorization(self._config.credential),
        )

    def refused(self, status: int, body: bytes) -> Fault:
        return refusal(
            TITLE,
            status,
            credential=self._config.credential,
            words=_refusal_words(body, self._config.credential),
        )

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing, "audio after finish()"
        if not chunk:
            return ()  # an empty binary message ends a v1 stream
        self._line.sent(len(chunk))
        self._quiet_ticks = -1
        return (chunk,)

    def _finish(self) -> Sequence[Message]:
        return (CLOSE_STREAM,)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        is_complete = self._is_finishing and code in decoding.CLOSES_CLEAN and not self._has_unsettled
        return self._end() if is_complete else self._fail(self._closing(code, reason))

    def _ticked(self) -> Sequence[Message]:
        return self._quiet() if self._quiet_ticks > 0 else ()

    def _end(self) -> list[Event]:
        events = [*self._last_words(), Finished()]
        self._is_over = True
        return events

    def _closing(self, code: int | None, reason: str) -> Fault:
        is_clients_audio = self._audio_format == self._options.audio
        if code == CloseCode.POLICY and "DATA-0000" in reason and is_clients_audio:
            # "The payload cannot be decoded as audio", and it went through here untouched.
            return ClientFault(
                f"{TITLE} cannot decode the audio as {self._audio_format}; check `encoding`",
                code="audio_error",
                close_code=CloseCode.UNSUPPORTED_DATA,
                parameter="encoding",
            )
        return decoding.closing(TITLE, code, reason, credential=self._config.credential)


def target(options: Options, capabilities: Capabilities) -> AudioFormat:
    """What is sent: channels are kept where the client wants them told apart."""
    return capabilities.target(options.audio, are_told_apart=options.wants_channels)


def models() -> Models:
    """Deepgram's models and their languages."""
    return load("deepgram")


def raw_parameters(audio: AudioFormat) -> Parameters:
    """Encoding and rate for raw audio; a container says both itself, and declaring them makes garbage."""
    if not audio.is_raw:
        return ()
    encoding = "linear16" if audio.encoding == "pcm_s16le" else "mulaw"
    return (("encoding", encoding), ("sample_rate", str(audio.sample_rate)))


def known_model(model: str) -> Model | None:
    """The model's row in the data file; `nova-3-general` is the long name of `nova-3`."""
    return models().find(model) or models().find(model.removesuffix("-general"))


def spelled_language(model: str, language: str) -> str:
    """The language as Deepgram spells it, `multi` for detection. Models the file does not know take any.

    Raises:
        ClientFault: `unsupported_language`, naming the nearest alternatives.
    """
    row = known_model(model)
    if row is None:
        return "multi" if is_detection(language) else language
    if is_detection(language) and row.multilingual_code_switching:
        return "multi"
    found = spelled(language, row.languages)
    if found is None:
        raise unsupported_language(TITLE, models(), row, language)
    return found


class _Refusal(msgspec.Struct):
    err_code: str = ""
    err_msg: str = ""


_REFUSAL_DECODER: Final = msgspec.json.Decoder(_Refusal)


def _refusal_words(body: bytes, credential: Credential | None) -> str:
    """What Deepgram's refusal says, e.g. `INVALID_AUTH: Invalid credentials.`; empty if it cannot be read."""
    try:
        refusal = _REFUSAL_DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""  # a proxy's HTML page, for example: the HTTP status says enough
    return decoding.words(": ".join(part for part in (refusal.err_code, refusal.err_msg) if part), credential)


def _authorization(credential: Credential | None) -> tuple[tuple[str, str], ...]:
    """`Token` for API keys, `Bearer` for temporary tokens; none for a self-hosted server without keys.

    Raises:
        ClientFault: the key cannot stand in a header.
    """
    is_token = credential is not None and _is_temporary_token(credential.secret)
    return key_header(credential, TITLE, scheme="Bearer" if is_token else "Token")


def _is_temporary_token(secret: str) -> bool:
    """Whether this is a JWT from `/v1/auth/grant`: three parts, an object first. API keys have no dots."""
    return secret.startswith("eyJ") and secret.count(".") == 2
