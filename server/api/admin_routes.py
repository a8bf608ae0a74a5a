"""What administrators call: status of the installation, alerts as analysts see them (pseudonyms only)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from server.alerts.below import BELOW_DAYS_MAX, BELOW_MAX
from server.alerts.below_views import below_views
from server.alerts.parts import MergedAway
from server.alerts.queries import (
    LIST_MAX,
    REASON_CHARACTERS,
    AlreadyClosed,
    StatusFilter,
    UnknownAlert,
    Verdict,
    close_alert,
)
from server.alerts.views import alert_detail, alert_views
from server.api.access import Access, Call, Endpoint
from server.api.errors import ApiError, json_response
from server.api.service import ApiService
from server.json_times import with_datetimes

ACTOR = "admin token"
_CLOSE_BODY = 16 * 1024


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: StatusFilter = "open"
    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = 100


class BelowQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: Annotated[int, Meta(ge=1, le=BELOW_DAYS_MAX)] = 7
    limit: Annotated[int, Meta(ge=1, le=BELOW_MAX)] = 50


class CloseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    verdict: Verdict
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_CHARACTERS)]


_close_decoder = msgspec.json.Decoder(CloseRequest)


def status(service: ApiService, _call: Call) -> Response:
    """GET /v1/status: the same as `leaver status --json`."""
    return json_response(with_datetimes(service.status()))


def list_of_alerts(service: ApiService, call: Call) -> Response:
    """GET /v1/alerts?status=open|closed|all|held&limit=N: highest score first."""
    try:
        query = msgspec.convert(call.query, ListQuery, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, "bad_query", f"query: {error}") from None
    return json_response(with_datetimes(alert_views(service.database, query.status, query.limit)))


def below(service: ApiService, call: Call) -> Response:
    """GET /v1/alerts/below?days=N&limit=N: what was found and not alerted, highest score first."""
    try:
        query = msgspec.convert(call.query, BelowQuery, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, "bad_query", f"query: {error}") from None
    found = below_views(service.database, now=service.clock(), days=query.days, limit=query.limit)
    return json_response(with_datetimes(found))


def one_alert(service: ApiService, call: Call) -> Response:
    """GET /v1/alerts/{id}: shares, evidence, and whether the evidence's signatures hold."""
    try:
        return json_response(with_datetimes(alert_detail(service.database, call.path_values["id"])))
    except UnknownAlert as error:
        raise ApiError(404, "unknown_alert", str(error)) from None


def close(service: ApiService, call: Call) -> Response:
    """POST /v1/alerts/{id}/close with {"verdict": …, "reason": …}."""
    try:
        request = _close_decoder.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_content", f"no verdict: {error}") from None
    alert_id = call.path_values["id"]
    try:
        with service.database.begin() as connection:
            close_alert(
                connection,
                alert_id,
                request.verdict,
                request.reason,
                ACTOR,
                service.clock(),
                activity_days=service.config.retention.activity_days,
            )
    except UnknownAlert as error:
        raise ApiError(404, "unknown_alert", str(error)) from None
    except AlreadyClosed as error:
        raise ApiError(409, "already_closed", str(error)) from None
    except MergedAway as error:
        raise ApiError(409, "merged", str(error)) from None
    except ValueError as error:
        raise ApiError(400, "bad_content", str(error)) from None
    return json_response({"id": alert_id, "status": "closed", "verdict": request.verdict})


ADMIN_ENDPOINTS = [
    Endpoint("GET", "/v1/status", Access.ADMIN, status),
    Endpoint("GET", "/v1/alerts", Access.ADMIN, list_of_alerts),
    Endpoint("GET", "/v1/alerts/below", Access.ADMIN, below),
    Endpoint("GET", "/v1/alerts/{id:int}", Access.ADMIN, one_alert),
    Endpoint("POST", "/v1/alerts/{id:int}/close", Access.ADMIN, close, "application/json", _CLOSE_BODY),
]
