"""Plays a script through the real pipeline, in the script's own time.

Agents enrol, with keys and certificates of their own, and sign what they send; records go over the embedded
log; the pipeline's worker takes them into SQLite under a clock that the script moves. HR files and
declarations come in between, each at its moment, and what they change of the past is looked back at. Old
data goes as it does in an installation (events are kept for 90 days).

Until an alert is raised, each event of a leak is worked on as it arrives: so "how long after" is true. Else a
day's records are worked on together; cuts do not show in alerts.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from event_schema.codec import encode_event
from event_schema.control_records import CollectorState, Heartbeat, encode_control
from event_schema.wire import EVENTS_PER_RECORD_MAX, RecordKind, WireRecord, pack_control, pack_events
from policies.engine import PolicySet
from server.agents.registry import create_token, redeem_token
from server.alerts.ranking import HELD
from server.alerts.traits import AlertTrait
from server.config import ServerConfig
from server.data_directory import DataDirectory
from server.evaluation.departures.observed_acts import VERSION
from server.evaluation.departures.script import ACTOR, Script, ScriptFailed, Sent
from server.housekeeping import drop_old
from server.installation import created_installation
from server.log.embedded import EmbeddedLog
from server.look_back.looking_back import LookingBack
from server.pipeline.worker import PipelineWorker
from server.pki.authority import Authority
from server.store.database import Database, open_database
from server.store.tables import alerts, dead_letters

_DAY_MS: Final = 86_400_000
_EPOCH_BEGINS: Final = 1_767_225_600_000
"""2026-01-01: when the installation was made that all variants begin with."""
_TOGETHER_MS: Final = 1000
_SENT_TWICE: Final = 0.02
_EVENTS_DAYS: Final = 90
_ALERTS_DAYS: Final = 730
_USES_DAYS: Final = 730
_DROP_EVERY_MS: Final = 7 * _DAY_MS
_ALERTED: Final = select(alerts).where(alerts.c.status != HELD)


class RaisedAlert(msgspec.Struct, frozen=True):
    """As it stands when the script has ended. `opened_at`: ms UTC. subject, owner, suspect: as `alerts` has
    them. `traits`: what leads to the suspect. `rules`: titles."""

    family: str
    opened_at: int
    score: int
    subject: str
    owner: str | None
    suspect: str | None
    traits: tuple[AlertTrait, ...]
    rules: tuple[str, ...]
    sentence: str


class Template:
    """An installation that was just made: database with all tables, and CA. Copied for each variant, since
    making one takes longer than playing a script."""

    def __init__(self, folder: Path) -> None:
        directory = DataDirectory(folder)
        with created_installation(directory, ServerConfig(), clock=lambda: _EPOCH_BEGINS) as (_, authority):
            self.authority: Authority = authority
        self.database_path = directory.database_path


class _Agent:
    """One enrolled agent's key and numbers."""

    def __init__(self, name: str, dice: random.Random) -> None:
        self.name = name
        self.key = Ed25519PrivateKey.generate()
        self.epoch = f"{dice.getrandbits(64):016x}"
        self.next_seq = 0
        self.heard_on = -1

    def records(self, sent: list[Sent]) -> Iterator[WireRecord]:
        for first in range(0, len(sent), EVENTS_PER_RECORD_MAX):
            events = [encode_event(each.event) for each in sent[first : first + EVENTS_PER_RECORD_MAX]]
            yield pack_events(
                self.key, agent=self.name, epoch=self.epoch, first_seq=self.next_seq, events=events
            )
            self.next_seq += len(events)

    def heartbeat(self, now: int, collectors: set[str]) -> WireRecord:
        states = tuple(
            CollectorState(
                name=name, state="running", observed=0, restarts=0, dropped={}, days_watched=(now // _DAY_MS,)
            )
            for name in sorted(collectors)
        )
        said = Heartbeat(
            sent_at=now,
            version=VERSION,
            next_seq=self.next_seq,
            backlog_events=0,
            backlog_bytes=0,
            lost_events=0,
            collectors=states,
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


class Replay:
    """One script in an installation of its own, in `folder`."""

    def __init__(self, script: Script, template: Template, policies: PolicySet, folder: Path) -> None:
        self._script = script
        self._template = template
        self._dice = script.dice
        self._now = script.at(0, 0)
        shutil.copy(template.database_path, folder / "leaver.db")
        self._database: Database = open_database(f"sqlite:///{folder}/leaver.db", clock=self._clock)
        self._log = EmbeddedLog(folder / "log.db", self._clock)
        self._worker = PipelineWorker(
            self._database,
            self._log,
            clock=self._clock,
            policies=policies,
            events_days=_EVENTS_DAYS,
            uses_days=_USES_DAYS,
        )
        self._looking_back = LookingBack(
            self._database, clock=self._clock, policies=policies, events_days=_EVENTS_DAYS
        )
        self._agents: dict[str, _Agent] = {}
        self._drop_at = self._now + _DROP_EVERY_MS
        self._has_alert = False
        self._events = 0

    def _clock(self) -> int:
        return self._now

    def run(self) -> tuple[RaisedAlert, ...]:
        """Raises ScriptFailed where the pipeline or an import refuses something."""
        try:
            self._begin()
            for at, happens in self._in_turn():
                self._now = max(self._now, at)
                happens()
            self._check()
            return tuple(self._raised())
        finally:
            self._log.close()
            self._database.close()

    def _begin(self) -> None:
        with self._database.begin() as connection:
            self._script.settings(connection)
            for name in sorted({sent.agent for sent in self._script.sent}):
                agent = self._agents[name] = _Agent(name, self._dice)
                token = create_token(connection, name, now=self._now, actor=ACTOR)
                redeem_token(
                    connection, token, agent.key.public_key(), self._template.authority, now=self._now
                )

    # ---- what comes when ----------------------------------------------------------------------------------

    def _in_turn(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """(when, what is to be done then), in the order of time."""
        declared = sorted(self._script.declared, key=lambda each: each.at)
        waiting: list[Sent] = []
        for sent in self._arrivals():
            while declared and declared[0].at <= sent.arrives:
                if waiting:
                    yield waiting[-1].arrives, self._taking(waiting)
                    waiting = []
                fact = declared.pop(0)
                yield fact.at, self._declaring(fact.apply)
            if waiting and not self._belongs(waiting, sent):
                yield waiting[-1].arrives, self._taking(waiting)
                waiting = []
            waiting.append(sent)
        if waiting:
            yield waiting[-1].arrives, self._taking(waiting)
        for fact in declared:
            yield fact.at, self._declaring(fact.apply)

    def _arrivals(self) -> list[Sent]:
        """An agent sends in the order in which it saw, and nothing while it is offline."""
        found: list[Sent] = []
        free: dict[str, int] = {}
        for sent in sorted(self._script.sent, key=lambda each: each.time):
            arrives = max(sent.arrives, free.get(sent.agent, 0))
            for machine, first, last in self._script.offline:
                if machine == sent.agent and first <= arrives < last:
                    arrives = last
            free[sent.agent] = arrives
            found.append(sent._replace(arrives=arrives))
        return sorted(found, key=lambda each: each.arrives)

    def _belongs(self, waiting: list[Sent], sent: Sent) -> bool:
        """Whether it is worked on together with what waits."""
        if not self._has_alert and waiting[-1].is_leak:
            return sent.arrives - waiting[-1].arrives < _TOGETHER_MS
        return waiting[0].arrives // _DAY_MS == sent.arrives // _DAY_MS

    # ---- what is done -------------------------------------------------------------------------------------

    def _taking(self, waiting: list[Sent]) -> Callable[[], None]:
        return lambda: self._take(waiting)

    def _declaring(self, apply: Callable[[Any, int], None]) -> Callable[[], None]:
        def declare() -> None:
            with self._database.begin() as connection:
                apply(connection, self._now)
            while self._looking_back.step():
                pass
            with self._database.read() as connection:
                self._has_alert = connection.execute(_ALERTED.limit(1)).first() is not None

        return declare

    def _take(self, waiting: list[Sent]) -> None:
        by_agent: dict[str, list[Sent]] = {}
        for sent in waiting:
            by_agent.setdefault(sent.agent, []).append(sent)
        names = sorted(by_agent)
        self._dice.shuffle(names)
        records: list[WireRecord] = []
        for name in names:
            agent = self._agents[name]
            for record in agent.records(by_agent[name]):
                # At least once: an agent that did not hear the answer sends it again.
                records += [record, record] if self._dice.random() < _SENT_TWICE else [record]
            today = self._now // _DAY_MS
            if agent.heard_on != today:
                agent.heard_on = today
                seen_by = {sent.event.metadata.log_name for sent in by_agent[name]}
                records.append(agent.heartbeat(self._now, seen_by))
        self._log.append(records)
        self._work()
        if self._now >= self._drop_at:
            self._drop_at = self._now + _DROP_EVERY_MS
            drop_old(
                self._database,
                now=self._now,
                events_days=_EVENTS_DAYS,
                alerts_days=_ALERTS_DAYS,
                uses_days=_USES_DAYS,
                stop=threading.Event(),
            )

    def _work(self) -> None:
        while True:
            done = self._worker.step(0)
            self._events += done.events
            self._has_alert = self._has_alert or bool(done.alerts_opened)
            if not done.records:
                return

    def _check(self) -> None:
        with self._database.read() as connection:
            refused = connection.execute(select(dead_letters.c.reason, dead_letters.c.message)).first()
        if refused is not None:
            raise ScriptFailed(f"the pipeline refused an event: {refused.reason}: {refused.message}")
        if self._events != len(self._script.sent):
            raise ScriptFailed(f"{len(self._script.sent)} events were sent, {self._events} were counted")

    def _raised(self) -> Iterator[RaisedAlert]:
        with self._database.read() as connection:
            rows = connection.execute(_ALERTED.order_by(alerts.c.opened_at, alerts.c.id)).all()
        for row in rows:
            yield RaisedAlert(
                family=row.family,
                opened_at=row.opened_at,
                score=row.score,
                subject=row.subject,
                owner=row.account_owner,
                suspect=row.suspected_actor,
                traits=msgspec.convert(row.traits, tuple[AlertTrait, ...]),
                rules=tuple(rule["title"] for rule in row.facts["rules"]),
                sentence=row.sentence["en"],
            )
