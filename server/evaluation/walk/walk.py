"""Feeds a company's events, day by day, to an installation that was made for it.

Events are signed into records by agents that were enrolled, go over the embedded log, through admission,
enrichment, policies, anomaly, risk and alerts, into SQLite, as in `leaver up`; HR's file comes by the same
import. A day's events arrive when it is over. Memory: one day's records, and what the pipeline keeps of
each subject.

Three things are made cheaper than in an installation, since half a year would take hours else; none changes
what is found. All machines share one agent. It says once a day, before the day's events, that it watched on
it, not every minute. Old data goes every four weeks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from event_schema.channels import CHANNELS
from event_schema.codec import encode_event
from event_schema.control_records import CollectorState, Heartbeat, encode_control
from event_schema.ocsf_events import Event
from event_schema.wire import EVENTS_PER_RECORD_MAX, RecordKind, WireRecord, pack_control, pack_events
from policies.engine import PolicySet
from server.agents.registry import create_token, redeem_token
from server.alerts.queries import Verdict, close_alert
from server.config import ServerConfig
from server.data_directory import DataDirectory
from server.housekeeping import drop_old, trim_log
from server.installation import created_installation
from server.log.embedded import EmbeddedLog
from server.people.company import keep_company
from server.people.company_places import PRIVATE_NETWORKS, NamedPlaces
from server.people.directory import raise_people_version
from server.people.hr_import import ImportOptions, import_people
from server.people.local_time import DAY_ZERO
from server.people.pseudonyms import keep_pseudonym_key
from server.pipeline.worker import PipelineWorker
from server.store.database import Database, open_database
from server.store.tables import alerts, dead_letters
from server.training.activity_training import NothingMeasured, train_activities
from server.training.stored_models import StoredModel

VERSION: Final = "0.1.0"
ACTOR: Final = "evaluation"
_RECORDS_A_BATCH: Final = 200
_KEY: Final = bytes(32)
"""The same seed gives the same numbers of places, of which the smallest of a day are kept."""
_EVENTS_DAYS: Final = 120
_ALERTS_DAYS: Final = 730
_USES_DAYS: Final = 120
_DROP_EVERY_DAYS: Final = 28
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


class WalkFailed(Exception):
    """The pipeline refused what it was given: the evaluation's events are wrong, or the product."""


class WalkedCompany(msgspec.Struct, frozen=True):
    """What an administrator would have set. `people`: HR's file. `domains`: the company's own."""

    people: bytes
    time_zone: str = "UTC"
    calendar: str = ""
    working_hours: str = ""
    domains: tuple[str, ...] = ()


class _Agent:
    def __init__(self) -> None:
        self.name = "everywhere"
        self.key = Ed25519PrivateKey.generate()
        self.epoch = f"{1:016x}"
        self.next_seq = 0

    def records(self, events: Sequence[Event]) -> Iterable[WireRecord]:
        for first in range(0, len(events), EVENTS_PER_RECORD_MAX):
            part = [encode_event(event) for event in events[first : first + EVENTS_PER_RECORD_MAX]]
            yield pack_events(
                self.key, agent=self.name, epoch=self.epoch, first_seq=self.next_seq, events=part
            )
            self.next_seq += len(part)

    def heartbeat(self, now: int, days: tuple[int, ...]) -> WireRecord:
        """That all collectors watched on these days."""
        collectors = tuple(
            CollectorState(name=name, state="running", observed=0, restarts=0, dropped={}, days_watched=days)
            for name in sorted(CHANNELS)
        )
        said = Heartbeat(
            sent_at=now,
            version=VERSION,
            next_seq=self.next_seq,
            backlog_events=0,
            backlog_bytes=0,
            lost_events=0,
            collectors=collectors,
        )
        return pack_control(
            self.key,
            agent=self.name,
            kind=RecordKind.HEARTBEAT,
            epoch=self.epoch,
            first_seq=self.next_seq,
            count=0,
            content=encode_control(said),
        )


class Walk:
    """An installation in `folder`, from the day before `first_day` (local, since 1970) on. A context
    manager."""

    def __init__(self, folder: Path, company: WalkedCompany, policies: PolicySet, *, first_day: int) -> None:
        self.events = 0
        self._last_day = first_day - 1
        self._zone = ZoneInfo(company.time_zone)
        self._now = self.moment(first_day)
        directory = DataDirectory(folder)
        self._agent = _Agent()
        with (
            created_installation(directory, ServerConfig(), clock=self._clock) as (made, authority),
            made.database.begin() as connection,
        ):
            keep_company(
                connection,
                calendar=company.calendar,
                time_zone=company.time_zone,
                working_hours=company.working_hours,
                places=NamedPlaces(networks=PRIVATE_NETWORKS, destinations=company.domains),
            )
            raise_people_version(connection)
            keep_pseudonym_key(connection, _KEY)
            token = create_token(connection, self._agent.name, now=self._now, actor=ACTOR)
            redeem_token(connection, token, self._agent.key.public_key(), authority, now=self._now)
        self.database: Database = open_database(directory.database_url(ServerConfig()), clock=self._clock)
        self._log = EmbeddedLog(directory.log_path, self._clock)
        self._policies = policies
        self._worker = self._new_worker()
        self._since_drop = 0
        self.declare(company.people)

    def _new_worker(self) -> PipelineWorker:
        """Takes as old what is no longer there: by day it would forget, and read, everything once a day."""
        return PipelineWorker(
            self.database,
            self._log,
            clock=self._clock,
            policies=self._policies,
            records_per_batch=_RECORDS_A_BATCH,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self.database.close()

    def _clock(self) -> int:
        return self._now

    def moment(self, day: int) -> int:
        """ms UTC at which the local day begins."""
        midnight = datetime.combine(date.fromordinal(day + DAY_ZERO), datetime.min.time(), self._zone)
        return int(midnight.timestamp() * 1000)

    def declare(self, people: bytes) -> None:
        """HR's file arrives. Raises WalkFailed where it is refused."""
        with self.database.begin() as connection:
            options = ImportOptions(time_zone=str(self._zone), expect_leavers=10**6)
            report = import_people(connection, people, actor=ACTOR, at=self._now, options=options)
        if report.stopped is not None or report.problems:
            raise WalkFailed(f"the people were refused: {report.stopped} {report.problems[:3]}")

    def day(self, day: int, events: Iterable[Event]) -> None:
        """All events of one local day; later than those of the days before. Raises WalkFailed."""
        self._now, self._last_day = self.moment(day + 1), day
        told = self._agent.heartbeat(self._now, (day,))
        records = [told, *self._agent.records(sorted(events, key=lambda event: event.time))]
        self._take(records)
        self._since_drop += 1
        if self._since_drop >= _DROP_EVERY_DAYS:
            self._drop()

    def _take(self, records: Sequence[WireRecord]) -> None:
        self._log.append(records)
        while (done := self._worker.step(0)).records:
            self.events += done.events
            if done.dead_letters:
                self._refused()

    def train(self) -> StoredModel | None:
        """On all days so far, as on schedule. The next day is scored with it. None: nothing was measured."""
        # Training takes days that are over everywhere, at UTC-12 too.
        now = (self._last_day + 1) * _DAY_MS + 12 * _HOUR_MS
        try:
            return train_activities(self.database, now=now)
        except NothingMeasured:
            return None

    def close_alerts(self, leaks: frozenset[str], *, after_days: int = 0) -> None:
        """An analyst closes all alerts in the evening that are open for so many days: of these subjects as
        confirmed, others as false."""
        opened_by = self._now - after_days * _DAY_MS
        with self.database.begin() as connection:
            rows = connection.execute(
                select(alerts.c.id, alerts.c.subject).where(
                    alerts.c.status == "open", alerts.c.opened_at <= opened_by
                )
            )
            for alert_id, subject in rows.all():
                verdict = Verdict.CONFIRMED if subject in leaks else Verdict.FALSE
                close_alert(connection, alert_id, verdict, "evaluation", ACTOR, self._now)

    def _drop(self) -> None:
        self._since_drop = 0
        trim_log(self.database, self._log)
        drop_old(
            self.database,
            now=self._now,
            events_days=_EVENTS_DAYS,
            alerts_days=_ALERTS_DAYS,
            uses_days=_USES_DAYS,
            stop=threading.Event(),
        )
        self._worker = self._new_worker()

    def _refused(self) -> None:
        with self.database.read() as connection:
            letter = connection.execute(select(dead_letters.c.reason, dead_letters.c.message)).first()
        assert letter is not None
        raise WalkFailed(f"the pipeline refused an event: {letter.reason}: {letter.message}")


def day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01."""
    return date(year, month, day).toordinal() - DAY_ZERO


def day_name(day: int) -> str:
    """2010-05-31."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
