"""The console's list of leavers in a large company, as HR, security and IT see it.

python -m benchmarks.console_leavers [--people N] [--leavers N] [--postgresql] [--json]

Asked over HTTPS on loopback: milliseconds of the server and the client together, by the clock and of CPU, the
median and the slowest of so many askings; the first apart. After a change: HR or a provider changed somebody
before each of them.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.console_people import database_in
from benchmarks.people_directory import company_of
from server.people.facts import Employment, PersonFacts
from server.people.facts_store import load_facts, write_facts
from server.people.roles import Role
from server.store.database import Database, open_database, upgrade
from tests.server.alerts.recorded_leak import NOW
from tests.server.console.site import Site

TODAY = NOW // 86_400_000
ASKINGS = 15
_ROLES = (Role.HR, Role.ANALYST, Role.ADMINISTRATOR)


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--leavers", default=1_000, show_default=True)
@click.option("--postgresql", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
def main(people: int, leavers: int, postgresql: bool, as_json: bool) -> None:
    """Fill, ask, tell."""
    with tempfile.TemporaryDirectory() as folder, database_in(Path(folder), postgresql) as url:
        database = open_database(url, clock=lambda: NOW)
        upgrade(database)
        _fill(database, people, leavers)
        database.close()
        site = Site(Path(folder), database_url=url, leak_files=0)
        try:
            rows = [row for role in _ROLES for row in _ask(site, role)]
        finally:
            site.close()
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    name = "PostgreSQL" if postgresql else "SQLite"
    click.echo(f"{name}: {people:,} people, {leavers:,} who leave or left")
    click.echo(f"{'page':<40} {'first ms':>9} {'median':>8} {'slowest':>8} {'CPU ms':>7} {'kB':>7}")
    for row in rows:
        times = f"{row['first']:>9.1f} {row['median']:>8.1f} {row['slowest']:>8.1f} {row['cpu']:>7.1f}"
        click.echo(f"{row['page']:<40} {times} {row['kB']:>7.1f}")


def _ask(site: Site, role: Role) -> list[dict[str, Any]]:
    client = site.client(role)
    pages = {
        "list": "/leavers",
        "all": "/leavers?scope=all",
        "searched": "/leavers?scope=all&q=department+7",
        "after a change": "/leavers",
    }
    rows = []
    for name, address in pages.items():
        times: list[float] = []
        cpu: list[float] = []
        size = 0
        for turn in range(ASKINGS + 1):
            if name == "after a change":
                _change_somebody(site.database, turn)
            began, worked = time.perf_counter(), time.process_time()
            answer = client.get(address)
            times.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - worked) * 1000)
            assert answer.status_code == 200, (address, answer.text[-500:])
            size = len(answer.content)
        later = sorted(times[1:])
        rows.append(
            {
                "page": f"{role.value}, {name}",
                "first": times[0],
                "median": later[len(later) // 2],
                "slowest": later[-1],
                "cpu": sorted(cpu[1:])[len(later) // 2],
                "kB": size / 1000,
            }
        )
    return rows


def _fill(database: Database, people: int, leavers: int) -> None:
    dice = random.Random(7)
    with database.begin() as connection:
        company = company_of(people, people * 3, people)
        write_facts(connection, [(None, each) for each in company], at=NOW, actor="bench", way="import")
    with database.begin() as connection:
        known = load_facts(connection)
        leaving = dice.sample(sorted(known), leavers)
        changes = [(known[each], _leaving(known[each], dice)) for each in leaving]
        write_facts(connection, changes, at=NOW, actor="bench", way="import")


def _change_somebody(database: Database, turn: int) -> None:
    with database.begin() as connection:
        known = load_facts(connection, ["E000009"])["E000009"]
        changed = msgspec.structs.replace(known, job_role=f"job {turn}-{time.monotonic_ns()}")
        write_facts(connection, [(known, changed)], at=NOW, actor="bench", way="scim")


def _leaving(person: PersonFacts, dice: random.Random) -> PersonFacts:
    """Half of them within 90 days, the others have left, up to 90 days ago."""
    last = TODAY + dice.randint(-90, 90)
    ends = Employment(notice_day=min(last, TODAY) - 14, last_day=last, leaving_type="resigned")
    return msgspec.structs.replace(person, employments=(ends,))


if __name__ == "__main__":
    main()
