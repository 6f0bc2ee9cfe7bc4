"""The product's answers: an envelope that says the same as `message` and `msg`, because its pages use either."""

import math
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

from quart import Response

from routeraudio.api import helpers
from routeraudio.model.errors import BudgetUsedUp, ClientFault, CloseCode, Fault, Overloaded, Unavailable
from routeraudio.pull.record import Status

P = ParamSpec("P")


def answering(handler: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """Turn what goes wrong in ``handler`` into the product's envelope."""

    @wraps(handler)
    async def answered(*arguments: P.args, **named: P.kwargs) -> Response:
        try:
            return await handler(*arguments, **named)
        except helpers.BadBody as bad:
            return reply(400, str(bad), None)
        except Fault as fault:
            return _refusal(fault)
        except Exception as error:  # noqa: BLE001 - one call never ends another one
            return reply(500, helpers.broken(error), None)

    return answered


def _refusal(fault: Fault) -> Response:
    if isinstance(fault, BudgetUsedUp):
        return reply(402, fault.message, None, status=Status.BALANCE)
    if isinstance(fault, Overloaded):
        is_full = not (isinstance(fault, Unavailable) or fault.close_code is CloseCode.RESTART)
        answer = (
            reply(429, "Capacity reached", None, status=Status.CAPACITY)
            if is_full
            else reply(503, fault.message, None)
        )
        answer.headers["retry-after"] = str(math.ceil(fault.retry_after_s or helpers.RETRY_S))
        return answer
    if not isinstance(fault, ClientFault):
        return reply(502, fault.message, None)
    code = {"unauthorized": 401, "forbidden": 403}.get(fault.code, 400)
    return reply(code, fault.message, None)


def reply(code: int, message: str, data: object, status: Status | None = None) -> Response:
    body = {"code": code, "message": message, "msg": message, "data": data}
    if status is not None:
        body["status"] = int(status)
    return helpers.reply(body, code)
