"""What the benchmarks of the console's pages share: a database, a filled site on it, how long pages take."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import click
import httpx
import msgspec

from server.store.database import Database, open_database, upgrade
from tests.postgres_server.server import PostgresServer
from tests.server.alerts.recorded_leak import NOW
from tests.server.console.site import Site

ASKINGS: Final = 15
_Filling = TypeVar("_Filling")


class Place(msgspec.Struct, frozen=True):
    """An empty database. `server`: none is SQLite's."""

    url: str
    server: PostgresServer | None


@contextmanager
def database_in(folder: Path, *, postgresql: bool) -> Iterator[Place]:
    """Has its tables."""
    server = PostgresServer() if postgresql else None
    try:
        url = f"sqlite:///{folder}/leaver.db" if server is None else server.url(server.new_database())
        database = open_database(url, clock=lambda: NOW)
        try:
            upgrade(database)
        finally:
            database.close()
        yield Place(url, server)
    finally:
        if server is not None:
            server.stop()


def vacuum(database: Database) -> None:
    """As autovacuum does; the tests' PostgreSQL has none."""
    with database.lasting_connection() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


@contextmanager
def filled_site(
    fill: Callable[[Database], _Filling], *, postgresql: bool, vacuumed: bool = False
) -> Iterator[tuple[Site, _Filling, PostgresServer | None]]:
    """With what `fill` tells of what it made. `vacuumed`: on PostgreSQL, before anybody asks."""
    with tempfile.TemporaryDirectory() as name, database_in(Path(name), postgresql=postgresql) as place:
        database = open_database(place.url, clock=lambda: NOW)
        try:
            filled = fill(database)
            if vacuumed and postgresql:
                vacuum(database)
        finally:
            database.close()
        site = Site(Path(name), database_url=place.url, leak_files=0)
        try:
            yield site, filled, place.server
        finally:
            site.close()


class Times(msgspec.Struct, frozen=True):
    """Milliseconds of askings in their order, by the clock and of CPU; the last answer's bytes. The first one
    stands apart: it reads what is kept for later."""

    clock: tuple[float, ...]
    cpu: tuple[float, ...]
    bytes: int

    @property
    def first(self) -> float:
        return self.clock[0]

    @property
    def median(self) -> float:
        return statistics.median(self.clock[1:])

    @property
    def slowest(self) -> float:
        return max(self.clock[1:])

    @property
    def median_cpu(self) -> float:
        return statistics.median(self.cpu[1:])


def times_of(
    ask: Callable[[], int],
    askings: int = ASKINGS + 1,
    *,
    cpu_seconds: Callable[[], float] = time.process_time,
    before: Callable[[int], None] | None = None,
) -> Times:
    """`ask` tells the bytes of its answer. `before`: each of them, with its number, and not timed."""
    clock, cpu, size = [], [], 0
    for turn in range(askings):
        if before is not None:
            before(turn)
        begun, worked = time.perf_counter(), cpu_seconds()
        size = ask()
        clock.append((time.perf_counter() - begun) * 1000)
        cpu.append((cpu_seconds() - worked) * 1000)
    return Times(tuple(clock), tuple(cpu), size)


def asking(
    client: httpx.Client,
    address: str,
    *,
    part: bool = False,
    answers: Sequence[int] = (200,),
) -> Callable[[], int]:
    """For `times_of`. `part`: what a page's script asks for. Raises AssertionError for any other answer."""
    headers = {"hx-request": "true"} if part else {}

    def ask() -> int:
        answer = client.get(address, headers=headers)
        assert answer.status_code in answers, (address, answer.status_code, answer.text[-500:])
        return len(answer.content)

    return ask


class PageRow(msgspec.Struct, frozen=True):
    """A line of the table; milliseconds."""

    page: str
    first: float
    median: float
    slowest: float
    cpu: float
    kB: float


def page_row(page: str, times: Times) -> PageRow:
    return PageRow(page, times.first, times.median, times.slowest, times.median_cpu, times.bytes / 1000)


def tell(heading: str, rows: Sequence[PageRow], *, postgresql: bool, as_json: bool) -> None:
    """On standard output, a table or JSON."""
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(rows), indent=1))
        return
    width = max(len(row.page) for row in rows)
    click.echo(f"{'PostgreSQL' if postgresql else 'SQLite'}: {heading}")
    click.echo(f"{'page':<{width}} {'first ms':>9} {'median':>8} {'slowest':>8} {'CPU ms':>7} {'kB':>7}")
    for row in rows:
        times = f"{row.first:>9.1f} {row.median:>8.1f} {row.slowest:>8.1f} {row.cpu:>7.1f}"
        click.echo(f"{row.page:<{width}} {times} {row.kB:>7.1f}")
