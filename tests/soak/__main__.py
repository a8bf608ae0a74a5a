"""`make soak`: kill -9 of everything, in turn, while events flow; what is stored equals an undisturbed run.

    python -m tests.soak [--log KIND] [--database KIND] [--events N] [--kills N] [--quick] [--json FILE]

Each log (embedded, Kafka) with each database (SQLite, PostgreSQL); on Kafka and PostgreSQL two workers share
the work with `leaver up`. All are compared with one undisturbed run on the embedded log and SQLite, and with
the script. Exit code 1 where anything differs that is not in outcome.py's short list.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import click
import msgspec

from tests.kafka_broker.broker import KafkaBroker
from tests.postgres_server.server import PostgresServer
from tests.soak.comparison import Line, compare
from tests.soak.installation import prepare_data
from tests.soak.kill_nine import AGENTS, Course, Run, run_script

Log = Literal["embedded", "kafka"]
DatabaseKind = Literal["sqlite", "postgresql"]
WORKERS = 2
_QUICK = (12_000, 4)
_VICTIMS = ("agent", "server", "worker", "broker", "database")


class Row(msgspec.Struct, frozen=True):
    """A run of the table. `fault`: what differs, or what went wrong; empty where all is equal."""

    log: Log
    database: DatabaseKind
    events: int
    kills: dict[str, int]
    in_flow: int
    again: int
    duplicates: int
    stored: int
    alerts: int
    state_rows: int
    seconds: float
    fault: str


def run_matrix(
    root: Path, course: Course, logs: list[Log], databases: list[DatabaseKind], say: Callable[[str], None]
) -> list[Row]:
    """The undisturbed run comes first, and is the first row. `course.base_time` is found here."""
    say("a sample company with 60 days of history and a model")
    prepared = root / "prepared"
    course = msgspec.structs.replace(course, base_time=prepare_data(prepared))
    say(f"{course.count:,} events from {course.agents} endpoints, undisturbed")
    quiet = msgspec.structs.replace(course, kills=0)
    undisturbed = run_script(root / "undisturbed", prepared, quiet, say=say)
    rows = [_row("embedded", "sqlite", course, undisturbed, _checked(undisturbed, undisturbed, course, say))]
    with contextlib.ExitStack() as ends:
        kafka = postgres = None
        if "kafka" in logs:
            kafka = KafkaBroker()
            ends.callback(kafka.stop)
        if "postgresql" in databases:
            postgres = PostgresServer()
            ends.callback(postgres.stop)
        for log in logs:
            for database in databases:
                whole = msgspec.structs.replace(
                    course,
                    kafka=kafka if log == "kafka" else None,
                    postgres=postgres if database == "postgresql" else None,
                    workers=WORKERS if (log, database) == ("kafka", "postgresql") else 0,
                )
                say(f"{course.count:,} events on {log} and {database}, {course.kills} × kill -9 of each")
                rows.append(_killed(root, prepared, whole, undisturbed, log, database, say))
    return rows


def _killed(
    root: Path,
    prepared: Path,
    course: Course,
    undisturbed: Run,
    log: Log,
    database: DatabaseKind,
    say: Callable[[str], None],
) -> Row:
    began = time.monotonic()
    try:
        run = run_script(root / f"{log}-{database}", prepared, course, say=say)
    except AssertionError as error:
        say(f"  FAILED: {error}")
        return Row(
            log, database, course.count, {}, 0, 0, 0, 0, 0, 0, time.monotonic() - began, f"failed: {error}"
        )
    return _row(log, database, course, run, _checked(undisturbed, run, course, say))


def _checked(undisturbed: Run, run: Run, course: Course, say: Callable[[str], None]) -> str:
    lines = compare(
        undisturbed.outcome,
        run.outcome,
        names=course.names,
        count=course.count,
        base_time=course.base_time,
    )
    for text in _lines_text(lines):
        say(text)
    if run.kills and not run.in_flow:
        return "no kill came while events were on their way: nothing is proven"
    return "; ".join(f"{line.what}: {line.fault}" for line in lines if line.fault)


def _lines_text(lines: list[Line]) -> list[str]:
    width = max(len(line.what) for line in lines)
    return [f"    {'':<{width}}  undisturbed     this run"] + [
        f"    {line.what:<{width}}  {line.undisturbed:>11,}  {line.killed:>11,}"
        + (f"  DIFFERS: {line.fault}" if line.fault else "")
        for line in lines
    ]


def _row(log: Log, database: DatabaseKind, course: Course, run: Run, fault: str) -> Row:
    tables = run.outcome.tables
    return Row(
        log,
        database,
        course.count,
        run.kills,
        run.in_flow,
        run.again,
        run.outcome.duplicates,
        sum(1 for agent, _, _ in run.outcome.events if agent in course.names),
        len(tables["alerts"]),
        sum(len(rows) for name, rows in tables.items() if name not in {"alerts", "days of alerts"}),
        run.seconds,
        fault,
    )


def table(rows: list[Row]) -> str:
    """As Markdown, which is good to read as it is."""
    heads = (
        *("log", "database", "events"),
        *(f"kills: {victim}" for victim in _VICTIMS),
        *("in flow", "met", "came again", "stored", "alerts", "state rows", "seconds", "equal?"),
    )
    cells = [
        (
            *(row.log, row.database, f"{row.events:,}"),
            *(str(row.kills.get(victim, 0)) for victim in _VICTIMS),
            *(str(row.in_flow), str(row.again), f"{row.duplicates:,}", f"{row.stored:,}", str(row.alerts)),
            *(f"{row.state_rows:,}", f"{row.seconds:.0f}"),
            "NO" if row.fault else "undisturbed" if not row.kills else "yes",
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in (heads, *cells)) for i in range(len(heads))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in (heads, *cells)
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


@click.command()
@click.option("--log", type=click.Choice(["embedded", "kafka"]), help="Only this one.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), help="Only this one.")
@click.option("--events", "count", type=click.IntRange(1000, 10_000_000), default=200_000, show_default=True)
@click.option(
    "--kills",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    help="Of agents, server and workers; a fifth of them of broker and database.",
)
@click.option("--agents", type=click.IntRange(1, len(AGENTS)), default=len(AGENTS), show_default=True)
@click.option("--quick", is_flag=True, help=f"{_QUICK[0]:,} events, {_QUICK[1]} kills.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, other moments.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keeps all runs there.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the table here too.")
def main(
    log: Log | None,
    database: DatabaseKind | None,
    count: int,
    kills: int,
    agents: int,
    quick: bool,
    seed: int,
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """Kill everything with SIGKILL while events flow, and compare with an undisturbed run."""
    if quick:
        count, kills = _QUICK
    root = folder or Path(tempfile.mkdtemp(prefix="leaver-soak-"))
    course = Course(count, 0, kills, seed, agents)
    rows = run_matrix(
        root,
        course,
        ["embedded", "kafka"] if log is None else [log],
        ["sqlite", "postgresql"] if database is None else [database],
        click.echo,
    )
    click.echo()
    click.echo(table(rows))
    if json_file is not None:
        json_file.write_text(json.dumps(msgspec.to_builtins(rows), indent=1) + "\n", encoding="utf-8")
    faults = [row for row in rows if row.fault]
    for row in faults:
        click.echo(f"{row.log}, {row.database}: {row.fault}", err=True)
    if faults:
        click.echo(f"all runs are kept in {root}", err=True)
        raise SystemExit(1)
    if folder is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
