"""What the anomaly models of all activities cost: training in a process of its own as the server does it,
scoring past days and running ones, what an event adds, and bytes a person.

python -m benchmarks.model_training [--people N] [--days N]

A SQLite database with so many people's days by activity (made_up_company.py). Times are CPU seconds, memory
the most that the training's process ever had, by the kernel's count.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click

from analytics.drift_features import HISTORY_DAYS
from benchmarks.made_up_company import make_company
from benchmarks.running_days import bytes_a_person, event_cost, running_costs
from server.store.database import Database, open_database, upgrade
from server.training.child_process import train_in_child
from server.training.company_days import company_days, days_over, loaded_days
from server.training.company_scores import score_company
from server.training.stored_models import active_model, load_model

_MAKE = "--make"
_MEASURE = "--measure"
_SCORED = 7
_SCORED_MAX = 5_000
"""People: past days of more are all read at once by this program."""


@click.command(help=__doc__)
@click.option("--people", default=1_000, show_default=True)
@click.option("--days", default=90, show_default=True, help="With data; the models look back on 143.")
@click.option(_MAKE, "made", hidden=True)
@click.option(_MEASURE, "measured", hidden=True)
def main(people: int, days: int, made: str | None, measured: str | None) -> None:
    """Prints what each step costs."""
    url = made or measured
    if url is None:
        with tempfile.TemporaryDirectory() as folder:
            path = f"sqlite:///{folder}/leaver.db"
            # Each by a process of its own: the kernel counts the children of one together.
            for what in (_MAKE, _MEASURE):
                sizes = ["--people", str(people), "--days", str(days)]
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.model_training", what, path, *sizes], check=True
                )
            return
    database = open_database(url, clock=_now)
    if made is not None:
        upgrade(database)
        make_company(database, people=people, days=days, end=days_over(_now()))
    else:
        size = Path(url.removeprefix("sqlite:///")).stat().st_size / 1e6
        click.echo(f"{people:,} people × {days} days, database {size:,.0f} MB")
        _training(database)
        if people <= _SCORED_MAX:
            _past_days(database, people)
        _running_days(database, min(people, 1_000))
    database.close()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _training(database: Database) -> None:
    begun = time.monotonic()
    train_in_child(database, threading.Event(), "activities")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    with database.read() as connection:
        model = active_model(connection)
    assert model is not None
    cpu, most = spent.ru_utime + spent.ru_stime, spent.ru_maxrss / 1000
    click.echo(
        f"training           {cpu:,.1f} CPU s, {most:,.0f} MB at most, {model.bytes / 1e6:.1f} MB of model"
    )
    click.echo(f"                   {time.monotonic() - begun:,.0f} s until it was done")


def _past_days(database: Database, people: int) -> None:
    with database.read() as connection:
        active = active_model(connection)
        assert active is not None
        model = load_model(connection, active.id)
        company = company_days(connection, end=days_over(_now()), days=HISTORY_DAYS + _SCORED)
        loaded = loaded_days(company, _SCORED)
    begun = time.process_time()
    score_company(model, loaded, HISTORY_DAYS)
    spent = (time.process_time() - begun) / _SCORED / people * 1e6
    click.echo(f"a past day         {spent:,.0f} CPU ms for 1,000 people")


def _running_days(database: Database, people: int) -> None:
    known, step, kept = running_costs(database, people, _now)
    click.echo(f"a running day      {known:,.0f} CPU ms for 1,000 people at their first event")
    click.echo(f"each step          {step:,.0f} CPU ms for 1,000 people; {kept:,.0f} bytes are kept of each")
    click.echo(f"an event           {event_cost():.1f} CPU µs to add to its day")
    stored, remembered = bytes_a_person(database, people, _now)
    click.echo(f"a person           {stored:,.0f} bytes stored, {remembered:,.0f} in memory")


if __name__ == "__main__":
    main()
