"""What the pipeline remembers of one agent: keys, clock, sequence numbers, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from event_schema.control_records import Heartbeat
from server.ingest.admission import AgentStanding
from server.ingest.event_clock import AgentClock
from server.ingest.sequences import SeenNumbers
from server.retention import EVER
from server.store.tables import agent_epochs, agent_keys, agents, collector_days

LATE_MS = 5_000
NAMES_AT_ONCE = 500
"""In one query."""


class FindingKind(StrEnum):
    """What can be odd about an agent. Closed list."""

    GAP = "gap"
    NEW_EPOCH = "new_epoch"
    CLONED = "cloned"
    EVENTS_LOST = "events_lost"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_AGENT = "unknown_agent"
    REVOKED_AGENT = "revoked_agent"
    UNREADABLE = "unreadable"
    CLOCK_WRONG = "clock_wrong"
    LOG_TRIMMED = "log_trimmed"


class Finding(msgspec.Struct, frozen=True):
    """`count` adds to an open finding of the same agent and kind."""

    agent: str
    kind: FindingKind
    detail: str
    at: int
    count: int = 1


class EpochState(msgspec.Struct):
    first_seen: int
    seen: SeenNumbers
    lost: int = 0
    duplicates: int = 0


class AgentState:
    """Mutable. `written` forgets what was changed."""

    def __init__(self, name: str, standing: AgentStanding | None, clock: AgentClock) -> None:
        self.name = name
        self.standing = standing
        self.clock = clock
        self.epochs: dict[str, EpochState] = {}
        self.watched: dict[str, set[int]] = {}
        self.heartbeat: tuple[int, Heartbeat] | None = None
        self.clock_changed = False
        self.dirty_epochs: set[str] = set()
        self.new_watched: list[tuple[str, int]] = []
        self.gap_changed = False
        self.last_received = 0
        self.delay: int | None = None

    def epoch(self, name: str, received_at: int) -> tuple[EpochState, bool]:
        """(state of the epoch, whether it is a further one of this agent and new)."""
        found = self.epochs.get(name)
        self.dirty_epochs.add(name)
        self.last_received = received_at
        if found is not None:
            return found, False
        further = bool(self.epochs)
        found = self.epochs[name] = EpochState(received_at, SeenNumbers())
        return found, further

    def newer_epoch(self, name: str, received_at: int) -> str | None:
        """A spool begun after that of `name`, and heard of before `received_at`: an agent that rebuilt its
        spool never goes back to the older one, so that two machines speak as this agent."""
        known = self.epochs.get(name)
        if known is None:
            return None
        for other, epoch in self.epochs.items():
            if known.first_seen < epoch.first_seen < received_at:
                return other
        return None

    def falls_behind(self, name: str, heartbeat: Heartbeat, received_at: int) -> bool:
        """Whether a heartbeat tells of fewer events than came from this spool before it: a copy of it is
        in use, or an older state of the machine. One that took longer than the last to arrive means
        nothing: the agent may have given up on it, and gone on."""
        known = self.epochs.get(name)
        if known is None or heartbeat.next_seq > known.seen.highest():
            return False
        return self.delay is not None and received_at - heartbeat.sent_at - self.delay < LATE_MS

    def hear(self, heartbeat: Heartbeat, received_at: int, *, judge_clock: bool = True) -> bool:
        """Takes in a heartbeat. False for one that is no news: sent again, or overtaken by a newer one.
        Without `judge_clock` the server doubts its own clock, and the agent's offset stays."""
        before = self.clock
        if judge_clock:
            steps = tuple((step.first_seq, step.change_ms) for step in heartbeat.clock_steps)
            self.clock = before.heard(heartbeat.sent_at, received_at, steps)
        else:
            self.clock = before.overheard(heartbeat.sent_at)
        self.clock_changed |= self.clock != before
        if self.clock.sent_at != heartbeat.sent_at or before.sent_at == heartbeat.sent_at:
            return False
        self.heartbeat = (received_at, heartbeat)
        self.delay = received_at - heartbeat.sent_at
        return True

    def watch(self, collector: str, days: Iterable[int]) -> list[int]:
        """Notes on which UTC days the collector ran. Returns those that are news."""
        known = self.watched.setdefault(collector, set())
        new = sorted(set(days) - known)
        known.update(new)
        self.new_watched.extend((collector, day) for day in new)
        return new

    def missing(self) -> int:
        """Numbers of all epochs that should have come and did not."""
        return sum(last - first + 1 for epoch in self.epochs.values() for first, last in epoch.seen.gaps())

    def first_gap(self) -> str:
        for name, epoch in self.epochs.items():
            for first, last in epoch.seen.gaps():
                return f"events {first} to {last} of epoch {name} never came"
        return ""

    def written(self) -> None:
        self.dirty_epochs.clear()
        self.new_watched.clear()
        self.heartbeat = None
        self.clock_changed = False
        self.gap_changed = False


def load_agents(connection: Connection, names: Iterable[str], *, since: int = EVER) -> list[AgentState]:
    """Agents as the database has them; one whose name is not enrolled has no standing. since: UTC day."""
    wanted = list(names)
    states: list[AgentState] = []
    for start in range(0, len(wanted), NAMES_AT_ONCE):
        states += _load_part(connection, wanted[start : start + NAMES_AT_ONCE], since)
    return states


def _load_part(connection: Connection, names: list[str], since: int) -> list[AgentState]:
    standings = load_standings(connection, names)
    states = {name: AgentState(name, standings.get(name), AgentClock()) for name in names}
    clocks = select(
        agents.c.name,
        agents.c.clock_offset,
        agents.c.clock_doubted_since,
        agents.c.clock_doubted,
        agents.c.heartbeat_at,
        agents.c.heartbeat,
    )
    for row in connection.execute(clocks.where(agents.c.name.in_(names))):
        state = states[row.name]
        sent_at = None if row.heartbeat is None else row.heartbeat["sent_at"]
        told = () if row.heartbeat is None else row.heartbeat.get("clock_steps", ())
        steps = tuple((step["first_seq"], step["change_ms"]) for step in told)
        state.clock = AgentClock(row.clock_offset, sent_at, row.clock_doubted_since, row.clock_doubted, steps)
        if sent_at is not None:
            state.delay = row.heartbeat_at - sent_at
    epochs = select(agent_epochs).where(agent_epochs.c.agent.in_(list(standings)))
    for epoch in connection.execute(epochs):
        states[epoch.agent].epochs[epoch.epoch] = EpochState(
            epoch.first_seen, SeenNumbers(epoch.seen), epoch.lost, epoch.duplicates
        )
    watched = select(collector_days).where(
        collector_days.c.agent.in_(list(standings)), collector_days.c.day >= since
    )
    for day in connection.execute(watched):
        states[day.agent].watched.setdefault(day.collector, set()).add(day.day)
    return list(states.values())


def load_standings(connection: Connection, names: list[str]) -> dict[str, AgentStanding]:
    """Keys and revocation of those agents that are enrolled, or were."""
    revoked = {
        row.name: row.revoked_at
        for row in connection.execute(
            select(agents.c.name, agents.c.revoked_at).where(agents.c.name.in_(names))
        )
    }
    keys: dict[str, list[Ed25519PublicKey]] = {name: [] for name in revoked}
    query = (
        select(agent_keys.c.agent, agent_keys.c.public_key)
        .where(agent_keys.c.agent.in_(list(revoked)))
        .order_by(agent_keys.c.not_before.desc(), agent_keys.c.key_id)
    )
    for row in connection.execute(query):
        keys[row.agent].append(Ed25519PublicKey.from_public_bytes(bytes(row.public_key)))
    return {name: AgentStanding(tuple(keys[name]), revoked_at) for name, revoked_at in revoked.items()}
