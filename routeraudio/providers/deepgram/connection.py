"""What Deepgram's two protocols do alike: host, key, refusals, closes, ticks.

`nova` (v1) and `flux` (v2) fill in the parameters, the messages, and what a quiet line needs.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import CloseCode
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers import decoding
from routeraudio.providers.base import AdapterConfig, Capabilities, Credential, Dial, key_header
from routeraudio.providers.base_adapter import Connection
from routeraudio.providers.compatibility import unsupported_language
from routeraudio.providers.models import Model, Models, is_detection, load, spelled

TITLE: Final = "Deepgram"

CLOSE_STREAM: Final = '{"type":"CloseStream"}'
"""End of audio in both protocols. Control messages must be text: binary ones are taken for audio."""

Parameters = Sequence[tuple[str, str]]

Said = TypeVar("Said")


class _Refusal(msgspec.Struct):
    err_code: str = ""
    err_msg: str = ""


class DeepgramConnection(Connection[Said]):
    """What v1 and Flux do alike."""

    title = TITLE
    _refusal = staticmethod(
        decoding.refusal_reader(_Refusal, lambda its: decoding.colon_joined(its.err_code, its.err_msg))
    )
    _path: str

    def __init__(
        self, config: AdapterConfig, capabilities: Capabilities, silence_ms_max: int | None = None
    ) -> None:
        super().__init__(config, target(config.options, capabilities), silence_ms_max=silence_ms_max)
        self._model = config.options.model or models().default_model

    # What the protocols fill in.

    @abstractmethod
    def _parameters(self) -> Parameters:
        """Query parameters, always in the same order."""

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

    def audio(self, chunk: bytes) -> Sequence[Message]:
        return super().audio(chunk) if chunk else ()  # an empty binary message ends a v1 stream

    def _finish(self) -> Sequence[Message]:
        return (CLOSE_STREAM,)

    def _closed(self, code: int | None, reason: str) -> Sequence[Event]:
        if self._is_finishing and code in decoding.CLOSES_CLEAN and not self._has_unsettled:
            return self._end()
        if code == CloseCode.POLICY and "DATA-0000" in reason and self._untouched is not None:
            # "The payload cannot be decoded as audio"
            return self._fail(self._faults.undecodable(self._untouched))
        return super()._closed(code, reason)


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
