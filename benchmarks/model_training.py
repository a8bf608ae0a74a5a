"""What the anomaly models of all activities cost: training, scoring the past again, and their size.

python -m benchmarks.model_training [--people N] [--days N]

A SQLite database with so many people's days by activity: each does half of the twelve activities, each on
every other working day. Times are CPU seconds of one process, memory the most that the process ever had by
then, by the kernel's count (the data is written by another one).
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from analytics.panel_scores import HISTORY_DAYS
from server.store.database import Database, open_database, upgrade
from server.training.activity_training import train_activities
from server.training.company_days import company_days, days_over, loaded_days
from server.training.company_scores import score_company
from server.training.stored_models import load_model
from tests.server.conftest import NOW
from tests.server.training.measured_company import measured_company

_MAKE = "--make"
_SCORED = 7


@click.command()
@click.option("--people", default=1_000, show_default=True)
@click.option("--days", default=97, show_default=True, help="With data; the models look back on 115.")
@click.option(_MAKE, "url", hidden=True)
def main(people: int, days: int, url: str | None) -> None:
    """Prints CPU seconds and peak memory of each step."""
    if url is not None:
        _make(url, people, days)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leaver.db"
        url = f"sqlite:///{path}"
        sizes = ["--people", str(people), "--days", str(days)]
        subprocess.run([sys.executable, "-m", "benchmarks.model_training", _MAKE, url, *sizes], check=True)
        database = open_database(url, clock=lambda: NOW)
        click.echo(f"{people:,} people × {days} days, database {path.stat().st_size / 1e6:,.0f} MB")
        click.echo(f"at the start {_peak():,.0f} MB")
        _measure(database, people)
        database.close()


def _make(url: str, people: int, days: int) -> None:
    database = open_database(url, clock=lambda: NOW)
    upgrade(database)
    measured_company(database, subjects=people, days=days)
    database.close()


def _measure(database: Database, people: int) -> None:
    begun = time.process_time()
    made = train_activities(database, now=NOW)
    _say("training", begun, f"model of {made.bytes / 1e6:.1f} MB")
    begun = time.process_time()
    with database.read() as connection:
        model = load_model(connection, made.id)
    _say("reading the model", begun)
    begun = time.process_time()
    with database.read() as connection:
        loaded = loaded_days(
            company_days(connection, end=days_over(NOW), days=HISTORY_DAYS + _SCORED), _SCORED
        )
    _say("loading all days", begun)
    begun = time.process_time()
    score_company(model, loaded, HISTORY_DAYS)
    each = (time.process_time() - begun) / _SCORED / people * 1000
    _say(f"scoring {_SCORED} days", begun, f"{each:.2f} s for a day of 1,000 people")


def _say(what: str, begun: float, more: str = "") -> None:
    spent = time.process_time() - begun
    click.echo(f"{what:<18} {spent:>8.1f} CPU s  {_peak():>7,.0f} MB at most  {more}")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
