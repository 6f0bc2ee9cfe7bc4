"""OpenAI's answers: an error object for whatever goes wrong."""

import math
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Final, ParamSpec
from uuid import uuid4

import msgspec
import structlog
from quart import Response
from werkzeug.exceptions import HTTPException

from routeraudio.api import helpers
from routeraudio.config.source import ValueFault
from routeraudio.dialects.base import BadRequest
from routeraudio.dialects.openai import messages
from routeraudio.gateway import closes
from routeraudio.model.errors import Fault, InternalFault, Overloaded, Unavailable, invalid_parameter
from routeraudio.model.exceptions import bug_fields, first
from routeraudio.store.contract import StoreUnavailable

P = ParamSpec("P")

log = structlog.get_logger(__name__)

PLACES: Final = ("", "/as/openai", "/as/openai/<provider>", "/as/openai/<provider>/<model>")
"""Before the vendor's own paths: what base addresses clients may be given."""

RETRY_S: Final = 5.0
"""Where nothing better is known."""


def answering(handler: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """Turn what goes wrong in ``handler`` into a status and the vendor's error object."""

    @wraps(handler)
    async def answered(*arguments: P.args, **named: P.kwargs) -> Response:
        try:
            return await handler(*arguments, **named)
        except BadRequest as bad:
            return _answer(messages.bad_request(bad.faults), 400)
        except HTTPException as refused:
            sentence = refused.description or refused.name
            return _error(
                messages.error(sentence, "invalid_request_error", "invalid_value"), refused.code or 400
            )
        except Exception as error:  # noqa: BLE001 - one call never ends another one
            return refusal(fault_of(error))

    return answered


def refusal(fault: Fault) -> Response:
    """A fault as an answer."""
    answer = _error(
        messages.details(fault), 500 if isinstance(fault, InternalFault) else closes.status(fault)
    )
    if isinstance(fault, Overloaded):
        answer.headers["retry-after"] = str(math.ceil(fault.retry_after_s or RETRY_S))
    return answer


def fault_of(error: Exception) -> Fault:
    """What to tell of an exception; a bug is logged, and told by an id."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, ExceptionGroup) and (matching := error.subgroup(Fault)) is not None:
        return first(matching)
    if isinstance(error, ValueFault):
        return invalid_parameter(error.path, str(error))
    if isinstance(error, helpers.BadBody):
        return invalid_parameter("body", str(error))
    if isinstance(error, StoreUnavailable):
        return Unavailable("the store does not answer; try again later")
    request_id = uuid4().hex
    log.error("request_bug", **bug_fields(error, request_id))
    return InternalFault(request_id)


def _error(details: Mapping[str, object], status: int) -> Response:
    return _answer(msgspec.json.encode({"error": details}), status)


def _answer(body: bytes, status: int) -> Response:
    return Response(body, status, content_type=helpers.JSON)
