"""What a batch costs while a storm puts more people over the alert line than the day's cap lets through.

python -m benchmarks.alert_storm [--people N] [--batches N]

A company whose model knows 95 days of everybody. All but twenty print a lot today, in one batch; then each
further batch has one record of each of them, with one more page job. CPU seconds of one process, of the
worker alone, on SQLite.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
from sqlalchemy import func, insert, select

from server.evaluation.departures.observed_acts import laptop
from server.evaluation.simulator.desks import Desk
from server.evaluation.simulator.single_events import printed
from server.store.database import upgrade
from server.store.tables import account_bindings, accounts, alerts
from server.training.activity_training import train_activities
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint
from tests.server.training.measured_company import measured_company

_ORDINARY = 20
_DAYS = 95
_JOBS = 6


@click.command()
@click.option("--people", default=120, show_default=True)
@click.option("--batches", default=5, show_default=True)
def main(people: int, batches: int) -> None:
    """Prints CPU milliseconds a batch."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), f"sqlite:///{folder}/leaver.db")
        upgrade(server.database)
        measured_company(server.database, subjects=people, days=_DAYS, end=NOW // DAY)
        _give_accounts(server, people)
        train_activities(server.database, now=NOW)
        strange = range(people - _ORDINARY)
        endpoints = [Endpoint(f"laptop-{person}", epoch=f"{person:016x}") for person in strange]
        for endpoint in endpoints:
            endpoint.enrol(server.database)
        for batch in range(batches + 1):
            told = [
                endpoint.record(
                    [
                        printed(_desk(person), 400, NOW - 3_600_000 + 10_000 * batch + number * 1000)
                        for number in range(1 if batch else _JOBS)
                    ]
                )
                for person, endpoint in enumerate(endpoints)
            ]
            server.log.append(told)
        worker = server.worker(records_per_batch=len(endpoints))
        for batch in range(batches + 1):
            begun = time.process_time()
            worker.step(0)
            spent = (time.process_time() - begun) * 1000
            what = f"1 job more of each of {len(endpoints)}" if batch else "the first"
            click.echo(f"batch {batch}, {what}: {spent:,.0f} ms")
        with server.database.read() as connection:
            query = select(alerts.c.status, func.count()).group_by(alerts.c.status)
            counted = {row.status: row[1] for row in connection.execute(query)}
        click.echo(f"alerts: {counted}")


def _desk(person: int) -> Desk:
    return Desk(f"user{person:05}", laptop(f"laptop-{person}"), "10.1.0.2")


def _give_accounts(server: Server, people: int) -> None:
    named = [{"system": "", "account": f"user{person:05}"} for person in range(people)]
    with server.database.begin() as connection:
        declared = {"kind": "personal", "source": "import", "changed_at": 0}
        connection.execute(insert(accounts), [each | declared for each in named])
        bound = {"relation": "owner", "source": "import", "confidence": 1.0}
        rows = [each | bound | {"person_id": f"p{person:04d}"} for person, each in enumerate(named)]
        connection.execute(insert(account_bindings), rows)


if __name__ == "__main__":
    main()
