"""What the API answers when it refuses: a status, a short word for programs, a sentence for people."""

from __future__ import annotations

import msgspec
from starlette.responses import Response


class ApiError(Exception):
    """A refusal. `reason` is a short word that programs may rely on."""

    def __init__(self, status: int, reason: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


def not_authenticated() -> ApiError:
    """One answer for unknown agent, unknown key and wrong signature: it tells a guesser nothing."""
    return ApiError(401, "unauthorised", "the request is not signed by a key of an enrolled agent")


def json_response(content: object, status: int = 200) -> Response:
    """Times in it as they are; what people's programs read goes through with_datetimes before."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def refusal_response(error: ApiError) -> Response:
    """The refusal in our own format; routes of a protocol have that protocol's."""
    response = json_response({"error": error.message, "reason": error.reason}, error.status)
    if error.status == 401:
        response.headers["www-authenticate"] = "leaver"
    return with_retry_after(response, error)


def with_retry_after(response: Response, error: ApiError) -> Response:
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    return response


def closing(response: Response) -> Response:
    """Ends the connection: a part of the request's body was not read."""
    response.headers["connection"] = "close"
    return response
