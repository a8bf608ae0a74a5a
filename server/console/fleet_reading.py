"""The fleet as pages show it: read once in a few seconds for all who look, filtered, a page at a time."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from server.agents.fleet import FleetAgent, Standing, place, read_fleet
from server.console.kept_reading import KeptReading
from server.console.known_people import KnownPeople, known_version
from server.console.page import Console
from server.store.database import BUSY_TIMEOUT_SECONDS, StoreUnavailable

KEPT_MS: Final = 5_000
OLD_MS: Final = 60_000
PAGE_ROWS: Final = 100
_PLACE: Final = re.compile(r"(\d)\.(\d)\.(-?\d{1,6})\.(.{1,64})")


class FleetFilter(msgspec.Struct, frozen=True):
    """What of the fleet is shown; empty: everything. `text`: in the host's or the person's id."""

    standing: str = ""
    version: str = ""
    department: str = ""
    text: str = ""
    gap: bool = False
    backlog: bool = False
    sensor: bool = False
    """A collector does not run."""
    leavers: bool = False

    @property
    def is_empty(self) -> bool:
        return self == FleetFilter()


class FleetPage(msgspec.Struct, frozen=True):
    """`next_after`: behind whom the next page begins, as `fleet_page` takes it."""

    agents: tuple[FleetAgent, ...]
    count: int
    next_after: str | None


class Fleet:
    """What thousands of heartbeats say is not read for every page: an answer is OLD_MS old at most, and
    while somebody looks it is read anew every KEPT_MS. `console.made(Fleet)`."""

    def __init__(self, console: Console) -> None:
        # Whoever comes first waits for it.
        self._reading = KeptReading(
            lambda: _read(console),
            console.service.clock,
            kept_ms=KEPT_MS,
            old_ms=OLD_MS,
            wait_seconds=BUSY_TIMEOUT_SECONDS,
            version=partial(known_version, console),
        )

    def agents(self) -> tuple[FleetAgent, ...]:
        """The worst first. Raises StoreUnavailable."""
        found = self._reading.now()
        if found is None:
            raise StoreUnavailable("the fleet cannot be read now")
        return found

    def forget(self) -> None:
        """Something was changed: what is shown next is read anew."""
        self._reading.forget()


def _read(console: Console) -> tuple[FleetAgent, ...]:
    with console.database.read() as connection:
        directory = console.made(KnownPeople).directory(connection)
        return read_fleet(connection, directory, now=console.service.clock())


def counts(agents: Sequence[FleetAgent]) -> dict[Standing, int]:
    found = dict.fromkeys(Standing, 0)
    for agent in agents:
        found[agent.standing] += 1
    return found


def versions(agents: Sequence[FleetAgent]) -> dict[str, int]:
    """By version, the newest first; of agents that ever spoke."""
    found: dict[str, int] = {}
    for agent in agents:
        if agent.version is not None and agent.standing is not Standing.REVOKED:
            found[agent.version] = found.get(agent.version, 0) + 1
    return dict(sorted(found.items(), key=lambda each: _number(each[0]), reverse=True))


def behind(version: str | None, known: Mapping[str, int]) -> int:
    """How many versions of the fleet are newer; 0 for what is no version."""
    names = list(known)
    return names.index(version) if version in names else 0


def fleet_page(agents: Sequence[FleetAgent], wanted: FleetFilter, after: str = "") -> FleetPage:
    """Those that fit, behind the place `after` in the order of the fleet: also where whoever stood there has
    moved or gone since. What is no place is the beginning."""
    fits = _test(wanted)
    found = [agent for agent in agents if fits(agent)]
    behind_it = _read_place(after)
    begin = 0 if behind_it is None else bisect_right(found, behind_it, key=place)
    shown = found[begin : begin + PAGE_ROWS]
    more = begin + PAGE_ROWS < len(found)
    return FleetPage(tuple(shown), len(found), _written(place(shown[-1])) if more else None)


def _written(at: tuple[int, int, int, str]) -> str:
    return ".".join(map(str, at))


def _read_place(after: str) -> tuple[int, int, int, str] | None:
    found = _PLACE.fullmatch(after)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]), found[4])


def _test(wanted: FleetFilter) -> Callable[[FleetAgent], bool]:
    text = wanted.text.strip().casefold()

    def fits(agent: FleetAgent) -> bool:
        return (
            wanted.standing in ("", agent.standing)
            and wanted.version in ("", agent.version)
            and wanted.department in ("", agent.department)
            and (not wanted.gap or bool(agent.gaps))
            and (not wanted.backlog or bool(agent.backlog_events))
            and (not wanted.sensor or bool(agent.not_running))
            and (not wanted.leavers or agent.is_leavers)
            and (not text or text in agent.name.casefold() or text in (agent.person or "").casefold())
        )

    return fits


def _number(version: str) -> tuple[int, ...]:
    parts = version.replace("rc", ".").replace("a", ".").replace("b", ".").split(".")
    return tuple(int(part) if part.isdigit() else 0 for part in parts)
