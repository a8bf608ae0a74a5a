"""What happens by the clock: old data goes, spent tokens go, the log is trimmed, the certificate renewed,
brokers hear of revocations that they missed.

Every deletion is in small transactions, so that the pipeline is never kept waiting for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import ColumnElement, Table, exists, select

from server.agents.broker_access import BrokerAccess, expel_revoked
from server.alerts.parts import set_orphans_free
from server.alerts.queue.rows import fill_missing_rows
from server.correlation_retention import shorten_windows
from server.enrich.sessions import KEPT_DAYS, is_of_sessions
from server.erasure.record import let_accounts_go
from server.evidence_pack.stored import KEPT_DAYS as PACKS_DAYS
from server.log.contract import EventLog, LogUnavailable
from server.process_state import LastDrop
from server.pulse import Pulse
from server.retention import ACTIVITY_DAYS, WATCHED_DAYS, first_activity_day, first_day_kept, first_local_day
from server.store.database import Database, StoreUnavailable
from server.store.deletion import Note, delete_rows
from server.store.leftovers import clear_leftovers
from server.store.tables import (
    activity_days,
    agent_findings,
    alerts,
    anomaly_days,
    case_alerts,
    cases,
    channel_days,
    collector_days,
    correlation_groups,
    days_watched_anywhere,
    dead_letters,
    dry_runs,
    enrolment_tokens,
    event_blocks,
    evidence_packs,
    hidden_hits,
    judged_days,
    known_exports,
    log_positions,
    look_backs,
    people_changes,
    queue_days,
    removed_people,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
    trait_uses,
    triage_groups,
    unmaskings,
)
from server.trusted_clock import PlainClock, ServerClock, TrustedClock

DAY = 24 * 3600 * 1000
TOKEN_KEPT = 7 * DAY
"""A used or expired token stays for so long, to tell an administrator what became of it."""
DRY_RUN_KEPT = 30 * DAY
"""So long a dry run of a policy allows publishing (dry_runs/stored_runs.py)."""
TURN_SECONDS_MAX = 1800.0
"""One job, such as dropping a day of a large company, ends within this time."""

_logger = logging.getLogger("leaver.housekeeping")


def drop_old(
    database: Database,
    *,
    now: int,
    events_days: int,
    alerts_days: int,
    uses_days: int,
    sums_days: int = ACTIVITY_DAYS,
    stop: threading.Event,
) -> dict[str, int]:
    """Drops what is past its end, and counts it by table. An event goes with its block, when the block's
    youngest event is older than `events_days` days; so does where a subject was seen and with which devices,
    `events_days` days after the last time. Closed alerts stay for `alerts_days`, and until their days are
    gone, which would raise them again; held ones until then; uses for `uses_days` after the last one; sums
    of activities for `sums_days`."""
    first_kept = first_day_kept(now, events_days)
    first_local = first_local_day(first_kept)
    first_watched = min(first_kept, first_day_kept(now, WATCHED_DAYS))
    still_seen = exists().where(
        subject_events.c.subject == subject_agents.c.subject, subject_events.c.agent == subject_agents.c.agent
    )
    old: list[tuple[Table, ColumnElement[bool]]] = [
        (event_blocks, event_blocks.c.last_day < first_kept),
        (dead_letters, dead_letters.c.received_at < first_kept * DAY),
        (subject_events, subject_events.c.day < first_local),
        (channel_days, channel_days.c.day < first_local),
        (activity_days, activity_days.c.day < first_activity_day(now, sums_days)),
        (anomaly_days, anomaly_days.c.day < first_local),
        (rule_days, rule_days.c.day < first_local),
        (suspect_traits, suspect_traits.c.day < first_local),
        (judged_days, judged_days.c.day < first_local),
        (hidden_hits, hidden_hits.c.day < first_local),
        (
            correlation_groups,
            (correlation_groups.c.last_day < first_local) | (correlation_groups.c.until_day < now // DAY - 1),
        ),
        (collector_days, collector_days.c.day < first_watched),
        (days_watched_anywhere, days_watched_anywhere.c.day < first_watched),
        (subject_places, subject_places.c.last_time < first_local * DAY),
        (
            trait_uses,
            (trait_uses.c.last_time < first_day_kept(now, uses_days) * DAY)
            | (is_of_sessions() & (trait_uses.c.last_time < now - KEPT_DAYS * DAY)),
        ),
        (known_exports, known_exports.c.seen_at < first_kept * DAY),
        (subject_agents, (subject_agents.c.first_time < first_local * DAY) & ~still_seen),
        (agent_findings, agent_findings.c.last_at < first_kept * DAY),
        (
            alerts,
            # Held ones are nobody's task.
            (
                (alerts.c.status == "held")
                | ((alerts.c.status == "closed") & (alerts.c.closed_at < now - alerts_days * DAY))
            )
            & (alerts.c.last_time < (first_local - 1) * DAY),
        ),
        (triage_groups, triage_groups.c.at < now - DAY),
        (
            cases,
            (cases.c.closed_at < now - alerts_days * DAY) & ~exists().where(case_alerts.c.case == cases.c.id),
        ),
        (evidence_packs, evidence_packs.c.finished_at < now - PACKS_DAYS * DAY),
        (queue_days, queue_days.c.day < first_local),
        (people_changes, people_changes.c.changed_at < now - alerts_days * DAY),
        (removed_people, removed_people.c.removed_at < now - alerts_days * DAY),
        (unmaskings, unmaskings.c.until < now - alerts_days * DAY),
        (look_backs, look_backs.c.finished_at < now - alerts_days * DAY),
        (enrolment_tokens, enrolment_tokens.c.expires_at < now - TOKEN_KEPT),
        (dry_runs, dry_runs.c.begun_at < now - DRY_RUN_KEPT),
    ]
    notes: dict[Table, Note] = {alerts: lambda connection, _gone: set_orphans_free(connection, now)}
    dropped = {
        table.name: delete_rows(database, table, is_old, stopped=stop.is_set, note=notes.get(table))
        for table, is_old in old
    }
    dropped["correlation_windows"] = shorten_windows(database, first_local, stopped=stop.is_set)
    return dropped


def trim_log(database: Database, log: EventLog) -> None:
    """Lets go what the pipeline has committed. Raises LogUnavailable."""
    with database.read() as connection:
        committed = {
            row.partition: row.next_offset
            for row in connection.execute(select(log_positions.c.partition, log_positions.c.next_offset))
        }
    if committed:
        log.trim(committed)


class Housekeeping:
    """The loop; `run` is a SupervisedThread's work."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        *,
        events_days: int,
        alerts_days: int,
        uses_days: int,
        activity_days: int = ACTIVITY_DAYS,
        clock: Callable[[], int],
        renew_certificate: Callable[[], None],
        keep_time: Callable[[], None] = lambda: None,
        sweep_packs: Callable[[], object] = lambda: None,
        broker: BrokerAccess | None = None,
        trim_seconds: float = 60.0,
        drop_seconds: float = 3600.0,
        expel_seconds: float = 30.0,
        certificate_seconds: float = 10.0,
        pulse: Pulse | None = None,
    ) -> None:
        self._database = database
        self._log = log
        self._events_days = events_days
        self._alerts_days = alerts_days
        self._uses_days = uses_days
        self._sums_days = activity_days
        self._clock: ServerClock = clock if isinstance(clock, TrustedClock) else PlainClock(clock)
        self._pulse = pulse or Pulse(TURN_SECONDS_MAX)
        self._drop_seconds = drop_seconds
        self.next_drop_at: int | None = None
        self.last_drop: LastDrop | None = None
        self._jobs: list[tuple[float, Callable[[threading.Event], None]]] = [
            (trim_seconds, self._trim),
            (drop_seconds, self._drop),
            # Often: where the clock was put right, agents take it for none until it is made anew.
            (certificate_seconds, lambda _stop: renew_certificate()),
            (drop_seconds, lambda _stop: keep_time()),
            # After the rows: files of which none is left.
            (drop_seconds, lambda _stop: self._sweep(sweep_packs)),
            (drop_seconds, self._fill_queue),
        ]
        if broker is not None:
            self._jobs.append((expel_seconds, lambda _stop: self._expel(broker)))

    def run(self, stop: threading.Event) -> None:
        due = [time.monotonic()] * len(self._jobs)
        while not stop.is_set():
            for index, (seconds, job) in enumerate(self._jobs):
                self._pulse.beat()
                if not stop.is_set() and time.monotonic() >= due[index]:
                    job(stop)
                    due[index] = time.monotonic() + seconds
            stop.wait(max(0.0, min(due) - time.monotonic()))

    def _trim(self, _stop: threading.Event) -> None:
        try:
            trim_log(self._database, self._log)
        except (LogUnavailable, StoreUnavailable) as error:
            _logger.warning("log_not_trimmed", extra={"detail": str(error)})

    def _fill_queue(self, stop: threading.Event) -> None:
        """After an upgrade; later there is nothing to do."""
        try:
            filled = fill_missing_rows(self._database, stopped=stop.is_set)
        except StoreUnavailable as error:
            _logger.warning("queue_not_filled", extra={"detail": str(error)})
        else:
            if filled:
                _logger.info("queue_filled", extra={"alerts": filled})

    def _sweep(self, sweep_packs: Callable[[], object]) -> None:
        try:
            sweep_packs()
        except (StoreUnavailable, OSError) as error:
            _logger.warning("packs_not_swept", extra={"detail": str(error)})

    def _expel(self, broker: BrokerAccess) -> None:
        """`leaver agents revoke` tells the brokers itself; here for when they did not answer it."""
        try:
            expelled = expel_revoked(self._database, broker)
        except (LogUnavailable, StoreUnavailable) as error:
            _logger.warning("revocations_not_told", extra={"detail": str(error)})
        else:
            if expelled:
                _logger.info("revocations_told", extra={"agents": len(expelled)})

    def _drop(self, stop: threading.Event) -> None:
        try:
            let_accounts_go(self._database, self._clock.for_deletion())
            dropped = drop_old(
                self._database,
                now=self._clock.for_deletion(),
                events_days=self._events_days,
                alerts_days=self._alerts_days,
                uses_days=self._uses_days,
                sums_days=self._sums_days,
                stop=stop,
            )
        except StoreUnavailable as error:
            _logger.warning("old_data_not_dropped", extra={"detail": str(error)})
            return
        finally:
            self.next_drop_at = self._clock() + round(self._drop_seconds * 1000)
        rows = {table: number for table, number in dropped.items() if number}
        self.last_drop = LastDrop(self._clock(), rows)
        if rows:
            _logger.info("old_data_dropped", extra={"rows": rows})
            self._empty_wal()

    def _empty_wal(self) -> None:
        """Copies of what went: SQLite's; PostgreSQL's autovacuum does its part."""
        if self._database.dialect == "sqlite":
            try:
                clear_leftovers(self._database, (), seconds=1.0)
            except StoreUnavailable as error:
                _logger.warning("copies_left", extra={"detail": str(error)})
