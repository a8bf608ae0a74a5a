"""One attempt to look back at a group of people: what looking_back.py says from 1 to 4."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, func, select, update

from server.enrich.enrichment import Enricher
from server.erasure.blocks import last_block
from server.look_back.outcome import write_outcome
from server.look_back.queue import Waiting
from server.look_back.rescoring import Rescoring
from server.look_back.state_before import state_before
from server.look_back.stored_places import StoredPlaces, stored_places
from server.look_back.suspected_again import CountedActs, OthersConcerned
from server.look_back.unread_days import keep_anomalies, keep_what_was_found
from server.people.directory import people_version
from server.people.directory_changes import newer_directory
from server.pipeline.anomaly_day import load_anomaly_days
from server.pipeline.memory import Memory
from server.pipeline.state_versions import lock_versions
from server.pipeline.subject_state import load_subjects
from server.pulse import Pulse
from server.retention import first_local_day
from server.store.database import Database
from server.store.deletion import delete_rows
from server.store.tables import erasures, event_blocks, leaver_versions, look_backs
from server.store.upsert import insert_new
from server.trusted_clock import ServerClock

BLOCKS_A_PORTION = 50
VERSIONS_A_TRANSACTION = 200
BLOCKS_AT_THE_END = 20
"""So many may be left for the last transaction, in which nobody else writes."""
ROUNDS_MAX = 8

_logger = logging.getLogger("leaver.look_back")


class Anew(Exception):
    """What it was worked out from is no longer so."""


class Attempt:
    def __init__(
        self,
        database: Database,
        memory: Memory,
        clock: ServerClock,
        pulse: Pulse,
        group: Waiting,
        subjects: Sequence[str],
        *,
        may_grow: bool = True,
    ) -> None:
        self._database = database
        self._memory = memory
        self._clock = clock
        self._pulse = pulse
        self._group = group
        self._subjects = subjects
        self._may_grow = may_grow
        self._counted = CountedActs(subjects)
        self._rescoring: Rescoring
        self._version = 0
        self._erasures = 0
        self._first_day = 0

    def look_back(self, days: int, stop: threading.Event) -> bool:
        """Raises OthersConcerned, Anew."""
        above = self._begin()
        with self._database.read() as connection:
            self._memory.refresh(connection)
            self._memory.forget_all()
            # By the rules that the refresh found: correlations must be of the same set.
            self._rescoring = Rescoring(self._memory, self._subjects, self._counted)
            self._first_day = max(self._clock() // 86_400_000 - days, first_local_day(self._memory.first_day))
            self._make_states(connection)
            self._counted.load(connection)
            places = stored_places(connection, self._subjects, self._first_day, upto=above)
        for _ in range(ROUNDS_MAX):
            if not self._score(places, stop):
                return False
            upto = self._last_block()
            with self._database.read() as connection:
                self._counted.load(connection)
                places = stored_places(connection, self._subjects, self._first_day, above=above, upto=upto)
            if len(places) <= BLOCKS_AT_THE_END:
                break
            above = upto
        else:
            if not self._score(places, stop):
                return False
        self._take_over_people()
        self._end(above)
        return True

    def _begin(self) -> int:
        """Takes the rows, and the number of the last block that is there: with nobody else writing, so that
        none below it comes later."""
        self._drop_versions()
        with self._database.begin() as connection:
            self._erasures = _last_erasure(connection)
            self._require_waiting(connection)
            last = select(func.coalesce(func.max(look_backs.c.version), 0))
            written = select(func.coalesce(func.max(leaver_versions.c.version), 0))
            self._version = 1 + max(
                connection.execute(last).scalar_one(), connection.execute(written).scalar_one()
            )
            connection.execute(
                update(look_backs)
                .where(look_backs.c.id.in_(self._group.ids))
                .values(begun_at=self._clock(), version=self._version, events=0, changed=0)
            )
            return last_block(connection)

    def _drop_versions(self) -> None:
        """Of an attempt that did not come to its end."""
        with self._database.read() as connection:
            query = select(look_backs.c.version).where(
                look_backs.c.id.in_(self._group.ids), look_backs.c.version.is_not(None)
            )
            begun = list(connection.execute(query.distinct()).scalars())
        for version in begun:
            delete_rows(self._database, leaver_versions, leaver_versions.c.version == version)

    def _make_states(self, connection: Connection) -> None:
        memory, enricher = self._memory, self._memory.enricher
        memory.load_subjects(connection, self._subjects)
        rules = frozenset(policy.rule_id for policy in memory.rules.policies.policies)
        for subject in self._subjects:
            person = enricher.person_of(subject)
            memory.subjects[subject] = state_before(
                memory.subjects[subject],
                self._first_day,
                rules,
                partial(enricher.day_of, person),
            )

    def _score(self, places: StoredPlaces, stop: threading.Event) -> bool:
        """Whether it came to its end."""
        versions: list[tuple[int, bytes]] = []
        for portion in places.portions(BLOCKS_A_PORTION):
            if stop.is_set():
                return False
            self._pulse.beat()
            with self._database.read() as connection:
                versions += self._rescoring.read(connection, portion)
                self._memory.scorer.settle(connection)
            if self._rescoring.suspected.missing and self._may_grow:
                # It will be done again: only who else is concerned is to be found out.
                versions = []
            if len(versions) >= VERSIONS_A_TRANSACTION:
                self._write_aside(versions)
                versions = []
        self._require_all()
        self._write_aside(versions)
        return True

    def _require_all(self) -> None:
        missing = self._rescoring.suspected.missing
        if missing and self._may_grow:
            raise OthersConcerned(sorted(missing))

    def _write_aside(self, versions: Sequence[tuple[int, bytes]]) -> None:
        """With how far it is, also where nothing changed."""
        with self._database.begin(alone=False, brief=True) as connection:
            self._write_versions(connection, versions)

    def _write_versions(self, connection: Connection, versions: Sequence[tuple[int, bytes]]) -> None:
        self._require_waiting(connection)
        numbers = [block for block, _ in versions]
        # Retention may have dropped one meanwhile.
        there = set(
            connection.execute(select(event_blocks.c.id).where(event_blocks.c.id.in_(numbers))).scalars()
        )
        rows = [
            {"block": block, "version": self._version, "leaver": leaver}
            for block, leaver in versions
            if block in there
        ]
        insert_new(connection, leaver_versions, rows)
        connection.execute(
            update(look_backs)
            .where(look_backs.c.id == self._group.ids[0])
            .values(events=self._rescoring.events, changed=self._rescoring.changed)
        )

    def _last_block(self) -> int:
        with self._database.begin() as connection:
            return last_block(connection)

    def _require_waiting(self, connection: Connection) -> None:
        """Within a write transaction: nothing was erased, and the rows are still there."""
        if _last_erasure(connection) != self._erasures or unfinished_erasures(connection):
            raise Anew("something is being erased")
        waiting = select(func.count()).where(
            look_backs.c.id.in_(self._group.ids), look_backs.c.finished_at.is_(None)
        )
        if connection.execute(waiting).scalar_one() != len(self._group.ids):
            raise Anew("what waited is gone")

    def _take_over_people(self) -> None:
        """What is declared changed while this went on: it may be about others."""
        with self._database.read() as connection:
            found = newer_directory(connection, self._memory.directory)
            if found is self._memory.directory:
                return
            newer = Enricher(found)
        if not self._memory.enricher.agrees_with(newer):
            raise Anew("what is declared of them changed again")
        self._memory.enricher = newer

    def _end(self, above: int) -> None:
        memory, clock = self._memory, self._clock
        with self._database.begin() as connection:
            self._require_waiting(connection)
            if people_version(connection) != memory.directory.version:
                raise Anew("what is declared changed at the last moment")
            versions = lock_versions(connection, self._subjects)
            self._counted.load(connection)
            places = stored_places(connection, self._subjects, self._first_day, above=above)
            for portion in places.portions(BLOCKS_A_PORTION):
                self._write_versions(connection, list(self._rescoring.read(connection, portion)))
            self._require_all()
            memory.scorer.settle(connection)
            self._rescoring.suspected.merge(connection, first_local_day(memory.first_day))
            self._keep_unread_days(connection)
            self._keep_anomalies(connection)
            states = [memory.subjects[subject] for subject in self._subjects]
            memory.drop_late(states)
            now = clock()
            outcome = write_outcome(
                connection,
                memory,
                states,
                self._rescoring.moved,
                versions,
                first_day=self._first_day,
                now=now,
            )
            mine = update(look_backs).where(look_backs.c.id.in_(self._group.ids))
            connection.execute(mine.values(finished_at=now, events=0, changed=0))
            connection.execute(
                update(look_backs)
                .where(look_backs.c.id == self._group.ids[0])
                .values(
                    events=self._rescoring.events,
                    changed=self._rescoring.changed,
                    opened=outcome.opened,
                    joined=outcome.joined,
                )
            )
        _logger.info(
            "looked_back",
            extra={
                "people": len(self._group.people),
                "events": self._rescoring.events,
                "changed": self._rescoring.changed,
                "unreadable": self._rescoring.unreadable,
                "left_out": len(self._rescoring.suspected.missing),
                **outcome._asdict(),
            },
        )

    def _keep_unread_days(self, connection: Connection) -> None:
        unread = self._rescoring.unread_days
        stored_of = load_subjects(
            connection,
            sorted(unread),
            since=first_local_day(self._memory.first_day),
            activities_since=self._memory.first_activity_day,
        )
        for subject, stored in stored_of.items():
            keep_what_was_found(self._memory.subjects[subject], stored, unread[subject])

    def _keep_anomalies(self, connection: Connection) -> None:
        scorer = self._memory.scorer
        scores = scorer.model is not None and not scorer.model.cold_start
        for subject, stored in load_anomaly_days(connection, self._subjects, self._first_day).items():
            keep_anomalies(
                self._memory.subjects[subject], stored, self._first_day, scorer.model_id if scores else None
            )


def _last_erasure(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(erasures.c.id), 0))).scalar_one())


def unfinished_erasures(connection: Connection) -> bool:
    unfinished = select(erasures.c.id).where(erasures.c.finished_at.is_(None)).limit(1)
    return connection.execute(unfinished).first() is not None
