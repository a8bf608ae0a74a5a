"""The fleet for programs: GET /api/v1/agents, and one agent by its name."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.agents.fleet import FleetAgent, Standing
from server.api.errors import ApiError
from server.console.api_calls import ApiCall, Nothing
from server.console.fleet_reading import Fleet, FleetFilter, fleet_page
from server.console.page import Ask, Console
from server.people.roles import Right

Words = Annotated[str, Meta(max_length=256)]


class FleetQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the page's filters. `after`: the `next_after` of the page before."""

    standing: Standing | None = None
    version: Words = ""
    department: Words = ""
    text: Words = ""
    gap: bool = False
    backlog: bool = False
    sensor: bool = False
    leavers: bool = False
    after: Words = ""


class AgentsAnswer(msgspec.Struct, frozen=True):
    """A hundred at a time, the worst first. `count`: all that fit."""

    agents: tuple[FleetAgent, ...]
    count: int
    next_after: str | None


def agents(console: Console, ask: Ask, query: FleetQuery, _body: None) -> AgentsAnswer:
    wanted = FleetFilter(
        standing=query.standing or "",
        version=query.version,
        department=query.department,
        text=query.text,
        gap=query.gap,
        backlog=query.backlog,
        sensor=query.sensor,
        leavers=query.leavers,
    )
    found = fleet_page(console.made(Fleet).agents(), wanted, query.after)
    return AgentsAnswer(found.agents, found.count, found.next_after)


def one_agent(console: Console, ask: Ask, _query: Nothing, _body: None) -> FleetAgent:
    found = console.made(Fleet).agents()
    wanted = next((agent for agent in found if agent.name == ask.path["agent"]), None)
    if wanted is None:
        raise ApiError(404, "not_found", "there is no such agent")
    return wanted


API = [
    ApiCall(
        "GET", "/api/v1/agents", Right.SEE_FLEET, agents, AgentsAnswer, "Agents, the worst first", FleetQuery
    ),
    ApiCall("GET", "/api/v1/agents/{agent}", Right.SEE_FLEET, one_agent, FleetAgent, "One agent by its name"),
]
