"""GET /api/v1/audit: the audit trail, as the page shows it."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta
from starlette.datastructures import ImmutableMultiDict

from server.accounts.audit_reading import AuditPage, read_page
from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.console.api_calls import ApiCall
from server.console.page import Ask, Console
from server.console.pages.audit_trail import wanted_of
from server.people.roles import Right

Text = Annotated[str, Meta(max_length=200)]


class AuditQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}
):
    """`from` and `to` are days in UTC, both inclusive; `before`: rows with a smaller number."""

    action: Text = ""
    actor: Text = ""
    object: Text = ""
    text: Text = ""
    since: Text = ""
    until: Text = ""
    before: Annotated[int, Meta(ge=1, le=2**53)] | None = None


def trail(console: Console, ask: Ask, query: AuditQuery, _body: None) -> AuditPage:
    given = {str(key): str(value) for key, value in msgspec.to_builtins(query).items() if value is not None}
    try:
        wanted = wanted_of(ImmutableMultiDict(given), ZoneInfo("UTC"))
    except ValueError:
        raise ApiError(400, "bad_query", "query: days are written as 2026-11-20") from None
    note_view(console, ask, "audit:trail")
    return read_page(console.database, ask.viewer.role, wanted)


API = [
    ApiCall(
        "GET",
        "/api/v1/audit",
        Right.SEE_AUDIT,
        trail,
        AuditPage,
        "The audit trail, the newest first: without names for auditors, without acts for administrators",
        query=AuditQuery,
    )
]
