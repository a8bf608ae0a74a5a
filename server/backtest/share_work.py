"""What one process of a back-test does: its share of the blocks through both sides, then the alerts of its
subjects. Bounded: 50 blocks at once, and what is kept of a subject (server/pipeline/subject_state.py) by
replayed rule and day. Reads only; each portion by a snapshot of its own, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from policies.rule_file import RuleText, parse_text
from server.backtest.alerts_found import (
    Window,
    concerned_subjects,
    found_alerts,
    in_portions,
    rule_hits,
)
from server.backtest.replay import Replay, ReplayedSide
from server.backtest.report import Totals, add_counts
from server.backtest.rule_sets import Difference, difference, with_changes
from server.backtest.shares import Share
from server.enrich.enrichment import Enricher
from server.people.directory import load_directory
from server.store.database import Database


class Cancelled(Exception):
    """Somebody stopped it. Nothing was written."""


class Rules(msgspec.Struct, frozen=True):
    """`running`: each with whether it is in use. `given`: what is tried out; `against`: what stands before it
    in place of what runs. `without`: ids that are out of use afterwards."""

    running: tuple[tuple[bool, RuleText], ...]
    given: tuple[RuleText, ...]
    against: tuple[RuleText, ...] = ()
    without: tuple[str, ...] = ()
    every_rule: bool = False

    def difference(self) -> Difference:
        """Raises PolicyErrors."""
        running = [(runs, parse_text(each)) for runs, each in self.running]
        before = with_changes(running, list(map(parse_text, self.against)))
        after = with_changes(running, list(map(parse_text, self.given)), self.without)
        return difference(before, after, every_rule=self.every_rule)


class Task(msgspec.Struct, frozen=True):
    """`since`: the window's first local day; `first_day`: the first that is read."""

    rules: Rules
    share: Share
    since: int
    first_day: int


def work(
    database: Database,
    task: Task,
    compared: Difference,
    *,
    progress: Callable[[int], None],
    stopped: Callable[[], bool],
) -> Totals:
    """`progress`: takes how many blocks more were read. Raises Cancelled, StoreUnavailable."""
    before, after = (
        ReplayedSide(side.needed(compared.replayed), task.first_day)
        for side in (compared.before, compared.after)
    )
    with database.read() as connection:
        enricher = Enricher(load_directory(connection))
    replay = Replay(
        task.share,
        (before, after),
        enricher,
        classes=compared.classes,
        since=task.since,
        first_day=task.first_day,
    )
    for numbers in replay.portions():
        if stopped():
            raise Cancelled
        with database.read() as connection:
            replay.read(connection, numbers)
        progress(len(numbers))
    window = Window(task.since, compared.replayed, compared.families)
    totals = Totals(
        blocks=replay.blocks, blocks_skipped=replay.blocks_skipped, blocks_damaged=replay.blocks_damaged
    )
    for number, side in enumerate((before, after)):
        _count(totals, number, side, window)
    _find_alerts(database, totals, task.share, window, (before, after), stopped)
    return totals


def _count(totals: Totals, number: int, side: ReplayedSide, window: Window) -> None:
    people: dict[str, set[str]] = {}
    hits: dict[str, int] = {}
    for rule_id, subject, day, count in rule_hits(side.states, window):
        hits[rule_id] = hits.get(rule_id, 0) + count
        people.setdefault(rule_id, set()).add(subject)
        place = (rule_id, day, number)
        totals.rule_days[place] = totals.rule_days.get(place, 0) + count
    totals.rules |= {(number, each): (hits[each], len(people[each])) for each in hits}
    hidden: dict[str, set[str]] = {}
    for (exception_id, _), subjects in side.hidden_of.items():
        hidden.setdefault(exception_id, set()).update(subjects)
    for exception_id, subjects in hidden.items():
        count = sum(n for (each, _), n in side.hidden.items() if each == exception_id)
        totals.hidden[number, exception_id] = (count, len(subjects))
    totals.dropped = add_counts(totals.dropped, side.correlating.dropped())


def _find_alerts(
    database: Database,
    totals: Totals,
    share: Share,
    window: Window,
    sides: tuple[ReplayedSide, ReplayedSide],
    stopped: Callable[[], bool],
) -> None:
    before, after = sides
    with database.read() as connection:
        stored = [each for each in concerned_subjects(connection, window) if share.takes(each, each)]
    for subjects in in_portions(stored, before.states, after.states):
        if stopped():
            raise Cancelled
        with database.read() as connection:
            totals.pairs += found_alerts(
                connection, window, subjects, (before.states, after.states), (before.reaches, after.reaches)
            )
