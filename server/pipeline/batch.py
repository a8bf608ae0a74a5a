"""One micro-batch: from records of the log to all that its commit will write. Reads, never writes.

Order: records as they lie on the log. For each event: is it new, is its time possible, who and what is
known (enrich), which policies fire, what does the day add up to, how strange is it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
import orjson
import zstandard
from sqlalchemy import Connection

from event_schema.ocsf_events import Event
from event_schema.wire import Rejected
from server.enrich.enrichment import Enriched
from server.enrich.settings import Setting
from server.enrich.who import Who, WhoByTime, is_nobodys
from server.ingest.admission import Admitted, AgentStanding, admit, dead_letter
from server.ingest.event_clock import is_future_dated
from server.log.contract import LoggedRecord
from server.pipeline.agent_records import AgentRecords
from server.pipeline.agent_state import AgentState, FindingKind
from server.pipeline.batch_outcome import Batch, Block
from server.pipeline.event_runs import EventRuns
from server.pipeline.event_scoring import EventScoring
from server.pipeline.hit_counting import EventPlace
from server.pipeline.memory import Memory
from server.pipeline.suspected_acts import SuspectedActs
from server.pipeline.watched_days import GrownDays
from server.retention import DAY_MS

_AGENT_CHARACTERS = 64
_About = tuple[Setting | None, Who | WhoByTime | None]
_NOBODY: Final[_About] = (None, None)
_FINDING_OF = {
    Rejected.BAD_SIGNATURE: FindingKind.BAD_SIGNATURE,
    Rejected.UNKNOWN_AGENT: FindingKind.UNKNOWN_AGENT,
    Rejected.REVOKED_AGENT: FindingKind.REVOKED_AGENT,
}


class BatchReader:
    """Works on one read snapshot of the database."""

    def __init__(self, memory: Memory, connection: Connection) -> None:
        self._memory = memory
        self._connection = connection
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._batch = Batch()
        suspected = SuspectedActs(memory, self._batch, connection)
        self._scoring = EventScoring(memory, self._batch.hidden, suspected.counted_for, connection)
        self._batch.correlation_counts = self._scoring.correlating.counts
        self._runs = EventRuns(memory, self._scoring)
        self._grown = GrownDays()
        self._agents = AgentRecords(memory, self._batch, self._grown)
        self._asked_anew: set[str] = set()

    def read(self, records: Sequence[LoggedRecord]) -> Batch:
        senders = (logged.record.agent for logged in records if logged.record is not None)
        # Longer ones are refused before anybody asks who that is.
        self._memory.look_at_agents(self._connection, {n for n in senders if len(n) <= _AGENT_CHARACTERS})
        admitted = [found for logged in records if (found := self._admit(logged)) is not None]
        events = (event for found in admitted for event in found.events or ())
        self._memory.exports.load(self._connection, events, self._memory.first_day)
        about = [self._about(found) for found in admitted]
        self._memory.load_subjects(self._connection, _subjects(about))
        self._load_uses(about)
        for found, each in zip(admitted, about, strict=True):
            agent = self._memory.agents[found.record.agent]
            self._batch.agents[agent.name] = agent
            if found.events is not None:
                self._events(agent, found, found.events, each)
            elif found.loss is not None:
                self._agents.loss(agent, found, found.loss)
            elif found.heartbeat is not None:
                self._agents.heartbeat(agent, found, found.heartbeat)
            if self._memory.scorer.is_full:
                self._memory.scorer.settle(self._connection)
        self._batch.uses = self._memory.uses.rows()
        self._batch.uses_dropped = self._memory.uses.dropped
        self._batch.sessions_dropped = self._memory.surroundings.sessions_dropped
        self._memory.scorer.settle(self._connection)
        self._batch.watched_anywhere = self._memory.anywhere.rows()
        self._memory.drop_late(self._batch.subjects.values())
        self._take_in_concerned()
        for logged in records:
            after = logged.offset + 1
            self._batch.positions[logged.partition] = max(
                after, self._batch.positions.get(logged.partition, 0)
            )
        return self._batch

    def _take_in_concerned(self) -> None:
        """Subjects without an event in this batch, whose alerts its heartbeats change."""
        concerned = [s for s in self._grown.concerned(self._connection) if s not in self._batch.subjects]
        self._memory.load_subjects(self._connection, concerned)
        for subject in concerned:
            self._batch.subjects[subject] = self._memory.subjects[subject]
            self._batch.people[subject] = self._memory.enricher.person_of(subject)
        self._batch.touched = self._grown.touched(self._connection)

    def _load_uses(self, about: list[list[_About]]) -> None:
        acts = {
            (id(setting), id(whose)): (setting, whose)
            for each in about
            for setting, whose in each
            if whose is not None and setting is not None
        }
        self._memory.surroundings.load(self._connection, acts.values(), self._memory.first_use_day)

    def _about(self, found: Admitted) -> list[_About]:
        """Of each event of the record its setting, and whom it is about, whenever it was. None: nobody,
        somebody who was erased, or the event could not be read."""
        settings = self._memory.surroundings.settings
        all_of_them = [None if event is None else settings.of(event) for event in found.events or ()]
        if not self._memory.directory.erased.accounts:
            return [_NOBODY if setting is None else (setting, setting.whose) for setting in all_of_them]
        return [
            (setting, None if event is None or is_nobodys(event) else self._whose(event))
            for event, setting in zip(found.events or (), all_of_them, strict=True)
        ]

    def _whose(self, event: Event) -> Who | WhoByTime | None:
        """Where some accounts are erased."""
        enricher = self._memory.enricher
        found = enricher.whose(event)
        if isinstance(found, Who):
            return None if enricher.erased(event, event.time) else found
        # Of an account that was erased and then given to somebody: nothing may be looked up under its name.
        moments = (found.starts[0] - 1, *found.starts)
        each = [
            None if enricher.erased(event, at) else who for at, who in zip(moments, found.each, strict=True)
        ]
        kept = next((who for who in each if who is not None), None)
        if kept is None:
            return None
        return WhoByTime(found.starts, tuple(who or kept for who in each))

    def _admit(self, logged: LoggedRecord) -> Admitted | None:
        def standing_of(name: str) -> AgentStanding | None:
            return self._memory.standing_of(self._connection, name)

        admission = admit(logged, standing_of)
        if any(letter.reason is Rejected.BAD_SIGNATURE for letter in admission.dead_letters):
            assert logged.record is not None
            # The agent may have renewed its key a moment ago: the registry had that before the agent.
            # Once a batch is enough, since the batch's records are older than its view of the database.
            if logged.record.agent not in self._asked_anew:
                self._asked_anew.add(logged.record.agent)
                self._memory.ask_anew(self._connection, logged.record.agent)
                admission = admit(logged, standing_of)
        self._batch.dead_letters.extend(admission.dead_letters)
        for letter in admission.dead_letters:
            kind = _FINDING_OF.get(letter.reason, FindingKind.UNREADABLE)
            # An unreadable record's message may repeat what it holds: the dead letter alone tells that.
            detail = f"set aside: {letter.reason.value}" if kind is FindingKind.UNREADABLE else letter.message
            self._agents.find(letter.agent or "", kind, detail, letter.received_at)
        return admission.admitted

    def _events(
        self,
        agent: AgentState,
        found: Admitted,
        events: tuple[Event | None, ...],
        about: list[_About],
    ) -> None:
        record, received_at = found.record, found.logged.appended_at
        epoch = self._agents.epoch(agent, found)
        new = epoch.seen.add(record.first_seq, record.first_seq + record.count - 1)
        if new:
            self._agents.look_for_copy(agent, found)
        agent.gap_changed = True
        known = sum(last - first + 1 for first, last in new)
        epoch.duplicates += record.count - known
        self._batch.duplicates += record.count - known
        if not known:
            return
        fresh = {seq - record.first_seq for first, last in new for seq in range(first, last + 1)}
        erased = self._erased(agent, found, events)
        self._batch.erased.update(digest for index, digest in erased.items() if index in fresh)
        parts: list[bytes] = []
        last_time = 0
        repeated = {setting for setting, count in Counter(each for each, _ in about).items() if count > 1}
        for index, event in enumerate(events):
            enriched = None
            if event is not None and index in fresh and index not in erased:
                enriched = self._event(agent, found, index, event, about[index], repeated)
            if enriched is None:
                parts.append(b"null")
            else:
                parts.append(b"[%d,%b]" % (enriched.time, enriched.known.encoded))
                last_time = max(last_time, enriched.time)
        self._runs.end()
        if last_time:
            leaver = self._compressor.compress(b"[" + b",".join(parts) + b"]")
            block = Block(record, received_at, last_time // DAY_MS, leaver, frozenset(erased))
            self._batch.blocks.append(block)

    def _erased(self, agent: AgentState, found: Admitted, events: tuple[Event | None, ...]) -> dict[int, str]:
        """Events of erased accounts: the account's digest by index."""
        enricher = self._memory.enricher
        if not enricher.directory.erased.accounts:
            return {}
        digests = {
            index: enricher.erased(event, self._time_of(agent, found, index, event))
            for index, event in enumerate(events)
            if event is not None
        }
        return {index: digest for index, digest in digests.items() if digest is not None}

    def _time_of(self, agent: AgentState, found: Admitted, index: int, event: Event) -> int:
        """Corrected."""
        received_at = self._memory.clock.restamped(found.logged.appended_at)
        return agent.clock.corrected(event.time, received_at, found.record.first_seq + index)

    def _event(
        self,
        agent: AgentState,
        found: Admitted,
        index: int,
        event: Event,
        about: _About,
        repeated: Collection[Setting | None],
    ) -> Enriched | None:
        """`repeated`: settings of several events of the record."""
        received_at = self._memory.clock.restamped(found.logged.appended_at)
        self._batch.events += 1
        record, (setting, whose) = found.record, about
        seq = record.first_seq + index
        time = agent.clock.corrected(event.time, received_at, seq)
        if is_future_dated(time, received_at):
            message = (
                f"event {index} (seq {seq}) is {(time - received_at) / 1000:.0f} s later than its receipt"
            )
            data = orjson.dumps(msgspec.to_builtins(event))
            self._batch.dead_letters.append(
                dead_letter(found.logged, index, Rejected.FUTURE_DATED, message, data)
            )
            return None
        enricher = self._memory.enricher
        if whose is None or setting is None:
            day, hour = enricher.directory.local_day_and_hour(None, time)
            nobody = enricher.who(event, time)
            return enricher.enrich(event, time=time, day=day, hour=hour, who=nobody, new_place=None)
        file, export = self._memory.exports.look_at(event, time)
        if export is not None:
            self._batch.exports.append(export)
        enriched = self._runs.take_in(event, setting, time, (agent.name, record.epoch, seq), file)
        if enriched is not None:
            return enriched
        self._runs.pause()
        source = EventPlace(agent.name, record.epoch, seq)
        who = whose if isinstance(whose, Who) else whose.at(time)
        enriched = self._scoring.take_in(event, source, time=time, who=who, file=file, setting=setting)
        self._memory.surroundings.note(event, who, time, setting.shown)
        state = self._batch.subjects[who.subject] = self._memory.subjects[who.subject]
        state.index_event((enriched.day, setting.channel, agent.name, record.epoch), seq)
        self._batch.people[who.subject] = who.person
        if setting.is_kept and setting in repeated and whose is setting.whose:
            self._runs.begin(event, setting, who, time, source)
        return enriched


def _subjects(about: list[list[_About]]) -> Iterable[str]:
    """All that the events may be about."""
    each_once = {id(whose): whose for each in about for _, whose in each}
    found: dict[str, None] = {}
    for whose in each_once.values():
        if isinstance(whose, Who):
            found[whose.subject] = None
        elif whose is not None:
            found.update((who.subject, None) for who in whose.each)
    return found
