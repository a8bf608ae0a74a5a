"""All of the console's routes. A file of pages that is not listed here answers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.console.access import Threads, page_route, stream_route
from server.console.api import accounts as accounts_api
from server.console.api import alert as alert_api
from server.console.api import alert_queue, alert_views, assessment, me, packs
from server.console.api import audit_trail as audit_api
from server.console.api import cases as cases_api
from server.console.api import fleet as fleet_api
from server.console.api import leavers as leavers_api
from server.console.api import people as people_api
from server.console.api import policies as policies_api
from server.console.api import status as status_api
from server.console.api import triage as triage_api
from server.console.api_calls import ApiCall, call_page
from server.console.live_queue import STREAMS as LIVE_QUEUE
from server.console.openapi import openapi_page
from server.console.page import Console, Page, Stream
from server.console.pages import (
    alert,
    alert_exception,
    alert_records,
    audit_trail,
    below,
    case,
    case_packs,
    cases,
    fleet,
    home,
    jump,
    leaver_changes,
    leaver_import,
    leavers,
    people,
    person,
    policies,
    policy,
    policy_dry_runs,
    policy_exceptions,
    policy_versions,
    provider_sign_in,
    queue,
    settings,
    sign_in,
    status,
    tokens,
    transparency,
    triage,
    unmask,
    users,
)
from server.console.security_headers import secured

PAGES: Final[Sequence[Page]] = (
    # A line each.
    *below.PAGES,
    *jump.PAGES,
    *alert.PAGES,
    *alert_exception.PAGES,
    *alert_records.PAGES,
    *audit_trail.PAGES,
    *case.PAGES,
    *case_packs.PAGES,
    *cases.PAGES,
    *fleet.PAGES,
    *home.PAGES,
    *policies.PAGES,
    *policy_exceptions.PAGES,
    *policy_dry_runs.PAGES,
    *policy_versions.PAGES,
    *policy.PAGES,
    *leaver_changes.PAGES,
    *leaver_import.PAGES,
    *leavers.PAGES,
    *people.PAGES,
    *person.PAGES,
    *queue.PAGES,
    *sign_in.PAGES,
    *status.PAGES,
    *provider_sign_in.PAGES,
    *settings.PAGES,
    *tokens.PAGES,
    *transparency.PAGES,
    *triage.PAGES,
    *unmask.PAGES,
    *users.PAGES,
)
STREAMS: Final[Sequence[Stream]] = (*LIVE_QUEUE,)
API: Final[Sequence[ApiCall]] = (
    # A line each.
    *alert_queue.API,
    *alert_views.API,
    *accounts_api.API,
    *alert_api.API,
    *assessment.API,
    *audit_api.API,
    *cases_api.API,
    *leavers_api.API,
    *fleet_api.API,
    *me.API,
    *packs.API,
    *people_api.API,
    *policies_api.API,
    *status_api.API,
    *triage_api.API,
)
_FOREVER: Final = "public, max-age=31536000, immutable"


def all_pages() -> list[Page]:
    """Pages and calls of the API, each with what it needs."""
    return [*PAGES, *map(call_page, API), openapi_page(API)]


def all_routes() -> list[Page | Stream]:
    """All that asks for something; what is static needs nothing."""
    return [*all_pages(), *STREAMS]


def console_routes(console: Console) -> list[BaseRoute]:
    threads = Threads()
    return [
        _static(console),
        *(stream_route(stream, console, threads) for stream in STREAMS),
        *(page_route(page, console, threads) for page in all_pages()),
    ]


def _static(console: Console) -> Route:
    static = console.templates.static

    async def respond(request: Request) -> Response:
        found = static.files.get(request.path_params["name"])
        if found is None:
            return secured(Response("not found", 404, media_type="text/plain"))
        content, media_type = found
        kept = _FOREVER if request.path_params["digest"] == static.digest else "no-cache"
        return secured(Response(content, headers={"cache-control": kept}, media_type=media_type))

    return Route("/static/{digest}/{name:path}", respond, methods=["GET"])
