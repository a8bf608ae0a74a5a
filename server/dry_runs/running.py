"""Runs one dry run at a time, in processes of its own; what comes of it is a row of `dry_runs`.

runs = DryRunner(database, clock=…, events_days=180)
number = runs.begin(Wanted(rule_id, base, text), actor="user:lin")
runs.progress(number)       # None: it does not run (any more)
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from policies.errors import PolicyErrors
from policies.rule_file import ParsedText, RuleText, parse_once
from server import audit
from server.backtest.backtesting import Outcome, Trial, outcome
from server.backtest.processes import BacktestFailed
from server.backtest.share_work import Cancelled
from server.dry_runs.gate import check_base, checked_text
from server.dry_runs.stored_runs import (
    Status,
    add_run,
    digest_of,
    end_lost_runs,
    end_run,
    is_running,
)
from server.dry_runs.summary import concerned, stored, summary_of
from server.people.pseudonyms import give_pseudonyms
from server.policies.naming import naming_policies
from server.policies.versions import PolicyVersion, current_versions
from server.store.database import Database, StoreUnavailable

DAYS: Final = 30
DAYS_MAX: Final = 90
PROCESSES_MAX: Final = 4

_logger = logging.getLogger("leaver.dry_runs")


class Wanted(msgspec.Struct, frozen=True):
    """`base`: version of the rule that the text was written against; 0: it is new. `enabled`: False tries
    the rule out of use, whose text is then the one that holds."""

    rule_id: str
    base: int
    text: str
    enabled: bool = True
    days: int = DAYS


class AlreadyRunning(Exception):
    """One at a time; the message says whose rule runs."""


class Progress(msgspec.Struct, frozen=True):
    """Blocks of events; `of` 0: not known yet."""

    done: int
    of: int


class _Job:
    """What runs now."""

    def __init__(self, number: int, rule_id: str) -> None:
        self.number: Final = number
        self.rule_id: Final = rule_id
        self.stop: Final = threading.Event()
        self.progress = Progress(0, 0)

    def note(self, done: int, of: int) -> None:
        self.progress = Progress(done, of)


class DryRunner:
    """Safe to share between threads."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], int],
        events_days: int | None,
        processes: int | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._events_days = events_days
        cores = len(os.sched_getaffinity(0))
        # Half of them: the pipeline goes on meanwhile.
        self._processes = processes or max(1, min(cores // 2, PROCESSES_MAX))
        self._lock = threading.Lock()
        self._job: _Job | None = None
        self._thread: threading.Thread | None = None
        self._cleared = False

    def begin(self, wanted: Wanted, *, actor: str) -> int:
        """Its number. Raises AlreadyRunning, PolicyErrors where the text has faults, BaseMoved where
        somebody published meanwhile, ValueError."""
        if not 1 <= wanted.days <= DAYS_MAX:
            raise ValueError(f"{wanted.days} days are not within 1 to {DAYS_MAX}")
        with self._lock:
            if self._job is not None:
                raise AlreadyRunning(f"a dry run of {self._job.rule_id} is under way: wait, or cancel it")
            now = self._clock()
            trial, naming = self._trial(wanted, now)
            number = self._note_begun(wanted, actor, now)
            self._job = _Job(number, wanted.rule_id)
            self._thread = threading.Thread(
                target=self._run, args=(self._job, trial, naming), name="dry-run", daemon=True
            )
            self._thread.start()
        return number

    def progress(self, number: int) -> Progress | None:
        """None: it does not run, or not in this process."""
        job = self._job
        return job.progress if job is not None and job.number == number else None

    @property
    def number(self) -> int | None:
        """Of the one that runs."""
        job = self._job
        return None if job is None else job.number

    def cancel(self, number: int, *, actor: str) -> bool:
        """Whether it ran."""
        job = self._job
        if job is None or job.number != number:
            return False
        with self._database.begin() as connection:
            audit.append(
                connection, at=self._clock(), actor=actor, action="policy.dry_run_cancel", object=job.rule_id
            )
        job.stop.set()
        return True

    def join(self, seconds: float) -> bool:
        """Waits for the one that runs; whether none does any more."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._job is None

    def close(self) -> None:
        """Stops what runs."""
        job = self._job
        if job is not None:
            job.stop.set()
        self.join(10.0)

    def _trial(self, wanted: Wanted, now: int) -> tuple[Trial, bool]:
        """What is tried, and whether it names people."""
        with self._database.read() as connection:
            held = current_versions(connection)
        before = held.get(wanted.rule_id)
        check_base(before, wanted.base)
        naming = wanted.rule_id in naming_policies(_parsed(held)) or wanted.rule_id in naming_policies(
            _parsed(held) | {wanted.rule_id: parse_once(RuleText("tried", wanted.text))}
        )
        if not wanted.enabled:
            return Trial(without=(wanted.rule_id,), days=wanted.days), naming
        file = before.file if before is not None else f"{wanted.rule_id}.yml"
        checked_text(wanted.text, wanted.rule_id, file=file, held=held, now=now)
        return Trial(given=(RuleText(file, wanted.text),), days=wanted.days), naming

    def _note_begun(self, wanted: Wanted, actor: str, now: int) -> int:
        detail: dict[str, Any] = {"hash": digest_of(wanted.text), "version": wanted.base}
        detail |= {"enabled": wanted.enabled, "days": wanted.days}
        with self._database.begin() as connection:
            if not self._cleared:
                end_lost_runs(connection, now=now)
                self._cleared = True
            audit.append(
                connection,
                at=now,
                actor=actor,
                action="policy.dry_run",
                object=wanted.rule_id,
                detail=detail,
            )
            return add_run(
                connection,
                rule_id=wanted.rule_id,
                base=wanted.base,
                text=wanted.text,
                enabled=wanted.enabled,
                days=wanted.days,
                actor=actor,
                now=now,
            )

    def _run(self, job: _Job, trial: Trial, naming: bool) -> None:
        status: Status
        found: Outcome | None = None
        fault: str | None = None
        try:
            found = self._outcome(job, trial)
            status = "done"
        except Cancelled:
            status = "cancelled"
        except PolicyErrors as errors:
            status, fault = "failed", str(errors)
        except (BacktestFailed, StoreUnavailable) as error:
            status, fault = "failed", str(error)
        except Exception:
            # The thread's edge: whoever waits for it must hear of it.
            _logger.exception("dry_run_failed", extra={"run": job.number})
            status, fault = "failed", "an error of the program; the log has it"
        try:
            with self._database.begin() as connection:
                # Nobody gets a pseudonym from one that an erasure took away meanwhile.
                if is_running(connection, job.number):
                    kept = None if found is None else _kept(connection, found, naming)
                    end_run(connection, job.number, status, now=self._clock(), summary=kept, fault=fault)
        except StoreUnavailable as error:
            _logger.warning("dry_run_not_kept", extra={"run": job.number, "detail": str(error)})
            self._cleared = False
        finally:
            self._job = None

    def _outcome(self, job: _Job, trial: Trial) -> Outcome:
        return outcome(
            self._database,
            trial,
            now=self._clock(),
            events_days=self._events_days,
            processes=self._processes,
            progress=job.note,
            stop=job.stop,
            apart=True,
        )


def _parsed(held: Mapping[str, PolicyVersion]) -> dict[str, ParsedText]:
    return {
        rule_id: parse_once(RuleText(each.file, each.text, each.number))
        for rule_id, each in held.items()
        if each.text is not None
    }


def _kept(connection: Connection, found: Outcome, naming: bool) -> Any:
    pseudonyms = give_pseudonyms(connection, concerned(found))
    return stored(summary_of(found, pseudonyms, names_people=naming))
