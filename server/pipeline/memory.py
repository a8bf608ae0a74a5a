"""All that the pipeline keeps in memory between batches. Thrown away whole when a batch fails.

Bounded: between batches everything is in the database, so what grows too large is simply forgotten. Other
workers change the database too: each state is looked at before its first use in a batch, and loaded anew
where its version has moved (state_versions.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Connection, select

from analytics.anomaly_model import AnomalyModel
from analytics.risk import notice_weights
from analytics.sealed_bytes import StoredStateError
from event_schema.leaver_fields import PersonStatus
from policies.engine import PolicySet
from server.detection.anomaly_scoring import AnomalyScoring
from server.enrich.enrichment import Enricher
from server.enrich.known_exports import KnownExports
from server.enrich.surroundings import Surroundings, surroundings_of
from server.enrich.trait_uses import TraitUses
from server.ingest.admission import AgentStanding
from server.people.directory import Directory, PersonRecord, load_directory
from server.people.directory_changes import newer_directory
from server.people.pseudonyms import pseudonym_key
from server.pipeline.activity_history import FEEDING
from server.pipeline.agent_state import AgentState, load_agents, load_standings
from server.pipeline.state_versions import AGENT, agent_key, lock_versions, versions_of
from server.pipeline.subject_activities import load_activities
from server.pipeline.subject_state import SubjectState, load_subjects
from server.pipeline.watched_anywhere import WatchedAnywhere
from server.policies.running import PolicyLoader, RunningPolicies
from server.policies.versions import set_version
from server.retention import (
    ACTIVITY_DAYS,
    WATCHED_DAYS,
    first_activity_day,
    first_day_kept,
    first_local_day,
)
from server.store.tables import models
from server.training.stored_models import KIND, ActiveBudget, active_budget, load_model
from server.trusted_clock import PlainClock, ServerClock, TrustedClock

SUBJECTS_KEPT = 20_000
ACTIVITY_DAYS_REMEMBERED = 10
"""Of each subject: of older days few events come."""
AGENTS_KEPT = 20_000
CORRELATED_KEPT = 500_000
"""Events in the windows of all subjects' correlations, or about as much: 110 MB."""
STANDING_KEPT_MS = 1000
"""Keys and revocations made by other processes hold after this time."""

_logger = logging.getLogger("leaver.pipeline")


class Memory:
    """`refresh` at the start of each batch, `tidy` after each commit.

    `first_day`: the oldest UTC day that counts; `first_activity_day`: the oldest local one of activities.
    events_days: how many days count; None: all. uses_days: the same of uses (trait_uses.py), activity_days:
    of sums by activity. policies: instead of those that the database has."""

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], int],
        *,
        events_days: int | None = None,
        uses_days: int | None = None,
        activity_days: int = ACTIVITY_DAYS,
        policies: PolicySet | None = None,
    ) -> None:
        self.place_key = pseudonym_key(connection)
        self.clock: ServerClock = clock if isinstance(clock, TrustedClock) else PlainClock(clock)
        self._events_days = events_days
        self._uses_days = uses_days
        self._activity_days = activity_days
        self.first_day = first_day_kept(self.clock.for_deletion(), events_days)
        self.first_activity_day = first_activity_day(self.clock.for_deletion(), activity_days)
        self.subjects: dict[str, SubjectState] = {}
        self.agents: dict[str, AgentState] = {}
        self._standing_at: dict[str, int] = {}
        self._locks = False
        self._loaded: dict[str, int] = {}
        self._current: dict[str, int] = {}
        self._weights: dict[int, tuple[float, float]] = {}
        self._correlated: dict[str, int] = {}
        self._correlated_total = 0
        self.enricher = Enricher(load_directory(connection))
        self._loader = None if policies is not None else PolicyLoader()
        self.rules = RunningPolicies(policies or PolicySet([]), number=-1)
        self._load_policies(connection)
        self.exports = KnownExports()
        self.uses = TraitUses()
        self._surroundings = surroundings_of(self.enricher, self.uses)
        self.anywhere = WatchedAnywhere()
        self.anywhere.refresh(connection, self.first_watched_day)
        self.scorer = AnomalyScoring(None, None, self, self.directory.calendar)
        self._unusable: ActiveBudget | None = None
        self._load_model(connection)

    @property
    def budget(self) -> ActiveBudget | None:
        """The active model's. None: there is none."""
        if self.scorer.model is None:
            return self._unusable
        content = self.scorer.model.content
        return ActiveBudget(content.alerts_per_1000_a_day, content.subjects, content.risk_line)

    @property
    def surroundings(self) -> Surroundings:
        """Over the people that are known now."""
        if self._surroundings.who_is_who is not self.enricher:
            self._surroundings = surroundings_of(self.enricher, self.uses)
        return self._surroundings

    @property
    def first_use_day(self) -> int:
        """The oldest UTC day of which uses of machines, addresses and accounts count."""
        return first_day_kept(self.clock.for_deletion(), self._uses_days)

    @property
    def first_watched_day(self) -> int:
        """The oldest UTC day of which it matters whether a collector ran."""
        return first_day_kept(self.clock.for_deletion(), WATCHED_DAYS)

    @property
    def directory(self) -> Directory:
        return self.enricher.directory

    def refresh(self, connection: Connection, *, lock: bool = False) -> None:
        """At the start of a batch: takes over newer people, newer policies and another active model. `lock`:
        nobody else may change what the batch will; the connection can write."""
        self._locks = lock
        self._current.clear()
        first_day = first_day_kept(self.clock.for_deletion(), self._events_days)
        activity_day = first_activity_day(self.clock.for_deletion(), self._activity_days)
        if first_day != self.first_day:
            # Once a day, unless all days count; what is past its end is not loaded again.
            self.forget_all()
        self.first_day, self.first_activity_day = first_day, activity_day
        newer = newer_directory(connection, self.directory)
        if newer is not self.directory:
            calendar = self.directory.calendar.name
            self.enricher = Enricher(newer)
            self._weights.clear()
            if self.directory.calendar.name != calendar:
                self.scorer = AnomalyScoring(None, None, self, self.directory.calendar)
            # Their versions may begin anew.
            erased = self.directory.erased
            self.forget([subject for subject in self.subjects if erased.was_erased(subject)])
        changed = self.anywhere.refresh(connection, self.first_watched_day)
        if changed is not None:
            self.forget_backgrounds(changed)
        self._load_policies(connection)
        self._load_model(connection)

    def _load_policies(self, connection: Connection) -> None:
        if self._loader is None:
            return
        number = set_version(connection)
        if number != self.rules.number:
            self.rules = self._loader.load(connection, number)

    def _load_model(self, connection: Connection) -> None:
        active = connection.execute(
            select(models.c.id).where(models.c.kind == KIND, models.c.active).order_by(models.c.id.desc())
        ).scalar()
        if active == self.scorer.model_id:
            return
        model: AnomalyModel | None = None
        self._unusable = None
        if active is not None:
            try:
                model = load_model(connection, active)
            except StoredStateError as error:
                # Another version's. Events are taken in all the same, and the next model scores again.
                _logger.warning("model_not_usable", extra={"model": active, "detail": str(error)})
                self._unusable = active_budget(connection)
        self.scorer = AnomalyScoring(model, active, self, self.directory.calendar)

    def _look_at(self, connection: Connection, keys: Iterable[str], *, lock: bool) -> None:
        """Forgets those of these states that another worker changed. Once for each key and batch, so that
        what the batch itself has changed by now stays."""
        unseen = [key for key in keys if key not in self._current]
        if not unseen:
            return
        self._current.update((lock_versions if lock else versions_of)(connection, unseen))
        self.forget([key for key in unseen if self._loaded.get(key) != self._current[key]])

    def forget(self, keys: Iterable[str]) -> None:
        """They are loaded anew when they are needed."""
        for key in keys:
            self._loaded.pop(key, None)
            if key.startswith(AGENT):
                self.agents.pop(key.removeprefix(AGENT), None)
                self._standing_at.pop(key.removeprefix(AGENT), None)
            else:
                self.subjects.pop(key, None)
                self._correlated_total -= self._correlated.pop(key, 0)
                self.scorer.forget_subject(key)

    def forget_backgrounds(self, changed_day: int, seen_on: str | None = None) -> None:
        """Collectors are known to have run on a further day: what later ones are measured against is stale,
        of everybody, or of the subjects seen on this agent."""
        for subject in self.scorer.known_since(changed_day):
            state = self.subjects.get(subject)
            if seen_on is None or state is None or seen_on in state.agents:
                self.scorer.forget(subject, changed_day)

    def forget_all(self) -> None:
        """All states; people and model stay."""
        self.forget([*self.subjects, *map(agent_key, self.agents)])
        self.scorer.abandon()

    def versions(self, keys: Iterable[str]) -> dict[str, int]:
        """Of states that the batch has looked at: what it is worked out from."""
        return {key: self._current[key] for key in keys}

    def committed(self, versions: Mapping[str, int]) -> None:
        """A commit raised these versions by one. A state that was behind stays so: a commit also raises those
        of subjects whose watched days it widens, without having looked at them."""
        self.anywhere.written()
        self._loaded.update(
            (key, version) for key, version in versions.items() if self._loaded.get(key) == version - 1
        )

    def look_at_agents(self, connection: Connection, names: Iterable[str]) -> None:
        """Before any of them is asked for in a batch that will change them; loads those that are new."""
        wanted = list(names)
        self._look_at(connection, map(agent_key, wanted), lock=self._locks)
        unknown = [name for name in wanted if name not in self.agents]
        for state in load_agents(connection, unknown, since=self.first_watched_day):
            if state.standing is not None:
                self._keep(state)

    def standing_of(self, connection: Connection, name: str) -> AgentStanding | None:
        """The registry's word on an agent of this batch, at most STANDING_KEPT_MS old."""
        now = self.clock()
        state = self.agents.get(name)
        if state is None:
            # look_at_agents found nobody of this name.
            return None
        if now - self._standing_at[name] > STANDING_KEPT_MS or now < self._standing_at[name]:
            self.ask_anew(connection, name)
        return state.standing

    def ask_anew(self, connection: Connection, name: str) -> None:
        """The next standing_of() is the registry's word of now."""
        state = self.agents.get(name)
        if state is not None:
            state.standing = load_standings(connection, [name]).get(name)
            self._standing_at[name] = self.clock()

    def _keep(self, agent: AgentState) -> None:
        self.agents[agent.name] = agent
        self._standing_at[agent.name] = self.clock()
        self._loaded[agent_key(agent.name)] = self._current[agent_key(agent.name)]

    def load_subjects(
        self, connection: Connection, subjects: Iterable[str], *, lock: bool | None = None
    ) -> None:
        """Their states and those of the agents that they were seen on, as the connection has them. `lock`:
        other than `refresh` said: False where the batch changes none of them."""
        wanted = list(dict.fromkeys(subjects))
        self._look_at(connection, wanted, lock=self._locks if lock is None else lock)
        missing = [subject for subject in wanted if subject not in self.subjects]
        if missing:
            since = first_local_day(self.first_day)
            self.subjects.update(
                load_subjects(connection, missing, since=since, activities_since=self._activities_since())
            )
            self._loaded.update(self.versions(missing))
            self.measure(missing)
        seen_on = {agent for subject in wanted for agent in self.subjects[subject].agents}
        # Of agents that are not this batch's only the watched days matter. Whoever adds one raises the
        # versions of all subjects seen there too.
        self._look_at(connection, map(agent_key, seen_on), lock=False)
        for state in load_agents(connection, seen_on - self.agents.keys(), since=self.first_watched_day):
            self._keep(state)

    def take_older_day(self, connection: Connection, state: SubjectState, day: int) -> None:
        """Before an event of a local day of which memory does not know what is stored."""
        if not state.activities.is_whole(day):
            stored = load_activities(connection, [state.subject], day, days=(day,))
            state.activities.take_older(day, stored[state.subject])

    def _activities_since(self) -> int:
        return self.first_activity_day + self._activity_days - ACTIVITY_DAYS_REMEMBERED

    def measure(self, subjects: Iterable[str]) -> None:
        """What their correlations take by now, for `tidy`."""
        for subject in subjects:
            size = self.subjects[subject].correlations.size
            self._correlated_total += size - self._correlated.get(subject, 0)
            self._correlated[subject] = size

    def watched_days(self, state: SubjectState) -> dict[str, set[int]]:
        """UTC days by collector, on machines where the subject was seen."""
        found: dict[str, set[int]] = {}
        for name in state.agents:
            agent = self.agents.get(name)
            for collector, days in () if agent is None else agent.watched.items():
                if collector in FEEDING:
                    found[collector] = found.get(collector, set()) | days
        return found

    def watched_anywhere(self) -> Mapping[str, set[int]]:
        """The same on any machine, of collectors that see the whole company."""
        return self.anywhere.days

    def anomaly_weight(self, person: PersonRecord | None, day: int) -> float:
        """How much more likely a leak is before anything was seen: people on notice against all others, each
        on this local day of theirs."""
        weights = self._weights.get(day)
        if weights is None:
            people = list(self.directory.people())
            on_notice = sum(self.directory.status_on(p, day)[0] is PersonStatus.NOTICE for p in people)
            weights = notice_weights(on_notice / len(people) if people else 0.0)
            if len(self._weights) > 1000:
                self._weights.clear()
            self._weights[day] = weights
        return weights[self.directory.status_on(person, day)[0] is not PersonStatus.NOTICE]

    def has_left(self, person: PersonRecord | None, day: int) -> bool:
        """Before this local day of theirs began."""
        return self.directory.status_on(person, day)[0] is PersonStatus.LEFT

    def drop_late(self, subjects: Iterable[SubjectState]) -> None:
        """Before a batch's commit: what came of days that are past their end."""
        for state in subjects:
            state.drop_before(first_local_day(self.first_day))
            state.activities.drop_before(self.first_activity_day)

    def tidy(self) -> None:
        """After a commit: nothing is dirty, so all may be forgotten."""
        if len(self.agents) > AGENTS_KEPT:
            # Subjects refer to agents for their watched days.
            self.forget_all()
        elif len(self.subjects) > SUBJECTS_KEPT or self._correlated_total > CORRELATED_KEPT:
            self.forget(list(self.subjects))
