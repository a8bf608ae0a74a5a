"""The fleet: agents reporting, late, silent, never; one agent with its days, collectors and what is odd."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from server.addresses import address_doubt, public_address
from server.agents.fleet import FleetAgent, Standing, days_watched
from server.agents.registry import TOKEN_LIFE, RegistryError, create_token, revoke
from server.agents.settings import current_settings
from server.api.errors import ApiError
from server.console import times_shown
from server.console.charts.stacked_bar import BarPart, stacked_bar
from server.console.charts.strip import StripCell, strip
from server.console.fleet_reading import Fleet, FleetFilter, behind, counts, fleet_page, versions
from server.console.ingest_watch import IngestWatch
from server.console.page import Ask, Console, Page
from server.console.said_words import said
from server.people.roles import Right
from server.store.column_types import is_storable

REASON_CHARACTERS: Final = 1000
SKEW_MS: Final = 60_000
"""A clock that is off by more is shown as odd."""
ENDING_MS: Final = 14 * 86_400_000
_FIGURES: Final = (
    Standing.REPORTING,
    Standing.LATE,
    Standing.SILENT,
    Standing.NEVER,
    Standing.STOPPED,
    Standing.REVOKED,
)
_FLAGS: Final = ("gap", "backlog", "sensor", "leavers")
_TEXTS: Final = ("standing", "version", "department", "text")


def fleet(console: Console, ask: Ask) -> Response:
    """GET /fleet?standing=&version=&department=&text=&gap=1&backlog=1&sensor=1&leavers=1&after="""
    agents = console.made(Fleet).agents()
    wanted = _filter(ask)
    shown = fleet_page(agents, wanted, ask.query.get("after", ""))
    known = versions(agents)
    return ask.page(
        "fleet/fleet.html",
        counts=counts(agents),
        standings=Standing,
        figures=_FIGURES,
        known=known,
        bar=stacked_bar(
            [BarPart(name, n, href=f"/fleet?{urlencode({'version': name})}") for name, n in known.items()],
            ask.text("Agents by version"),
            ask.text,
        ),
        departments=sorted({agent.department for agent in agents if agent.department}),
        wanted=wanted,
        found=shown,
        behind={agent.name: behind(agent.version, known) for agent in shown.agents},
        next_page=_next(wanted, shown.next_after),
        ingest=console.made(IngestWatch).now(),
        skew_ms=SKEW_MS,
        ending_at=ask.now + ENDING_MS,
        whole=len(agents),
    )


def agent(console: Console, ask: Ask) -> Response:
    """GET /fleet/{agent}"""
    found = _known(console, ask)
    with console.database.read() as connection:
        days = days_watched(connection, found.name, now=ask.now)
        settings = current_settings(connection)
    return ask.page(
        "fleet/agent.html",
        agent=found,
        strip=strip([_cell(ask, day, names) for day, names in days.items()], ask.text("Days watched")),
        settings_now=None if settings is None else settings.version,
        behind=behind(found.version, versions(console.made(Fleet).agents())),
        skew_ms=SKEW_MS,
        days=[_date(day, ask) for day in found.gaps],
        ingest=console.made(IngestWatch).now(),
    )


def enrol(console: Console, ask: Ask) -> Response:
    """POST /fleet/enrol: the line for an endpoint, shown once."""
    name = ask.form.get("name", "").strip().lower()
    try:
        with console.database.begin() as connection:
            token = create_token(connection, name, now=ask.now, actor=ask.viewer.actor)
    except RegistryError as error:
        return ask.fragment_of("fleet/enrolled.html", status=422, problem=said(ask, str(error)), line=None)
    console.made(Fleet).forget()
    host, _, port = ask.headers.get("host", "").rpartition(":")
    address = public_address(console.config, int(port) if host and port.isdigit() else 443)
    return ask.fragment_of(
        "fleet/enrolled.html",
        problem=None,
        name=name,
        line=f"leaver-enrol-1 {address} sha256:{console.service.authority.fingerprint} {token}",
        until=ask.now + TOKEN_LIFE,
        doubt=address_doubt(console.config, address),
    )


def revoke_agent(console: Console, ask: Ask) -> Response:
    """POST /fleet/{agent}/revoke: refused for good, with a reason on the record."""
    found = _known(console, ask)
    reason = ask.form.get("reason", "").strip()
    if not 1 <= len(reason) <= REASON_CHARACTERS or not is_storable(reason):
        raise ApiError(
            422, "bad_reason", ask.text("A reason of 1 to {n} characters is needed.", n=REASON_CHARACTERS)
        )
    try:
        with console.database.begin() as connection:
            revoke(connection, found.name, reason=reason, now=ask.now, actor=ask.viewer.actor)
    except RegistryError as error:
        raise ApiError(409, "not_revoked", str(error)) from None
    console.made(Fleet).forget()
    return ask.redirect(f"/fleet/{found.name}")


def _known(console: Console, ask: Ask) -> FleetAgent:
    wanted = ask.path["agent"]
    found = next((each for each in console.made(Fleet).agents() if each.name == wanted), None)
    if found is None:
        raise ApiError(404, "not_found", "there is no such agent")
    return found


def _filter(ask: Ask) -> FleetFilter:
    texts: dict[str, Any] = {name: ask.query.get(name, "")[:256] for name in _TEXTS}
    flags: dict[str, Any] = {name: ask.query.get(name) == "1" for name in _FLAGS}
    return FleetFilter(**texts, **flags)


def _next(wanted: FleetFilter, after: str | None) -> str | None:
    if after is None:
        return None
    values = {name: "1" if value is True else value for name, value in msgspec.structs.asdict(wanted).items()}
    return "/fleet?" + urlencode({name: value for name, value in {**values, "after": after}.items() if value})


def _cell(ask: Ask, day: int, collectors: tuple[str, ...]) -> StripCell:
    said = ", ".join(collectors) if collectors else ask.text("nothing watched")
    return StripCell("good" if collectors else "gap", f"{_date(day, ask)}: {said}")


def _date(day: int, ask: Ask) -> str:
    return times_shown.day(datetime.fromtimestamp(day * 86_400, UTC).date(), ask.look.language)


PAGES = [
    Page("GET", "/fleet", Right.SEE_FLEET, fleet),
    Page("POST", "/fleet/enrol", Right.SEE_FLEET, enrol),
    Page("GET", "/fleet/{agent}", Right.SEE_FLEET, agent),
    Page("POST", "/fleet/{agent}/revoke", Right.SEE_FLEET, revoke_agent),
]
