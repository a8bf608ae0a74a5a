"""What erasing a person costs: blocks of 200 events by 20 people, all looked through, some written anew.

python -m benchmarks.erasure [--blocks N] [--share F]   F: of the blocks, those that hold events of the person
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import Connection, func, select

from server.erasure.erasing import begin, carry_out
from server.erasure.plan import person_target
from server.evidence_seal import SealKey
from server.log.embedded import EmbeddedLog
from server.people.hr_import import import_people
from server.pipeline.worker import PipelineWorker
from server.store.database import Database, open_database, upgrade
from server.store.tables import event_blocks
from tests.server.pipeline.endpoint import Endpoint, copied_file

NOW = 1_795_000_000_000
DAY = 86_400_000
EVENTS = 200
PEOPLE = 20


@click.command()
@click.option("--blocks", default=2000, show_default=True, help="How many.")
@click.option("--share", default=0.1, show_default=True, help="Of them, those with events of the person.")
def main(blocks: int, share: float) -> None:
    """Erase one person of twenty from a SQLite database."""
    dice = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/leaver.db", clock=lambda: NOW)
        upgrade(database)
        people = "id,accounts\n" + "".join(f"E{n},person{n:02}\n" for n in range(PEOPLE))
        with database.begin() as connection:
            import_people(connection, people.encode(), actor="benchmark", at=NOW)
        log = EmbeddedLog(Path(folder) / "log.db", clock=lambda: NOW)
        endpoint = Endpoint("desk-1")
        endpoint.enrol(database)
        for number in range(blocks):
            first = 0 if number < blocks * share else 1
            log.append(
                [
                    endpoint.record(
                        [
                            copied_file(
                                NOW - dice.randrange(30) * DAY,
                                name=f"{dice.randrange(10**9)}.xlsx",
                                account=f"person{dice.randrange(first, PEOPLE):02}",
                            )
                            for _ in range(EVENTS)
                        ]
                    )
                ]
            )
        worker = PipelineWorker(database, log, clock=lambda: NOW)
        while worker.step(0).records:
            pass
        with database.begin() as connection:
            target = person_target(connection, "E0")
            erasure = begin(
                connection, target, actor="benchmark", reason="x", at=NOW, blocked_until=NOW + DAY
            )
        longest = _time_transactions(database)
        begun, cpu = time.monotonic(), time.process_time()
        removed = carry_out(
            database, erasure, seal_key=SealKey.new(), actor="benchmark", progress=lambda *_: None
        )
        cpu, seconds = time.process_time() - cpu, time.monotonic() - begun
        held = max(longest)
        with database.read() as connection:
            size = connection.execute(
                select(func.sum(func.length(event_blocks.c.value) + func.length(event_blocks.c.leaver)))
            ).scalar_one()
        log.close()
        database.close()
    click.echo(f"{blocks:,} blocks, {blocks * EVENTS:,} events, {size / 1e6:.0f} MB compressed")
    click.echo(
        f"rewritten {removed.get('blocks_rewritten', 0):,}, events erased {removed.get('events', 0):,}"
    )
    click.echo(f"erasing  {cpu:.1f} CPU s ({seconds:.1f} s), {cpu / blocks * 1000:.2f} CPU ms a block")
    click.echo(f"longest transaction {held * 1000:.0f} ms: so long the pipeline may wait")


def _time_transactions(database: Database) -> list[float]:
    """How long each write transaction takes from now on, in seconds."""
    begin_one, times = database.begin, []

    @contextmanager
    def timed(*, alone: bool = True, brief: bool = False) -> Iterator[Connection]:
        begun = time.monotonic()
        with begin_one(alone=alone, brief=brief) as connection:
            yield connection
        times.append(time.monotonic() - begun)

    database.begin = timed  # type: ignore[method-assign]
    return times


if __name__ == "__main__":
    main()
