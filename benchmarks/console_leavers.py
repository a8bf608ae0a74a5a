"""The console's list of leavers in a large company, as HR, security and IT see it.

python -m benchmarks.console_leavers [--people N] [--leavers N] [--postgresql] [--json]

Asked over HTTPS on loopback: milliseconds of the server and the client together, by the clock and of CPU, the
median and the slowest of so many askings; the first apart. After a change: HR or a provider changed somebody
before each of them.
"""

from __future__ import annotations

import random
import time
from functools import partial

import click
import msgspec

from benchmarks.company_rows import TODAY, fill_people
from benchmarks.page_times import PageRow, asking, filled_site, page_row, tell, times_of
from server.people.facts import Employment, PersonFacts
from server.people.facts_store import load_facts, write_facts
from server.people.roles import Role
from server.store.database import Database
from tests.server.alerts.recorded_leak import NOW
from tests.server.console.site import Site

_ROLES = (Role.HR, Role.ANALYST, Role.ADMINISTRATOR)


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--leavers", default=1_000, show_default=True)
@click.option("--postgresql", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
def main(people: int, leavers: int, postgresql: bool, as_json: bool) -> None:
    """Fill, ask, tell."""
    fill = partial(_fill, people=people, leavers=leavers)
    with filled_site(fill, postgresql=postgresql) as (site, _, _):
        rows = [row for role in _ROLES for row in _ask(site, role)]
    heading = f"{people:,} people, {leavers:,} who leave or left"
    tell(heading, rows, postgresql=postgresql, as_json=as_json)


def _ask(site: Site, role: Role) -> list[PageRow]:
    client = site.client(role)
    pages = {"list": "/leavers", "all": "/leavers?scope=all", "searched": "/leavers?scope=all&q=department+7"}
    rows = [
        page_row(f"{role.value}, {name}", times_of(asking(client, address)))
        for name, address in pages.items()
    ]
    changed = times_of(asking(client, "/leavers"), before=partial(_change_somebody, site.database))
    return [*rows, page_row(f"{role.value}, after a change", changed)]


def _fill(database: Database, people: int, leavers: int) -> None:
    dice = random.Random(7)
    fill_people(database, people)
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
