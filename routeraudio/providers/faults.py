"""Whose fault it is when a vendor says no, in one sentence: what adapters tell alike.

A credential that the client brought is the client's to fix; a stored one is the operator's, and to the client the
upstream's fault. Vendors' words are cut, made printable and cleared of the key (`decoding.words`).
"""

from typing import Final

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, ErrorCode, Fault, UpstreamFault, unauthorized
from routeraudio.providers import decoding
from routeraudio.providers.base import Credential

_CLOSES_RETRYABLE: Final = frozenset({1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014})
"""Close codes after which the same request may succeed: early ends, restarts, overload (RFC 6455 7.4, IANA).
The others (1002, 1003, 1007–1010, vendors' 3xxx and 4xxx) are about what we sent and would come again."""


class Faults:
    """One connection's faults.

    Args:
        title: the vendor's name.
        credential: what the connection was opened with.
    """

    def __init__(self, title: str, credential: Credential | None) -> None:
        self._title = title
        self._credential = credential

    @property
    def is_key_clients_own(self) -> bool:
        """Whether the client can do something about a refused key."""
        return self._credential is not None and self._credential.is_clients_own

    def words(self, text: str) -> str:
        """A vendor's words as a client may see them."""
        return decoding.words(text, self._credential)

    def refused(self, status: int, said: str = "") -> Fault:
        """An HTTP answer other than 101: 401 and 403 are about the key."""
        words = self.words(said)
        said = f": {words}" if words else ""
        if status in (401, 403) and self.is_key_clients_own:
            return unauthorized(
                f"{self._title} refused the API key you sent (HTTP {status}){said}; check the key"
            )
        return UpstreamFault(
            f"{self._title} refused the connection (HTTP {status}){said}",
            code="rate_limited" if status == 429 else "provider_error",
            is_retryable=status == 429 or status >= 500,
            status=status,
        )

    def reported(
        self,
        said: str,
        *,
        is_about_key: bool = False,
        is_retryable: bool = False,
        code: ErrorCode = "provider_error",
    ) -> Fault:
        """An error message.

        Args:
            is_about_key: the vendor refuses the credential.
        """
        words = self.words(said) or "no reason given"
        if is_about_key and self.is_key_clients_own:
            return unauthorized(
                f"{self._title} refused the API key you sent: {words.rstrip('.')}; check the key"
            )
        return UpstreamFault(
            f"{self._title} reported an error: {words}",
            code=code,
            is_retryable=is_retryable,
            status=401 if is_about_key else None,
        )

    def closed(self, code: int | None, reason: str) -> UpstreamFault:
        """A close before the vendor's work was done. ``code`` None: without a close frame."""
        if code is None:
            return UpstreamFault(
                f"the connection to {self._title} was lost without a close frame", is_retryable=True
            )
        words = self.words(reason)
        said = f"(close code {code}: {words})" if words else f"(close code {code})"
        return UpstreamFault(
            f"{self._title} closed the connection before all audio was transcribed {said}",
            is_retryable=code in _CLOSES_RETRYABLE,
        )

    def ended_early(self) -> UpstreamFault:
        """The vendor's last message, which nobody had asked for."""
        return UpstreamFault(f"{self._title} ended before it was asked to", is_retryable=True)

    def undecodable(self, audio: AudioFormat) -> ClientFault:
        """Audio that went through here as the client sent it, and that the vendor cannot decode."""
        return ClientFault(
            f"{self._title} cannot decode the audio as {audio}; check `encoding`",
            code="audio_error",
            close_code=CloseCode.UNSUPPORTED_DATA,
            parameter="encoding",
        )
