"""Whose fault an `Error` of AssemblyAI's, or a close with one of its codes, is."""

import re
from typing import Final

from routeraudio.model.errors import ClientFault, CloseCode, Fault
from routeraudio.providers.assemblyai.request import TITLE
from routeraudio.providers.faults import Faults

_ERRORS_RETRYABLE: Final = frozenset({1006, 1011, 1013, 3005, 3008, 3009})
"""Server trouble, the session's three hours, too many sessions. The others (1008, 1009, 3006, 3007, 4xxx) are about
what we sent and would come again; so, INFERRED, would an error without a code."""

_REFUSED: Final = frozenset({1008, 4001})
"""Bad keys, trouble with the account, or too many sessions: only the words tell which."""

_ABOUT_THE_KEY: Final = re.compile(r"authori[sz]|api key|signature|token", re.IGNORECASE)
_ABOUT_THE_NUMBER: Final = re.compile(r"too many|concurren|rate limit", re.IGNORECASE)

_TOO_FAST: Final = (3007, "transmission rate")
"""Code and words for audio that comes too fast; with other words the code is about our chunks."""


def error(faults: Faults, code: int | None, said: str) -> Fault:
    """An `Error`."""
    return _clients(faults, code, said) or faults.reported(said, is_retryable=_may_pass(code, said))


def close(faults: Faults, code: int | None, reason: str) -> Fault:
    """A close before `Termination`."""
    usual = faults.closed(code, reason)
    if usual.is_retryable:
        return usual
    usual.is_retryable = _may_pass(code, reason)
    return _clients(faults, code, reason) or usual


def _clients(faults: Faults, code: int | None, said: str) -> Fault | None:
    """What the client can do something about."""
    is_refused = code in _REFUSED and _ABOUT_THE_KEY.search(said) and not _is_crowded(code, said)
    if is_refused and faults.is_key_clients_own:
        return faults.reported(said, is_about_key=True)
    if code == _TOO_FAST[0] and _TOO_FAST[1] in said.lower():
        return ClientFault(
            f"{TITLE} takes audio no faster than it is spoken: {faults.words(said)}; send it at that pace",
            code="rate_limited",
            close_code=CloseCode.POLICY,
        )
    return None


def _is_crowded(code: int | None, said: str) -> bool:
    return code in _REFUSED and _ABOUT_THE_NUMBER.search(said) is not None


def _may_pass(code: int | None, said: str) -> bool:
    return _is_crowded(code, said) or code in _ERRORS_RETRYABLE
