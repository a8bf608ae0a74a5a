"""A large company in memory: who is behind an account, where they stand at an event's time; and HR's file.

python -m benchmarks.people_directory [--people N] [--accounts N] [--devices N] [--bad-rows N]

A SQLite database with so many people (every fiftieth is leaving, some left), accounts (a tenth went from
one person to another) and machines. Times are CPU seconds of one process; memory is what the process has
more than before, by the kernel's count. Lookups ask for random accounts at random times: for the first time,
or again from memory. Then a roster of all of them, with bad rows, is taken over and undone.
"""

from __future__ import annotations

import gc
import random
import tempfile
import time

import click
import psutil

from server.erasure.undone_imports import undo_import
from server.people.directory import Directory, load_directory
from server.people.facts import Employment, Holding, PersonFacts
from server.people.facts_store import write_facts
from server.people.hr_import import ImportOptions, prepare_import, take_over
from server.store.database import Database, open_database, upgrade

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z
DAY_MS = 86_400_000
TODAY = NOW // DAY_MS
LOOKUPS = 200_000
HEADER = (
    "id,name,accounts,department,job role,manager,devices,time zone,start date,notice date,last working day"
)


@click.command()
@click.option("--people", default=50_000, show_default=True)
@click.option("--accounts", default=200_000, show_default=True)
@click.option("--devices", default=100_000, show_default=True)
@click.option("--bad-rows", default=200, show_default=True)
def main(people: int, accounts: int, devices: int, bad_rows: int) -> None:
    """Load, look up, import, undo."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/large.db", clock=lambda: NOW)
        upgrade(database)
        with database.begin() as connection:
            company = [(None, person) for person in company_of(people, accounts, devices)]
            write_facts(connection, company, at=NOW, actor="benchmark", way="import")
        del company
        _directory(database, people, accounts, devices)
        database.close()
        roster = open_database(f"sqlite:///{folder}/roster.db", clock=lambda: NOW)
        upgrade(roster)
        _roster(roster, people, bad_rows)
        roster.close()


def company_of(people: int, accounts: int, devices: int) -> list[PersonFacts]:
    """People with their accounts, a tenth of which changed hands, and machines."""
    dice = random.Random(1)
    owned: list[list[Holding]] = [[] for _ in range(people)]
    for number in range(accounts):
        name, owner = f"account{number:06}", number % people
        if number % 10 == 0:
            moved = NOW - dice.randrange(300) * DAY_MS
            owned[owner].append(Holding(name, until=moved))
            owned[(owner + 1) % people].append(Holding(name, since=moved))
        else:
            owned[owner].append(Holding(name))
    held: list[list[Holding]] = [[] for _ in range(people)]
    for number in range(devices):
        held[number % people].append(Holding(f"host:laptop-{number:06}"))
    return [
        PersonFacts(
            id=f"E{number:06}",
            time_zone=("Asia/Shanghai", "Europe/Berlin")[number % 2],
            name=f"Person {number}",
            department=f"department {number % 40}",
            manager_id=f"E{number // 12:06}" if number else None,
            employments=(Employment(start_day=18_000, last_day=TODAY + dice.randrange(-300, 60)),)
            if number % 50 == 0
            else (),
            accounts=tuple(owned[number]),
            traits=tuple(held[number]),
        )
        for number in range(people)
    ]


def _directory(database: Database, people: int, accounts: int, devices: int) -> None:
    gc.collect()
    before = psutil.Process().memory_info().rss
    began = time.process_time()
    with database.read() as connection:
        directory = load_directory(connection)
    seconds = time.process_time() - began
    memory = (psutil.Process().memory_info().rss - before) / 1e6
    click.echo(f"{people:,} people, {accounts:,} accounts, {devices:,} machines")
    click.echo(f"reload             {seconds:6.2f} CPU s, {memory:5.0f} MB more")
    dice = random.Random(2)
    asked = [
        (f"account{dice.randrange(accounts):06}", f"laptop-{dice.randrange(devices):06}", _time(dice))
        for _ in range(LOOKUPS)
    ]
    click.echo(f"lookups, new       {_rate(directory, asked):>10,} a CPU s: person and status at a time")
    often = [asked[dice.randrange(20_000)] for _ in range(LOOKUPS)]
    _rate(directory, often)
    click.echo(f"lookups, again     {_rate(directory, often):>10,} a CPU s")
    began = time.process_time()
    for _, host, at in asked:
        directory.holder(f"host:{host}", at)
    click.echo(f"machines           {round(LOOKUPS / (time.process_time() - began)):>10,} a CPU s")


def _time(dice: random.Random) -> int:
    return NOW - dice.randrange(90 * DAY_MS)


def _rate(directory: Directory, asked: list[tuple[str, str, int]]) -> int:
    began = time.process_time()
    for account, host, at in asked:
        directory.status_at(directory.person_by_account(account, host, at), at)
    return round(len(asked) / (time.process_time() - began))


def _roster(database: Database, people: int, bad: int) -> None:
    text = "\n".join((HEADER, *(_row(number, bad) for number in range(people)))) + "\n"
    click.echo()
    click.echo(f"roster of {people:,} rows, {bad} of them bad, {len(text) / 1e6:.1f} MB")
    begin, number = _import(database, text, "all or nothing", skip_bad_rows=False)
    begin, number = _import(database, text, "good rows in", skip_bad_rows=True)
    _import(database, text, "the same again", skip_bad_rows=True)
    began = time.process_time()
    with database.begin() as connection:
        undone = undo_import(connection, number, actor="benchmark", at=begin)
    click.echo(f"undo               {time.process_time() - began:6.2f} CPU s, {undone.removed:,} people gone")


def _row(number: int, bad: int) -> str:
    last = "2026-12-31" if number % 50 == 1 else ""
    if number % 250 == 0 and number // 250 < bad:
        last = "2026-02-30"
    accounts = f"p{number} corp\\p{number} p{number}@x.example"
    manager = f"E{number // 12:06}" if number else ""
    return (
        f"E{number:06},Person {number},{accounts},department {number % 40},role,{manager},"
        f"pc-{number} nb-{number},Asia/Shanghai,2020-03-01,,{last}"
    )


def _import(database: Database, text: str, what: str, *, skip_bad_rows: bool) -> tuple[int, int]:
    began = time.process_time()
    options = ImportOptions(skip_bad_rows=skip_bad_rows)
    with database.read() as connection:
        prepared = prepare_import(connection, text.encode(), at=NOW, options=options)
    prepare = time.process_time() - began
    began = time.process_time()
    with database.begin() as connection:
        report = take_over(connection, prepared, actor="benchmark")
    write = time.process_time() - began
    click.echo(
        f"{what:<18} {prepare:6.2f} CPU s to work out, {write:5.2f} in the transaction;"
        f" added {report.added:,}, unchanged {report.unchanged:,}, refused {report.refused:,}"
    )
    return NOW + 1, report.import_id or 0


if __name__ == "__main__":
    main()
