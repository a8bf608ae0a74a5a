"""How long the server takes for each page of the console, of each role, in a large company.

python -m benchmarks.console_screens [--alerts N] [--people N] [--events N] [--turns N] [--only WORD]
                                     [--database KIND …] [--json FILE]

All GET routes that answer with a page or a part of one are asked over HTTPS on loopback, once to warm up
(`first`: that reads what is kept for later) and then TURNS times: milliseconds by the clock, and of CPU, of
the server's threads without the client's and of the database's processes. On a machine that others use, the
clock tells how busy it is, and CPU what the page costs (more than on a quiet one, for caches are shared too).
How busy the machine was is told at the end. Nothing here is a test.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click
import httpx
import msgspec
from sqlalchemy import select

from benchmarks.console_company import BUSY, Filled, fill
from benchmarks.page_times import asking, filled_site, times_of
from server.console.app import PAGES
from server.console.page import Open
from server.people.roles import Role, may
from server.store.tables import pseudonyms
from tests.postgres_server.server import PostgresServer
from tests.server.console.site import Site

_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_MORE: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.ANALYST: (
        "/alerts?sort=last",
        "/alerts?status=all",
        "/alerts?status=closed",
        "/alerts?leavers=1",
        "/alerts?channel=mail",
        "/alerts?severity=critical&owner=none",
        "/alerts?since=2026-11-15",
        "/alerts?text=removable",
        "/alerts?text=zzzz",
        "/alerts?text=P-7+printed",
        "/alerts?agent=H-7",
        "/alerts?channel=mail&leavers=1&sort=last&text=999",
        "/alerts/{leak}",
        "/alerts/{leak}/evidence",
        "/people?sort=last_day",
        "/people?text=sales",
        "/people?alerted=1",
        "/people/{pseudonym}?months=6",
        "/cases?text=looked",
        "/jump?q=P-7",
        "/api/v1/alerts",
        "/api/v1/people",
    ),
    Role.HR: ("/leavers?text=quill",),
    Role.ADMINISTRATOR: (
        "/fleet?standing=silent",
        "/fleet?text=laptop-00",
        "/audit?action=erasure",
        "/audit?text=zzzz",
        "/audit?object=alert:77",
    ),
    Role.AUDITOR: ("/audit?action=alert.", "/audit?text=zzzz"),
}
_NO_PAGES: Final = ("/sign-in/provider", "/sign-in/return", "/first", "/invited", "/api/")


class Line(msgspec.Struct, frozen=True):
    """Milliseconds. `cpu`: of the server and of its database together."""

    database: str
    role: str
    page: str
    first: float
    median: float
    slowest: float
    cpu: float
    database_cpu: float
    bytes: int


@click.command()
@click.option("--alerts", "count", default=50_000, show_default=True)
@click.option("--people", default=10_000, show_default=True)
@click.option("--events", default=5_000, show_default=True)
@click.option("--turns", default=15, show_default=True)
@click.option("--only", default="", help="Pages whose address has this in it.")
@click.option("--database", "kinds", multiple=True, default=("sqlite", "postgresql"), show_default=True)
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path))
def main(
    count: int, people: int, events: int, turns: int, only: str, kinds: tuple[str, ...], file: Path | None
) -> None:
    """Prints a line a page."""
    lines: list[Line] = []
    click.echo(f"{count:,} alerts, {people:,} people and agents, {events:,} events of one alert")
    click.echo(" " * 65 + "".join(f"{each:>8}" for each in ("first", "median", "slowest", "CPU", "its DB")))
    for kind in kinds:
        made = partial(fill, count=count, people=people, events=events)
        with filled_site(made, postgresql=kind == "postgresql", vacuumed=True) as (site, filled, server):
            for line in _all(site, filled, server, kind, turns, only):
                figures = (line.first, line.median, line.slowest, line.cpu, line.database_cpu)
                told = "".join(f"{each:>8.0f}" for each in figures)
                click.echo(f"{kind[:6]:<7}{line.role[:5]:<6}{line.page:<52}{told}")
                lines.append(line)
    over = [line for line in lines if line.cpu > 100]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    click.echo(f"{len(lines)} pages; over 100 ms of CPU: {len(over)}; load {load} on {os.cpu_count()} cores")
    if file is not None:
        file.write_text(json.dumps(msgspec.to_builtins(lines), indent=1), encoding="utf-8")


def _all(
    site: Site, filled: Filled, server: PostgresServer | None, kind: str, turns: int, only: str
) -> Iterator[Line]:
    for role in Role:
        client = site.client(role)
        client.timeout = httpx.Timeout(120)
        for page in _addresses(role):
            address = _filled(site, filled, role, page)
            if address is not None and only in page:
                yield _measured(
                    client, server, turns, Line(kind, role.value, page, 0, 0, 0, 0, 0, 0), address
                )


def _addresses(role: Role) -> list[str]:
    """Of all routes, and some with filters."""
    found = []
    for page in PAGES:
        needs = page.needs
        allowed = isinstance(needs, Open) or may(role, needs)
        if page.method == "GET" and allowed and not page.path.startswith(_NO_PAGES):
            found.append(page.path)
    return [*found, *_MORE.get(role, ())]


def _filled(site: Site, filled: Filled, role: Role, path: str) -> str | None:
    """None: it needs what nobody made (a draft, a dry run)."""
    with site.database.read() as connection:
        shown = connection.execute(
            select(pseudonyms.c.pseudonym).where(pseudonyms.c.subject == BUSY)
        ).scalar_one()
    known = {
        "id": str(filled.case if path.startswith("/cases") else 7),
        "leak": str(filled.leak),
        "pseudonym": shown,
        "person": shown if role is Role.ANALYST else BUSY.removeprefix("person:"),
        "rule": filled.rule,
        "agent": filled.agent,
    }
    if any(name not in known for name in _PARAMETER.findall(path)) or "/imports/" in path:
        return None
    return _PARAMETER.sub(lambda part: known[part[1]], path)


def _measured(
    client: httpx.Client, server: PostgresServer | None, turns: int, line: Line, address: str
) -> Line:
    if address == "/alerts/changes":
        rows = re.findall(r'data-id="(\d+)" data-stamp="(\w+)"', client.get("/alerts").text)
        address += "?rows=" + ",".join(f"{alert}.{stamp}" for alert, stamp in rows)
    at_first = 0.0

    def note_first(turn: int) -> None:
        nonlocal at_first
        if turn == 1:
            at_first = _database_cpu(server)

    ask = asking(client, address, part=address.endswith("/evidence"), answers=(200, 303))
    took = times_of(ask, turns + 1, cpu_seconds=_server_cpu, before=note_first)
    of_database = (_database_cpu(server) - at_first) * 1000 / turns
    return msgspec.structs.replace(
        line,
        first=took.first,
        median=took.median,
        slowest=took.slowest,
        cpu=took.median_cpu + of_database,
        database_cpu=of_database,
        bytes=took.bytes,
    )


def _server_cpu() -> float:
    """Seconds of all threads but this one, which is the client."""
    return time.process_time() - time.thread_time()


def _database_cpu(server: PostgresServer | None) -> float:
    """Seconds. SQLite is in the server's own threads."""
    return 0.0 if server is None else server.cpu_seconds()


if __name__ == "__main__":
    main()
