"""`leaver eval cert`: trains on the days up to a date, then scores every later user-day in the order of
time."""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, Protocol

import msgspec

from event_schema.catalogue import load_catalogue
from policies.engine import PolicySet
from server.evaluation.cert.acts import Acts
from server.evaluation.cert.people import LdapPerson, hr_file, read_ldap
from server.evaluation.cert.reading import BadRows, Progress, RowsOnDisk, UnreadableFolder, read_folder
from server.evaluation.walk.product import QUIET, subject_days
from server.evaluation.walk.walk import Walk, WalkedCompany, day_name
from server.people.local_time import DAY_ZERO

_SILENT_DAYS_MAX: Final = 30
"""Days without a row before one with some: further ones are passed over."""
COLUMNS: Final = ("user", "day", "score", "alerted", "reason")


class Out(Protocol):
    """What scores are written to."""

    def write(self, text: str, /) -> object: ...


class CertSummary(msgspec.Struct, frozen=True):
    """`events`: made of the rows. `not_told`: rows by kind of which Leaver would collect nothing. `bad_rows`:
    [file, reason, rows]. `first_bad`: [file, line, reason]. Days as 2010-05-31."""

    users: int
    rows: dict[str, int]
    events: int
    not_told: dict[str, int]
    bad_rows: list[tuple[str, str, int]]
    first_bad: list[tuple[str, int, str]]
    own_domains: list[str]
    first_day: str
    last_day: str
    train_until: str
    training_days: int
    cold_start: bool
    scored_user_days: int
    alerted_user_days: int
    alerts_opened: int


def score_folder(
    folder: Path, out: Out, policies: PolicySet, *, train_until: date, progress: Progress
) -> CertSummary:
    """Writes `user,day,score,alerted,reason` as CSV. Raises UnreadableFolder, WalkFailed."""
    catalogue = load_catalogue()
    with tempfile.TemporaryDirectory(prefix="leaver-cert-") as scratch:
        sorted_rows, installation = Path(scratch, "rows"), Path(scratch, "installation")
        sorted_rows.mkdir()
        rows = read_folder(folder, sorted_rows, catalogue, progress)
        if not rows.active:
            raise UnreadableFolder(f"{folder}: no row can be read; {_first_bad(rows.bad)}")
        known = read_ldap(folder / "LDAP", train_until.isoformat()[:7], rows.bad)
        own = own_domains(known, rows.senders)
        company = WalkedCompany(people=hr_file(known, rows.users), domains=own)
        first_day, last_day = min(rows.active), max(rows.active)
        with Walk(installation, company, policies, first_day=first_day) as walk:
            scoring = _Scoring(walk, rows, out, train_until.toordinal() - DAY_ZERO)
            scoring.run(Acts(frozenset(own), catalogue), first_day, last_day, progress)
            events = walk.events
    return CertSummary(
        users=len(rows.users),
        rows=rows.rows,
        events=events,
        not_told={str(kind): count for kind, count in rows.not_told.items()},
        bad_rows=[(file, why, count) for (file, why), count in sorted(rows.bad.counts.items())],
        first_bad=rows.bad.shown,
        own_domains=list(own),
        first_day=day_name(first_day),
        last_day=day_name(last_day),
        train_until=train_until.isoformat(),
        training_days=scoring.training_days,
        cold_start=scoring.cold_start,
        scored_user_days=scoring.scored,
        alerted_user_days=scoring.alerted,
        alerts_opened=scoring.opened,
    )


class _Scoring:
    def __init__(self, walk: Walk, rows: RowsOnDisk, out: Out, until: int) -> None:
        self._walk = walk
        self._rows = rows
        self._out = csv.writer(out)
        self._until = until
        self.training_days = self.scored = self.alerted = self.opened = 0
        self.cold_start = True

    def run(self, acts: Acts, first_day: int, last_day: int, progress: Progress) -> None:
        self._out.writerow(COLUMNS)
        days = self._rows.days()
        ahead = next(days, None)
        trained = False
        for day in self._days_to_walk():
            if day > self._until and not trained:
                trained = True
                made = self._walk.train()
                self.cold_start = made is None or made.summary.cold_start
            today = []
            if ahead is not None and ahead[0] == day:
                today = ahead[1]
                ahead = next(days, None)
            self._walk.day(day, acts.of_day(today))
            if day > self._until:
                self._write(day)
            else:
                self.training_days += day in self._rows.active
            progress("days through the pipeline", day - first_day + 1, last_day - first_day + 1)

    def _days_to_walk(self) -> Iterator[int]:
        """All, but for years in between: a clock that was wrong once must not cost a walk through
        centuries."""
        before: int | None = None
        for day in sorted(self._rows.active):
            if before is not None:
                yield from range(max(before + 1, day - _SILENT_DAYS_MAX), day)
            yield day
            before = day

    def _write(self, day: int) -> None:
        users = sorted(self._rows.active.get(day, ()))
        if not users:
            return
        # A day's events arrive when it ends, so that is when its alerts are opened.
        found = subject_days(self._walk.database, day, self._walk.moment(day + 1))
        name = day_name(day)
        for user in users:
            said = found.get(f"person:{user}", QUIET)
            self._out.writerow((user, name, f"{said.score:.4f}", int(said.alerted), said.reason))
            self.alerted += said.alerted
            self.opened += said.opened
        self.scored += len(users)


def own_domains(known: dict[str, LdapPerson], senders: Counter[str]) -> tuple[str, ...]:
    """The domain that most people have an address of; without LDAP the one that most mails come from."""
    counts = Counter(person.domain for person in known.values() if person.domain) or senders
    return () if not counts else (min(counts, key=lambda domain: (-counts[domain], domain)),)


def _first_bad(bad: BadRows) -> str:
    return (
        "; ".join(f"{file}, line {line}: {why}" for file, line, why in bad.shown[:3]) or "the files are empty"
    )
