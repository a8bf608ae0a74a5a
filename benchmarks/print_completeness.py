"""Print jobs that people sent to a real CUPS, and what was told of them: a table, and what it costs.

python -m benchmarks.print_completeness [--jobs N] [--json FILE]

Users with blanks and Chinese in their names, 1 to 40 pages, 1 to 30 copies, titles that look like lines of
the log, a queue that counts pages and one that does not; cupsd is restarted in between. Then the collector
goes on from the cursor of its first event: it must tell the rest again, and its CPU time is the cost.
Needs root, and CUPS (deploy/prepare.sh tests).
"""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path
from typing import Final

import click
import msgspec

from collectors.printing import PrintingCollector
from collectors.printing_config import PrintingConfig
from event_schema.ocsf_endpoint_events import PeripheralActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.drives import open_folder
from tests.collectors.observing import Observing
from tests.cups_server.server import CupsServer

_HOST: Final = Host(hostname="printserver", type_id=HostType.SERVER)
_TITLE: Final = "x 7 [22/Nov/2026:11:06:31 +0000] total 999 title"
_RAW_EVERY: Final = 10


class Job(msgspec.Struct, frozen=True):
    printer: str
    pages: int


class Outcome(msgspec.Struct):
    """How many are right. others: events of jobs that nobody sent, or told twice."""

    sent: int
    found: int = 0
    user_and_printer: int = 0
    pages: int = 0
    everything: int = 0
    others: int = 0


def _compare(jobs: dict[str, Job], observing: Observing) -> Outcome:
    outcome, seen = Outcome(len(jobs)), set[str]()
    for event in observing.events:
        assert isinstance(event, PeripheralActivity)
        user = str(event.actor.user and event.actor.user.name)
        if user not in jobs or user in seen:
            outcome.others += 1
            continue
        seen.add(user)
        job, told = jobs[user], event.unmapped.print_job
        is_printer = event.peripheral_device.name == job.printer
        is_pages = told is not None and told.pages == job.pages
        outcome.found += 1
        outcome.user_and_printer += is_printer
        outcome.pages += is_pages
        outcome.everything += is_printer and is_pages
    return outcome


def _collector(server: CupsServer) -> PrintingCollector:
    config = PrintingConfig(enabled=True, page_log=str(server.page_log), quiet_s=0.5)
    return PrintingCollector(config, _HOST, "0")


def _rest(server: CupsServer, cursor: str | None, count: int) -> tuple[int, float]:
    """(events, CPU s)."""
    stop, found = threading.Event(), 0
    began, limit = time.process_time(), time.monotonic() + 120
    for turn in _collector(server).observe(cursor, stop):
        found += turn is not None
        if found >= count or time.monotonic() > limit:
            stop.set()
    return found, time.process_time() - began


@click.command(help=__doc__)
@click.option("--jobs", "count", default=100, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the table here too.")
def main(count: int, json_file: Path | None) -> None:
    chance, jobs = random.Random(2026), dict[str, Job]()
    with open_folder() as folder:
        server = CupsServer(folder / "cups")
        try:
            with Observing(_collector(server)) as observing:
                for number in range(count):
                    user = chance.choice(("lin", "wang fang", "王芳")) + f" {number}"
                    pages, copies = chance.randint(1, 40), chance.choice((1, 1, 2, 30))
                    printer = "raw" if number % _RAW_EVERY == _RAW_EVERY - 1 else "counting"
                    server.print_pages(user, pages, copies=copies, title=_TITLE, printer=printer)
                    jobs[user] = Job(printer, pages * copies if printer == "counting" else 0)
                    if number == count // 2:
                        server.wait_until_idle(120)
                        server.restart()
                server.wait_until_idle(300)
                observing.settle(3, 120)
            outcome = _compare(jobs, observing)
            again, cpu = _rest(server, observing.observations[0].cursor, len(observing.events) - 1)
        finally:
            server.stop()
    row = msgspec.structs.asdict(outcome)
    click.echo("".join(f"{name:>18}" for name in row))
    click.echo("".join(f"{value:>18,}" for value in row.values()))
    click.echo(f"found              {outcome.found:,} of {outcome.sent:,}")
    click.echo(f"all of it right    {outcome.everything:,} of {outcome.sent:,}")
    click.echo(f"told again from the first cursor: {again:,} of {len(observing.events) - 1:,}")
    click.echo(f"CPU s for 1,000    {cpu * 1_000 / max(1, again):.2f}")
    if json_file is not None:
        json_file.write_text(json.dumps(row, indent=1) + "\n")
    if outcome.everything < outcome.sent or outcome.others or again < len(observing.events) - 1:
        raise click.ClickException("not every job was told of, once, as it was")


if __name__ == "__main__":
    main()
