"""A back-test of 30 days: how long until it is known what a change of one rule would have done.

python -m benchmarks.policy_backtest [--events N] [--people N] [--keep FILE] [--every-rule]

A SQLite database in the real block format, made without the pipeline. Of the events a quarter are copies to
sticks, a fifth each uploads, logins and acts in an application, the rest exports from a database; those of
laptops come in blocks of one person, those of servers in blocks of ten people. Two of 100 people are on
notice. Blocks of 200 events have copied signatures; names and sizes come from 50 pieces a channel. Nothing is
stored of days and alerts: the alerts are those that the replayed rules make. CPU seconds are those of all
processes, memory is that of the largest one.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import zstandard
from sqlalchemy import func, insert, select

from event_schema.codec import encode_event
from event_schema.ocsf_events import Event
from event_schema.wire import WireRecord
from policies.examples import Example, RecordName, example_record
from policies.rule_file import SHIPPED_RULES, RuleText, read_rule_file
from server.backtest.backtesting import Trial, backtest
from server.backtest.report import BacktestReport
from server.enrich.enrichment import Enricher, channel_of, is_at_endpoint
from server.people.directory import load_directory
from server.people.facts import Holding, LeaverFlag, PersonFacts
from server.people.facts_store import write_facts
from server.store.database import Database, open_database, upgrade
from server.store.tables import event_blocks, subject_events
from tests.server.pipeline.endpoint import Endpoint

NOW: Final = 1_795_000_000_000
DAY: Final = 86_400_000
DAYS: Final = 30
A_BLOCK, A_PIECE = 200, 20
PIECES: Final = 50
ON_NOTICE: Final = 50
"""One in so many people."""
_PREFIX: Final = 179_400_000
"""The first nine digits of the times in pieces: a place to write others."""
_MIX: Final[dict[RecordName, int]] = {
    "file_copied": 25,
    "file_uploaded": 20,
    "logged_in": 20,
    "application_act": 20,
    "database_exported": 15,
}
_ENDINGS: Final = ("zip", "xlsx", "pdf", "docx", "jpg", "txt")


@click.command()
@click.option("--events", default=3_000_000, show_default=True, help="Stored in all.")
@click.option("--people", default=3_000, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="A database to keep, or one that was kept.")
@click.option("--every-rule", is_flag=True, help="Also with all rules replayed.")
def main(events: int, people: int, keep: Path | None, every_rule: bool) -> None:
    """Change one threshold, and see what it would have done."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        file = keep or Path(folder) / "leaver.db"
        is_there = file.exists()
        database = open_database(f"sqlite:///{file}", clock=lambda: NOW)
        if not is_there:
            _make_apart(database, events, people)
        with database.read() as connection:
            stored = connection.execute(select(func.sum(event_blocks.c.count))).scalar_one()
            ranges = connection.execute(select(func.count()).select_from(subject_events)).scalar_one()
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        click.echo(f"{stored:,} events, {ranges:,} rows of the index, {pages * 4096 / 1e9:.1f} GB")
        for name, changes in (
            ("large_file_to_new_device", {"gte: 500000000": "gte: 200000000"}),
            ("leaver_uploads_files", {"level: high": "level: medium"}),
            ("many_small_copies_in_four_weeks", {"gte: 10000000000": "gte: 9000000000"}),
        ):
            text = read_rule_file(SHIPPED_RULES / f"{name}.yml")
            for old, new in changes.items():
                text = text.replace(old, new)
            _measure(name, database, Trial(given=(RuleText(f"{name}.yml", text),), days=DAYS))
        if every_rule:
            _measure("all rules", database, Trial(every_rule=True, days=DAYS))
        database.close()


def _measure(name: str, database: Database, trial: Trial) -> None:
    used, begun = _cpu(), time.monotonic()
    report = backtest(database, trial, now=NOW)
    seconds, cpu = time.monotonic() - begun, _cpu() - used
    memory = max(resource.getrusage(who).ru_maxrss for who in _WHO) / 1000
    click.echo(
        f"{name:<34} {seconds:6.1f} s, {cpu:6.1f} CPU s, {report.events / cpu:>9,.0f} events a CPU second,"
        f" {memory:,.0f} MB; {_found(report)}"
    )


_WHO: Final = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _cpu() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, _WHO))


def _found(report: BacktestReport) -> str:
    hits = [sum(rule.hits[side] for rule in report.rules) for side in (0, 1)]
    skipped = report.blocks_skipped / max(1, report.blocks)
    return (
        f"hits {hits[0]:,} → {hits[1]:,}, alerts {report.alerts[0]:,} → {report.alerts[1]:,},"
        f" {skipped:.0%} of {report.blocks:,} blocks skipped"
    )


def _make_apart(database: Database, events: int, people: int) -> None:
    """In a process of its own, whose memory this one does not go on using."""
    begun = time.monotonic()
    upgrade(database)
    making = multiprocessing.get_context("spawn").Process(target=_make, args=(database.url, events, people))
    making.start()
    making.join()
    click.echo(f"made in {time.monotonic() - begun:.0f} s")


def _make(url: str, events: int, people: int) -> None:
    database = open_database(url, clock=lambda: NOW)
    with database.begin() as connection:
        company = [
            (
                None,
                PersonFacts(
                    id=f"E{number:05}",
                    time_zone="UTC",
                    accounts=(Holding(f"user{number:05}"),),
                    flag=None if number % ON_NOTICE else LeaverFlag(last_day=NOW // DAY + 6),
                ),
            )
            for number in range(people)
        ]
        write_facts(connection, company, at=NOW, actor="benchmark", way="import")
    with database.read() as connection:
        maker = _Maker(Enricher(load_directory(connection)), people)
    blocks = maker.blocks(events)
    while part := list(itertools.islice(blocks, 1000)):
        with database.begin() as connection:
            connection.execute(insert(event_blocks), [block for block, _ in part])
            connection.execute(insert(subject_events), [row for _, rows in part for row in rows])
    database.close()


class _Piece:
    """Events of one person in 10 seconds, encoded, and what is known of them: names, ids and times are
    written in their places."""

    def __init__(self, content: bytes, leaver: bytes, channel: str, who: int, *, at_endpoint: bool) -> None:
        self.channel, self.at_endpoint = channel, at_endpoint
        self._parts = (content, leaver)
        self._account, self._person = b"user%05d" % who, b"E%05d" % who

    def of(self, who: int, prefix: int) -> tuple[bytes, bytes]:
        content, leaver = (
            part.replace(self._account, b"user%05d" % who)
            .replace(self._person, b"E%05d" % who)
            .replace(b"%d" % _PREFIX, b"%d" % prefix)
            for part in self._parts
        )
        return content, leaver


class _Maker:
    def __init__(self, enricher: Enricher, people: int) -> None:
        self._dice = random.Random(1)
        self._enricher = enricher
        self._people = people
        self._compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)
        self._pieces = {
            (kind, notice): [self._piece(kind, 0 if notice else 1) for _ in range(PIECES)]
            for kind in _MIX
            for notice in (True, False)
        }

    def blocks(self, events: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Rows of event_blocks and subject_events, as they came."""
        model = Endpoint("model").raw_record([b"{}"])
        kinds, weights = list(_MIX), list(_MIX.values())
        total = events // A_BLOCK
        firsts: dict[str, int] = {}
        for number in range(total):
            at = NOW - (DAYS - 1) * DAY + number * (DAYS - 1) * DAY // total
            kind = self._dice.choices(kinds, weights)[0]
            one = self._dice.randrange(self._people)
            at_endpoint = self._pieces[kind, False][0].at_endpoint
            agent = f"laptop-{one:05}" if at_endpoint else f"server-{kind.replace('_', '-')}"
            first = firsts.get(agent, 0)
            firsts[agent] = first + A_BLOCK
            contents, leavers, rows = [], [], []
            for part in range(A_BLOCK // A_PIECE):
                who = one if at_endpoint else self._dice.randrange(self._people)
                piece = self._dice.choice(self._pieces[kind, who % ON_NOTICE == 0])
                content, leaver = piece.of(who, at // 10_000 + part)
                contents.append(content)
                leavers.append(leaver)
                if part == 0 or not at_endpoint:
                    length = A_BLOCK if at_endpoint else A_PIECE
                    start = first + part * A_PIECE
                    rows.append(_range(who, at // DAY, piece.channel, agent, model.epoch, start, length))
            yield self._row(model, agent, first, at, contents, leavers), rows

    def _piece(self, kind: RecordName, who: int) -> _Piece:
        known, events = [], []
        for number in range(A_PIECE):
            at = _PREFIX * 10_000 + number * 500
            changes: dict[str, Any] = {"actor.user.name": f"user{who:05}", "time": at}
            if kind.startswith("file_"):
                ending = self._dice.choice(_ENDINGS)
                changes |= {"file.name": f"{self._dice.randrange(10**9)}.{ending}", "file.ext": ending}
                changes |= {"file.size": int(10 ** self._dice.uniform(3, 8.9))}
            event = _event(example_record(Example(name=kind, record=kind, changes=changes)))
            whom = self._enricher.who(event, at)
            day, hour = self._enricher.directory.local_day_and_hour(whom.person, at)
            new = self._dice.random() < 0.02
            enriched = self._enricher.enrich(event, time=at, day=day, hour=hour, who=whom, new_place=new)
            known.append(b"[%d,%b]" % (at, enriched.known.encoded))
            events.append(encode_event(event))
        return _Piece(
            b",".join(events), b",".join(known), channel_of(event), who, at_endpoint=is_at_endpoint(event)
        )

    def _row(
        self,
        model: WireRecord,
        agent: str,
        first: int,
        at: int,
        contents: list[bytes],
        leavers: list[bytes],
    ) -> dict[str, Any]:
        return {
            "agent": agent,
            "epoch": model.epoch,
            "first_seq": first,
            "count": A_BLOCK,
            "received_at": at,
            "last_day": at // DAY,
            "signature": model.signature,
            "value": self._compressor.compress(b"[" + b",".join(contents) + b"]"),
            "leaver": self._compressor.compress(b"[" + b",".join(leavers) + b"]"),
        }


def _event(record: dict[str, Any]) -> Event:
    event: Event = msgspec.convert({key: value for key, value in record.items() if key != "leaver"}, Event)
    return event


def _range(
    who: int, day: int, channel: str, agent: str, epoch: str, first: int, count: int
) -> dict[str, Any]:
    place = {"subject": f"person:E{who:05}", "day": day, "channel": channel, "agent": agent}
    return place | {"epoch": epoch, "first_seq": first, "last_seq": first + count - 1}


if __name__ == "__main__":
    main()
