"""Which collectors run: from the settings of all endpoints, and from what endpoints say themselves.

An endpoint's own file can switch off what the settings leave on, and, where they say nothing, switch on what
is off by default. So where they say nothing, a collector that any endpoint reports as running counts as on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from event_schema.channel_facts import CHANNEL_FACTS
from server.agents.settings import current_settings
from server.store.tables import agents

_RUNS = frozenset({"starting", "running", "restarting"})


class Asked(StrEnum):
    """What the settings of all endpoints say of a collector."""

    ON = "on"
    OFF = "off"
    UNSAID = "unsaid"


class Running(msgspec.Struct, frozen=True):
    """`by_default`: nobody set it. `labels`: whether it labels files."""

    name: str
    is_on: bool
    by_default: bool
    labels: bool


def running_collectors(connection: Connection) -> dict[str, Running]:
    """By channel, in the order of CHANNEL_FACTS."""
    stored = current_settings(connection)
    tables: Mapping[str, Any] = {} if stored is None else tomllib.loads(stored.settings)
    asked = tables.get("collectors", {})
    labels = tables.get("labels", {}).get("enabled") is not False
    unsaid = [name for name in CHANNEL_FACTS if _asked(asked.get(name)) is Asked.UNSAID]
    reported = _reported(connection) if any(not CHANNEL_FACTS[name].on_by_default for name in unsaid) else ()
    found: dict[str, Running] = {}
    for name, facts in CHANNEL_FACTS.items():
        said = _asked(asked.get(name))
        by_default = facts.on_by_default or name in reported
        is_on = said is Asked.ON or (said is Asked.UNSAID and by_default)
        labelled = facts.labels
        if labelled is not None and isinstance(told := asked.get(name, {}).get("labels"), bool):
            labelled = told
        found[name] = Running(name, is_on, said is Asked.UNSAID, labels and bool(labelled))
    return found


def _asked(table: Mapping[str, Any] | None) -> Asked:
    match (table or {}).get("enabled"):
        case True:
            return Asked.ON
        case False:
            return Asked.OFF
        case _:
            return Asked.UNSAID


def _reported(connection: Connection) -> frozenset[str]:
    """Names of collectors that any agent that is not revoked said to run, in its last heartbeat."""
    found: set[str] = set()
    query = select(agents.c.heartbeat).where(agents.c.heartbeat.is_not(None), agents.c.revoked_at.is_(None))
    for beat in connection.execute(query).scalars():
        for collector in (beat or {}).get("collectors") or ():
            if collector.get("state") in _RUNS:
                found.add(collector.get("name", ""))
    return frozenset(found)
