"""All that the pipeline keeps in memory between batches. Thrown away whole when a commit fails.

Bounded: between batches everything is in the database, so what grows too large is simply forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Connection, select

from analytics.risk import notice_weights
from analytics.storage_model import StorageModel
from event_schema.leaver_fields import PersonStatus
from server.detection.storage_anomaly import CHANNEL, StorageAnomaly
from server.enrich.enrichment import Enricher
from server.ingest.admission import AgentStanding
from server.people.directory import Directory, PersonRecord, load_directory, people_version
from server.pipeline.agent_state import AgentState, load_agent, load_standing
from server.pipeline.subject_state import SubjectState, load_subjects
from server.store.tables import models

SUBJECTS_KEPT = 20_000
AGENTS_KEPT = 20_000
STANDING_KEPT_MS = 1000
"""Keys and revocations made by other processes hold after this time."""


class Memory:
    """`refresh` at the start of each batch, `tidy` after each commit."""

    def __init__(self, connection: Connection, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.subjects: dict[str, SubjectState] = {}
        self.agents: dict[str, AgentState] = {}
        self._standing_at: dict[str, int] = {}
        self._weights: dict[int, tuple[float, float]] = {}
        self.enricher = Enricher(load_directory(connection))
        self.scorer = StorageAnomaly(None, None, self.watched_days)
        self._load_model(connection)

    @property
    def directory(self) -> Directory:
        return self.enricher.directory

    def refresh(self, connection: Connection) -> None:
        """Takes over newer people and another active model."""
        if people_version(connection) != self.directory.version:
            self.enricher = Enricher(load_directory(connection))
            self._weights.clear()
        self._load_model(connection)

    def _load_model(self, connection: Connection) -> None:
        active = connection.execute(
            select(models.c.id).where(models.c.kind == CHANNEL, models.c.active).order_by(models.c.id.desc())
        ).scalar()
        if active == self.scorer.model_id:
            return
        model = None
        if active is not None:
            state = connection.execute(select(models.c.state).where(models.c.id == active)).scalar_one()
            model = StorageModel.from_bytes(bytes(state))
        self.scorer = StorageAnomaly(model, active, self.watched_days)

    def standing_of(self, connection: Connection, name: str) -> AgentStanding | None:
        """The registry's word on an agent, at most STANDING_KEPT_MS old."""
        now = self._clock()
        state = self.agents.get(name)
        if state is None:
            state = load_agent(connection, name)
            if state.standing is None:
                return None
            self.agents[name] = state
        elif now - self._standing_at[name] > STANDING_KEPT_MS or now < self._standing_at[name]:
            state.standing = load_standing(connection, name)
        else:
            return state.standing
        self._standing_at[name] = now
        return state.standing

    def ask_anew(self, connection: Connection, name: str) -> None:
        """The next standing_of() is the registry's word of now."""
        state = self.agents.get(name)
        if state is not None:
            state.standing = load_standing(connection, name)
            self._standing_at[name] = self._clock()

    def load_subjects(self, connection: Connection, subjects: Iterable[str]) -> None:
        missing = [subject for subject in dict.fromkeys(subjects) if subject not in self.subjects]
        if missing:
            loaded = load_subjects(connection, missing)
            self.subjects.update(loaded)
            for name in {agent for state in loaded.values() for agent in state.agents}:
                if name not in self.agents:
                    self.agents[name] = load_agent(connection, name)
                    self._standing_at[name] = self._clock()

    def watched_days(self, state: SubjectState) -> set[int]:
        """UTC days on which removable storage was watched on an endpoint that the subject was seen on."""
        found: set[int] = set()
        for name in state.agents:
            agent = self.agents.get(name)
            if agent is not None:
                found |= agent.watched.get(CHANNEL, set())
        return found

    def anomaly_weight(self, person: PersonRecord | None, day: int, time: int) -> float:
        """How much more likely a leak is before anything was seen: people on notice against all others."""
        weights = self._weights.get(day)
        if weights is None:
            people = list(self.directory.people())
            on_notice = sum(self.directory.status_at(p, time)[0] is PersonStatus.NOTICE for p in people)
            weights = notice_weights(on_notice / len(people) if people else 0.0)
            if len(self._weights) > 1000:
                self._weights.clear()
            self._weights[day] = weights
        return weights[self.directory.status_at(person, time)[0] is not PersonStatus.NOTICE]

    def tidy(self) -> None:
        """After a commit: nothing is dirty, so all may be forgotten."""
        if len(self.subjects) > SUBJECTS_KEPT:
            self.subjects.clear()
            self.scorer.forget_all()
        if len(self.agents) > AGENTS_KEPT:
            self.agents.clear()
            self._standing_at.clear()
            # Subjects refer to agents for their watched days.
            self.subjects.clear()
            self.scorer.forget_all()
