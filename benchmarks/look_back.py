"""Somebody is flagged: how long until all that they did in 90 days is scored again, among millions of events.

python -m benchmarks.look_back [--events N] [--people N] [--of-person N] [--shared F]

F: of the person's events, those that a server's log told, in records with 199 events of others each; the rest
comes in records of 20 from a laptop. A SQLite database in the real block format, made without the pipeline:
blocks of others have real values and copied signatures, and their share of the index. Wall seconds with the
page cache as the making of it left it; memory is what the process has more than before, at most.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import psutil
import zstandard
from sqlalchemy import Connection, func, insert, select

from event_schema.codec import encode_event
from event_schema.ocsf_events import Event
from event_schema.wire import WireRecord
from policies.rule_file import load_policies
from server.enrich.enrichment import Enricher
from server.look_back.looking_back import LookingBack
from server.look_back.queue import look_back_state
from server.people.directory import load_directory
from server.people.facts import Holding, LeaverFlag, PersonFacts
from server.people.facts_store import write_facts
from server.people.flags import flag_person
from server.store.database import Database, open_database, upgrade
from server.store.tables import alerts, event_blocks, leaver_versions, look_backs, subject_events
from tests.server.pipeline.endpoint import Endpoint, copied_file

NOW = 1_795_000_000_000
DAY = 86_400_000
DAYS = 89
A_RECORD = 200
OF_LAPTOP = 20
PERSON = "E00000"
CHANNEL = "removable_storage"


@click.command()
@click.option("--events", default=3_000_000, show_default=True, help="Stored in all.")
@click.option("--people", default=3_000, show_default=True)
@click.option("--of-person", default=30_000, show_default=True, help="Events of who is flagged.")
@click.option("--shared", default=0.2, show_default=True, help="Of these, those among events of others.")
def main(events: int, people: int, of_person: int, shared: float) -> None:
    """Flag one person, and look back."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        database = open_database(f"sqlite:///{folder}/leaver.db", clock=lambda: NOW)
        upgrade(database)
        begun = time.monotonic()
        # In a process of its own, whose memory this one does not go on using.
        making = multiprocessing.get_context("spawn").Process(
            target=_make, args=(database.url, events, people, of_person, round(of_person * shared))
        )
        making.start()
        making.join()
        with database.read() as connection:
            stored = connection.execute(select(func.sum(event_blocks.c.count))).scalar_one()
            ranges = connection.execute(select(func.count()).select_from(subject_events)).scalar_one()
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        click.echo(
            f"{stored:,} events stored, {ranges:,} rows of the index, {pages * 4096 / 1e9:.1f} GB,"
            f" made in {time.monotonic() - begun:.0f} s"
        )
        policies = load_policies()
        worker = LookingBack(database, clock=lambda: NOW, policies=policies)
        longest = _time_transactions(database)
        with database.begin() as connection:
            connection.execute(look_backs.delete())
            flag = LeaverFlag(last_day=NOW // DAY + 6)
            flag_person(connection, PERSON, flag, actor="benchmark", at=NOW, reason="benchmark")
        with _memory() as peak:
            begun, cpu = time.monotonic(), time.process_time()
            while worker.step():
                pass
            seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
        with database.read() as connection:
            state = look_back_state(connection)
            versions = connection.execute(select(func.count()).select_from(leaver_versions)).scalar_one()
            found = connection.execute(select(alerts.c.score, alerts.c.events)).all()
        database.close()
    click.echo(f"{state.events_finished:,} scored again, {versions:,} blocks with a new version")
    click.echo(f"alerts: {', '.join(f'score {row.score}, {row.events:,} events' for row in found)}")
    click.echo(f"{seconds:.1f} s, {cpu:.1f} CPU s, {state.events_finished / cpu:,.0f} events a CPU second")
    click.echo(f"memory {peak[0] / 1e6:.0f} MB; longest transaction {max(longest) * 1000:.0f} ms")


def _make(url: str, events: int, people: int, of_person: int, shared: int) -> None:
    database = open_database(url, clock=lambda: NOW)
    with database.begin() as connection:
        company = [
            (None, PersonFacts(id=f"E{n:05}", time_zone="UTC", accounts=(Holding(f"user{n:05}"),)))
            for n in range(people)
        ]
        write_facts(connection, company, at=NOW, actor="benchmark", way="import")
    with database.read() as connection:
        maker = _Maker(Enricher(load_directory(connection)), people)
    for part in _batched(maker.blocks(events, of_person, shared)):
        with database.begin() as connection:
            connection.execute(insert(event_blocks), [block for block, _ in part])
            connection.execute(insert(subject_events), [row for _, rows in part for row in rows])


Block = tuple[dict[str, Any], list[dict[str, Any]]]
"""Rows of event_blocks and subject_events."""


class _Maker:
    def __init__(self, enricher: Enricher, people: int) -> None:
        self._dice = random.Random(1)
        self._enricher = enricher
        self._people = people
        self._compressor = zstandard.ZstdCompressor(level=1)

    def blocks(self, events: int, of_person: int, shared: int) -> Iterator[Block]:
        """As they came: the person's among those of others."""
        own, log = Endpoint("laptop-00000"), Endpoint("server-0")
        mine = (of_person - shared) // OF_LAPTOP
        others = max(0, events - of_person - shared * (A_RECORD - 1)) // A_RECORD
        total = others + mine + shared
        kinds = ["own"] * mine + ["shared"] * shared + ["others"] * others
        self._dice.shuffle(kinds)
        patterns = [self._pattern(number) for number in range(40)]
        firsts: dict[int, int] = {}
        for number, kind in enumerate(kinds):
            at = NOW - DAYS * DAY + number * DAYS * DAY // total
            if kind == "own":
                yield self._block(own, [self._file(at + n, 0) for n in range(OF_LAPTOP)])
            elif kind == "shared":
                files = [self._file(at + n, self._dice.randrange(1, self._people)) for n in range(A_RECORD)]
                files[self._dice.randrange(A_RECORD)] = self._file(at, 0)
                yield self._block(log, files)
            else:
                who = self._dice.randrange(1, self._people)
                first = firsts.get(who, 0)
                firsts[who] = first + A_RECORD
                yield self._copy(self._dice.choice(patterns), who, first, at)

    def _file(self, at: int, who: int) -> Event:
        return copied_file(
            at,
            name=f"{self._dice.randrange(10**9)}.{self._dice.choice(('zip', 'xlsx', 'pdf', 'txt'))}",
            size=self._dice.randrange(10**6),
            account=f"user{who:05}",
            device=f"stick-{self._dice.randrange(3)}",
        )

    def _block(self, endpoint: Endpoint, files: list[Event]) -> Block:
        record = endpoint.raw_record([encode_event(file) for file in files])
        parts: list[bytes] = []
        rows: list[dict[str, Any]] = []
        for index, file in enumerate(files):
            who = self._enricher.who(file, file.time)
            day, hour = self._enricher.directory.local_day_and_hour(who.person, file.time)
            known = self._enricher.enrich(
                file, time=file.time, day=day, hour=hour, who=who, new_place=False
            ).known
            parts.append(b"[%d,%b]" % (file.time, known.encoded))
            rows.append(_range(who.subject, day, record, record.first_seq + index, 1))
        if len({row["subject"] for row in rows}) == 1:
            rows = [_range(rows[0]["subject"], rows[0]["day"], record, record.first_seq, record.count)]
        return self._row(record, b"[" + b",".join(parts) + b"]", files[-1].time), rows

    def _pattern(self, number: int) -> dict[str, Any]:
        block, _ = self._block(
            Endpoint(f"pattern-{number}"), [self._file(NOW, 1 + number) for _ in range(A_RECORD)]
        )
        return block

    def _copy(self, pattern: dict[str, Any], who: int, first: int, at: int) -> Block:
        block = pattern | {"agent": f"laptop-{who:05}", "first_seq": first, "received_at": at}
        block["last_day"] = at // DAY
        row = {"subject": f"person:E{who:05}", "day": at // DAY, "channel": CHANNEL, "agent": block["agent"]}
        row |= {"epoch": block["epoch"], "first_seq": first, "last_seq": first + A_RECORD - 1}
        return block, [row]

    def _row(self, record: WireRecord, leaver: bytes, last: int) -> dict[str, Any]:
        return {
            "agent": record.agent,
            "epoch": record.epoch,
            "first_seq": record.first_seq,
            "count": record.count,
            "received_at": last,
            "last_day": last // DAY,
            "signature": record.signature,
            "value": record.value,
            "leaver": self._compressor.compress(leaver),
        }


def _range(subject: str, day: int, record: WireRecord, first: int, count: int) -> dict[str, Any]:
    place = {"subject": subject, "day": day, "channel": CHANNEL, "agent": record.agent}
    return place | {"epoch": record.epoch, "first_seq": first, "last_seq": first + count - 1}


def _batched(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    while part := list(itertools.islice(blocks, 1000)):
        yield part


def _time_transactions(database: Database) -> list[float]:
    """How long each write transaction takes from now on, in seconds."""
    begin_one, times = database.begin, []

    @contextmanager
    def timed(*, alone: bool = True, brief: bool = False) -> Iterator[Connection]:
        with begin_one(alone=alone, brief=brief) as connection:
            begun = time.monotonic()
            yield connection
        times.append(time.monotonic() - begun)

    database.begin = timed  # type: ignore[method-assign]
    return times


@contextmanager
def _memory() -> Iterator[list[int]]:
    """At most so many bytes more than before."""
    process, stop, peak = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def look() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
