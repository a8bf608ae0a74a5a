"""A back-test: what rules that are tried out would have found in the events of the last days, beside what the
rules that run now would have. Reads only, but for pseudonyms of those whom it names.

    report = backtest(database, Trial(given=(RuleText("mine.yml", text),)), now=…)

The stored events go through the engine and the counting of the pipeline (replay.py); only rules that differ
are replayed (rule_sets.py). `leaver policy backtest` shows the report; the decision is docs/decisions/0038.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from policies.rule_file import RuleText
from server.backtest.processes import in_processes
from server.backtest.report import BacktestReport, Totals, examples_of, report_of
from server.backtest.rule_sets import Difference
from server.backtest.share_work import Rules, Task, work
from server.backtest.shares import blocks_stored, shares_of
from server.people.pseudonyms import shown_names
from server.policies.listing import held_versions
from server.retention import DAY_MS, first_day_kept, first_local_day
from server.store.database import Database

BLOCKS_FOR_ONE: Final = 2_000
"""As many are read in this process: starting others takes longer."""
PROCESSES_MAX: Final = 8

Progress = Callable[[int, int], None]
"""(blocks done, of)."""


class Outcome(msgspec.Struct, frozen=True):
    """What a report is made from: subjects as they are. `window`: first and last local day."""

    totals: Totals
    compared: Difference
    window: tuple[int, int]
    events: int


class Trial(msgspec.Struct, frozen=True):
    """What is tried out. `given`: rules, correlations and exceptions in place of those of the same id, and
    beside the others. `against`: in place of what runs, on the other side. `without`: ids that do not run
    afterwards. `days`: with today. `every_rule`: replays also what does not differ."""

    given: tuple[RuleText, ...] = ()
    against: tuple[RuleText, ...] = ()
    without: tuple[str, ...] = ()
    days: int = 30
    every_rule: bool = False


def backtest(
    database: Database,
    trial: Trial,
    *,
    now: int,
    events_days: int | None = None,
    processes: int | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> BacktestReport:
    """now: ms UTC. `events_days`: how many are kept; None: all. `processes`: as many as there are cores by
    default. `stop`: set by somebody else, it ends.

    Raises PolicyErrors, Cancelled, BacktestFailed, StoreUnavailable."""
    found = outcome(
        database,
        trial,
        now=now,
        events_days=events_days,
        processes=processes,
        progress=progress or _quiet,
        stop=stop or threading.Event(),
    )
    named = [pair.subject for pair in examples_of(found.totals.pairs)]
    pseudonyms = shown_names(database, named)[1] if named else {}
    return report_of(found.totals, found.compared, pseudonyms, window=found.window, events=found.events)


def outcome(
    database: Database,
    trial: Trial,
    *,
    now: int,
    events_days: int | None,
    processes: int | None,
    progress: Progress,
    stop: threading.Event,
    apart: bool = False,
) -> Outcome:
    """As backtest; writes nothing. `apart`: none of it is done in this process, however little it is."""
    with database.read() as connection:
        rules = Rules(
            tuple(
                (each.runs, RuleText(each.file, each.text, each.number))
                for each in held_versions(connection).values()
                if each.text is not None
            ),
            trial.given,
            trial.against,
            trial.without,
            trial.every_rule,
        )
    compared = rules.difference()
    today = now // DAY_MS
    kept = first_local_day(first_day_kept(now, events_days))
    first_day = max(today - trial.days + 1 - compared.days_before, kept)
    since = max(today - trial.days + 1, first_day)
    totals, events = Totals(), 0
    if compared.replayed:
        with database.read() as connection:
            blocks, upto, events = blocks_stored(connection, first_day)
            shares = shares_of(connection, first_day, upto, _processes(processes, blocks, compared))
        tasks = [Task(rules, share, since, first_day) for share in shares]
        totals = _worked(database, tasks, compared, progress, stop, apart=apart)
    return Outcome(totals, compared, (since, today), events)


def _worked(
    database: Database,
    tasks: list[Task],
    compared: Difference,
    progress: Progress,
    stop: threading.Event,
    *,
    apart: bool,
) -> Totals:
    total = sum(task.share.count for task in tasks)
    done = 0

    def more(blocks: int) -> None:
        nonlocal done
        done += blocks
        progress(done, total)

    progress(0, total)
    if len(tasks) == 1 and not apart:
        return work(database, tasks[0], compared, progress=more, stopped=stop.is_set)
    return in_processes(database.url, tasks, progress=more, stop=stop)


def _processes(wanted: int | None, blocks: int, compared: Difference) -> int:
    if compared.in_one:
        return 1
    if wanted is not None:
        return wanted
    return 1 if blocks <= BLOCKS_FOR_ONE else min(len(os.sched_getaffinity(0)), PROCESSES_MAX)


def _quiet(_done: int, _of: int) -> None:
    return
