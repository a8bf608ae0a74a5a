"""What the records of a batch say of their agents: heartbeats, losses, spools, and what is odd about them."""

from __future__ import annotations

from event_schema.control_records import Heartbeat, Loss
from server.enrich.enrichment import CHANNEL_CHARACTERS
from server.ingest.admission import Admitted
from server.pipeline.activity_history import FEEDING
from server.pipeline.agent_state import AgentState, EpochState, Finding, FindingKind
from server.pipeline.batch_outcome import Batch
from server.pipeline.memory import Memory
from server.pipeline.watched_days import GrownDays
from server.retention import DAY_MS
from server.store.column_types import key_text


class AgentRecords:
    """Of one batch. `grown`: takes in the days on which an agent is now known to have watched."""

    def __init__(self, memory: Memory, batch: Batch, grown: GrownDays) -> None:
        self._memory = memory
        self._batch = batch
        self._grown = grown

    def heartbeat(self, agent: AgentState, found: Admitted, heartbeat: Heartbeat) -> None:
        received_at = found.logged.appended_at
        self.look_for_copy(agent, found)
        if agent.falls_behind(found.record.epoch, heartbeat, received_at):
            detail = f"a copy of spool {found.record.epoch} is in use, or an older state of the machine"
            self.find(agent.name, FindingKind.CLONED, detail, received_at)
        can_judge = self._memory.clock.hear(agent.name, heartbeat.sent_at, received_at)
        received_at = self._memory.clock.restamped(received_at)
        if agent.hear(heartbeat, received_at, judge_clock=can_judge) and agent.clock.offset:
            self.find(
                agent.name,
                FindingKind.CLOCK_WRONG,
                f"its clock is off by {-agent.clock.offset / 1000:.0f} s; times of its events are corrected",
                received_at,
            )
        today = received_at // DAY_MS
        first = max(today - 90, self._memory.first_day)
        own: set[int] = set()
        all_over: set[int] = set()
        for collector in heartbeat.collectors:
            days = (d for d in collector.days_watched[:90] if first <= d <= today)
            new = agent.watch(key_text(collector.name, CHANNEL_CHARACTERS), days)
            if new and collector.name in FEEDING:
                anywhere = self._memory.anywhere.add(collector.name, new)
                self._grown.add(agent.name, new, anywhere)
                own.update(new)
                all_over.update(anywhere)
        # Silence on these days was unknown until now: what was read of days before is stale.
        if own:
            self._memory.forget_backgrounds(min(own), seen_on=agent.name)
        if all_over:
            self._memory.forget_backgrounds(min(all_over))

    def loss(self, agent: AgentState, found: Admitted, loss: Loss) -> None:
        epoch = self.epoch(agent, found)
        new = epoch.seen.add(loss.first_seq, loss.first_seq + loss.count - 1)
        count = sum(last - first + 1 for first, last in new)
        epoch.lost += count
        self._batch.lost[loss.reason.value] += count
        agent.gap_changed = True
        if count:
            detail = (
                f"events {loss.first_seq} to {loss.first_seq + loss.count - 1} were dropped: {loss.reason}"
            )
            self.find(agent.name, FindingKind.EVENTS_LOST, detail, found.logged.appended_at, count)

    def epoch(self, agent: AgentState, found: Admitted) -> EpochState:
        epoch, further = agent.epoch(found.record.epoch, found.logged.appended_at)
        if further:
            detail = f"a further spool began, epoch {found.record.epoch}: rebuilt, or a copy of the agent"
            self.find(agent.name, FindingKind.NEW_EPOCH, detail, found.logged.appended_at)
        return epoch

    def look_for_copy(self, agent: AgentState, found: Admitted) -> None:
        newer = agent.newer_epoch(found.record.epoch, found.logged.appended_at)
        if newer is not None:
            detail = f"spools {found.record.epoch} and {newer} are in use at the same time: a copied identity"
            self.find(agent.name, FindingKind.CLONED, detail, found.logged.appended_at)

    def find(self, agent: str, kind: FindingKind, detail: str, at: int, count: int = 1) -> None:
        self._batch.findings.append(Finding(agent, kind, detail, at, count))
