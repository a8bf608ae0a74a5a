"""A small back office, as a company might run it: manual orders, enquiries, exports.

It writes one JSON line an act, with the account that it has checked itself. Run by uvicorn:

    BACK_OFFICE_LOG=/tmp/acts.log uvicorn tests.back_office.application:application
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_LOG = Path(os.environ.get("BACK_OFFICE_LOG", os.devnull))
_PASSWORDS = {"kefu": "shared", "old.team": "qq", "lin": "lin"}


def _note(request: Request, event: str, user: str | None, **more: Any) -> None:
    """Months pass in a test: `x-test-time` says when it is, in ms since 1970."""
    at = request.headers.get("x-test-time")
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(int(at) / 1000, UTC)
    line = {
        "time": moment.isoformat(timespec="milliseconds"),
        "event": event,
        "user": user,
        "client": {"address": request.client.host if request.client else None},
        "forwarded_for": request.headers.get("x-forwarded-for", ""),
        "device": request.headers.get("x-device-id", ""),
        "method": request.method,
        "uri": str(request.url),
        **more,
    }
    with _LOG.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


def _user(request: Request) -> str | None:
    user = request.headers.get("x-user", "")
    return user if _PASSWORDS.get(user) == request.headers.get("x-password") else None


async def _create_order(request: Request) -> Response:
    user = _user(request)
    if user is None:
        _note(request, "order.create", None, status=403)
        return JSONResponse({}, 403)
    order = (await request.json())["order"]
    _note(request, "order.create", user, status=201, order={"no": order, "kind": "manual"})
    return JSONResponse({"order": order}, 201)


async def _enquiry(request: Request) -> Response:
    user = _user(request)
    _note(request, "enquiry.open", user, status=200 if user else 403)
    return JSONResponse({}, 200 if user else 403)


async def _export(request: Request) -> Response:
    user = _user(request)
    rows = int(request.query_params.get("rows", "0"))
    _note(request, "customers.export", user, status=200 if user else 403, rows=rows)
    return JSONResponse({}, 200 if user else 403)


async def _page(request: Request) -> Response:
    return JSONResponse({"page": request.path_params["name"]})


application = Starlette(
    routes=[
        Route("/orders/manual", _create_order, methods=["POST"]),
        Route("/enquiries/{number}", _enquiry),
        Route("/customers/export", _export),
        Route("/pages/{name:path}", _page),
    ]
)
