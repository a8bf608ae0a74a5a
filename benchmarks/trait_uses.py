"""Enrichment in a large company: events a CPU second without and with what all uses say, and memory.

python -m benchmarks.trait_uses [--people N] [--accounts N] [--devices N] [--batches N] [--database KIND]

The company of benchmarks/people_directory.py, in which every account was used on two machines and from two
addresses. A batch is 100 records of 50 events: half of the records are files at one endpoint by one account,
half are acts in an application, each by another account. "without": whose it was, and the `leaver.*` fields,
as before there were uses. "with": also loading the uses that the batch asks for, looking at each event,
noting it, and writing the rows back. Times are CPU seconds of this process; on SQLite those of the database
too. Memory: what the process has more, by the kernel's count.

Then as many acts from tills: by the tills' own users, and by one shared account that is everybody's on 256
tills of 80 users each, one in ten of whom left.
"""

from __future__ import annotations

import gc
import random
import tempfile
import time
from collections.abc import Iterator

import click
import psutil
from sqlalchemy import func, insert, select

from benchmarks.people_directory import NOW, company_of
from event_schema.leaver_fields import PersonStatus
from event_schema.ocsf_events import Event
from server.enrich.enrichment import Enricher
from server.enrich.surroundings import surroundings_of
from server.enrich.trait_uses import TraitUses
from server.people.account_facts import AccountWords, declare_account
from server.people.directory import Directory, load_directory
from server.people.facts_store import write_facts
from server.retention import EVER
from server.store.database import Database, open_database, upgrade
from server.store.tables import trait_uses
from server.store.upsert import Row, upsert
from tests.postgres_server.server import PostgresServer
from tests.server.enrich.people_who_left import act
from tests.server.pipeline.endpoint import copied_file

DAY_MS = 86_400_000
RECORDS, EVENTS = 100, 50
TILLS, USERS, LEFT = 256, 80, 8
SEEN_SINCE = NOW - 200 * DAY_MS
_ROWS_AT_ONCE = 50_000


@click.command()
@click.option("--people", default=50_000, show_default=True)
@click.option("--accounts", default=200_000, show_default=True)
@click.option("--devices", default=100_000, show_default=True)
@click.option("--batches", default=20, show_default=True)
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
def main(people: int, accounts: int, devices: int, batches: int, database: str) -> None:
    """Fill, then measure."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            _measure(f"sqlite:///{folder}/large.db", people, accounts, devices, batches)
        return
    server = PostgresServer()
    try:
        _measure(server.url(server.new_database(migrated=False)), people, accounts, devices, batches)
    finally:
        server.stop()


def _measure(url: str, people: int, accounts: int, devices: int, batches: int) -> None:
    database = open_database(url, clock=lambda: NOW)
    upgrade(database)
    with database.begin() as connection:
        company = [(None, person) for person in company_of(people, accounts, devices)]
        write_facts(connection, company, at=NOW, actor="benchmark", way="import")
    del company
    with database.begin() as connection:
        said = AccountWords("kefu", kind="shared", rotated_at=NOW - 90 * DAY_MS)
        declare_account(connection, said, actor="benchmark", at=NOW, reason=None)
    with database.read() as connection:
        directory = load_directory(connection)
    _fill(database, directory, accounts, devices)
    sellers = _sellers(directory, accounts)
    _insert(database, list(_tills(directory, sellers)))
    with database.read() as connection:
        rows = connection.execute(select(func.count()).select_from(trait_uses)).scalar_one()
    click.echo(f"{people:,} people, {accounts:,} accounts, {devices:,} machines, {rows:,} uses")
    load = [_batch(random.Random(number), accounts, devices) for number in range(batches)]
    # What is looked up for the first time is in both.
    _without(directory, load)
    plain = _without(directory, load)
    gc.collect()
    before = psutil.Process().memory_info().rss
    full = _with(database, directory, load)
    memory = (psutil.Process().memory_info().rss - before) / 1e6
    events = batches * RECORDS * EVENTS
    click.echo(f"without uses  {events / plain:>9,.0f} events/CPU s, {plain / events * 1e6:5.1f} µs an event")
    click.echo(
        f"with uses     {events / full:>9,.0f} events/CPU s, {full / events * 1e6:5.1f} µs an event,"
        f" {memory:.0f} MB more"
    )
    for name, used in (("tills' users", sellers), ("everybody's", ["kefu"])):
        cpu = _with(database, directory, [_at_tills(random.Random(n), used) for n in range(batches)])
        click.echo(f"{name:<13} {events / cpu:>9,.0f} events/CPU s, {cpu / events * 1e6:5.1f} µs an event")
    database.close()


def _fill(database: Database, directory: Directory, accounts: int, devices: int) -> None:
    rows: list[Row] = []
    for row in _uses(directory, accounts, devices):
        rows.append(row)
        if len(rows) == _ROWS_AT_ONCE:
            _insert(database, rows)
            rows = []
    if rows:
        _insert(database, rows)


def _insert(database: Database, rows: list[Row]) -> None:
    with database.begin() as connection:
        connection.execute(insert(trait_uses), rows)


def _uses(directory: Directory, accounts: int, devices: int) -> Iterator[Row]:
    for number in range(accounts):
        name = f"account{number:06}"
        person = directory.person_by_account(name, "app-1", SEEN_SINCE)
        subject = f"person:{person.id}" if person is not None else f"account:{name}@app-1"
        times = {"first_time": SEEN_SINCE, "last_time": NOW - 2 * DAY_MS, "count": 9}
        hosts = (f"host:{_host(number % devices)}", f"host:{_host((number + 1) % devices)}")
        addresses = (f"address:{_address(number)}", f"address:{_address(number + 1)}")
        for trait in (*hosts, *addresses, f"account:{name}"):
            yield {"trait": trait, "subject": subject, "account": f"account:{name}", **times}


def _sellers(directory: Directory, accounts: int) -> list[str]:
    """USERS accounts, LEFT of which are of people who left."""
    left: list[str] = []
    there: list[str] = []
    for number in range(accounts):
        name = f"account{number:06}"
        status, _ = directory.status_at(directory.person_by_account(name, "app-1", NOW), NOW)
        (left if status is PersonStatus.LEFT else there).append(name)
    return left[:LEFT] + there[: USERS - LEFT]


def _tills(directory: Directory, sellers: list[str]) -> Iterator[Row]:
    for till in range(TILLS):
        for name in (*sellers, "kefu"):
            person = directory.person_by_account(name, "app-1", SEEN_SINCE)
            subject = f"person:{person.id}" if person is not None else f"account:{name}@app-1"
            times = {"first_time": SEEN_SINCE, "last_time": NOW - 2 * DAY_MS, "count": 9}
            yield {"trait": f"device:till-{till}", "subject": subject, "account": f"account:{name}", **times}


def _at_tills(dice: random.Random, accounts: list[str]) -> list[Event]:
    return [
        act(dice.choice(accounts), NOW - dice.randrange(DAY_MS), device=f"till-{dice.randrange(TILLS)}")
        for _ in range(RECORDS * EVENTS)
    ]


def _host(number: int) -> str:
    return f"laptop-{number:06}"


def _address(number: int) -> str:
    return f"198.{18 + number // 65_536}.{number // 256 % 256}.{number % 256}"


def _batch(dice: random.Random, accounts: int, devices: int) -> list[Event]:
    events: list[Event] = []
    for record in range(RECORDS):
        at = NOW - dice.randrange(DAY_MS)
        number = dice.randrange(accounts)
        for event in range(EVENTS):
            if record % 2:
                other = dice.randrange(accounts)
                events.append(act(f"account{other:06}", at + event, ip=_address(other)))
            else:
                host = _host(number % devices)
                events.append(
                    copied_file(
                        at + event, account=f"account{number:06}", host=host, device=f"0781:5591:{number}"
                    )
                )
    return events


def _without(directory: Directory, load: list[list[Event]]) -> float:
    enricher = Enricher(directory)
    began = time.process_time()
    for events in load:
        for event in events:
            who = enricher.who(event, event.time)
            day, hour = directory.local_day_and_hour(who.person, event.time)
            enricher.enrich(event, time=event.time, day=day, hour=hour, who=who, new_place=False)
    return time.process_time() - began


def _with(database: Database, directory: Directory, load: list[list[Event]]) -> float:
    enricher, uses = Enricher(directory), TraitUses()
    around = surroundings_of(enricher, uses)
    began = time.process_time()
    for events in load:
        with database.read() as connection:
            settings = [around.settings.of(event) for event in events]
            acts = [(each, each.whose) for each in {*settings} if each.whose is not None]
            around.load(connection, acts, EVER)
        for event, setting in zip(events, settings, strict=True):
            who = enricher.who(event, event.time)
            day, hour = directory.local_day_and_hour(who.person, event.time)
            seen = around.look_at(event, who, event.time, setting.shown)
            enricher.enrich(event, time=event.time, day=day, hour=hour, who=who, new_place=False, around=seen)
            around.note(event, who, event.time, setting.shown)
        with database.begin() as connection:
            upsert(connection, trait_uses, uses.rows())
    return time.process_time() - began


if __name__ == "__main__":
    main()
