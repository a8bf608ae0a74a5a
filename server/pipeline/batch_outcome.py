"""What one micro-batch comes to: all that its commit writes, besides the dirty parts of the states."""

from __future__ import annotations

from collections import Counter

import msgspec

from event_schema.wire import WireRecord
from policies.correlation.correlator import Counts
from server.enrich.known_exports import Export
from server.ingest.admission import DeadLetter
from server.people.directory import PersonRecord
from server.pipeline.agent_state import AgentState, Finding
from server.pipeline.hidden_hits import HiddenHits
from server.pipeline.subject_state import SubjectState
from server.store.upsert import Row


class Block(msgspec.Struct, frozen=True):
    """A row of `event_blocks`. `erased`: indexes of events that must not be stored."""

    record: WireRecord
    received_at: int
    last_day: int
    leaver: bytes
    erased: frozenset[int] = frozenset()


class Batch:
    """Everything that one commit writes, besides the dirty parts of the Memory's states.

    `erased`: new events of erased accounts, dropped, by the account's digest. `hidden`: hits that exceptions
    took out. `correlation_counts`: what bounds of correlations dropped, also while alerts are raised.
    `uses`: rows of `trait_uses`. `touched`: subjects whose watched days it
    widens; their own states did not change. `watched_anywhere`: rows of
    `days_watched_anywhere`."""

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}
        self.blocks: list[Block] = []
        self.dead_letters: list[DeadLetter] = []
        self.findings: list[Finding] = []
        self.subjects: dict[str, SubjectState] = {}
        self.exports: list[Export] = []
        self.uses: list[Row] = []
        self.uses_dropped = 0
        self.sessions_dropped = 0
        self.people: dict[str, PersonRecord | None] = {}
        self.agents: dict[str, AgentState] = {}
        self.touched: set[str] = set()
        self.watched_anywhere: list[Row] = []
        self.events = 0
        self.duplicates = 0
        self.lost: Counter[str] = Counter()
        self.erased: Counter[str] = Counter()
        self.hidden = HiddenHits()
        self.correlation_counts = Counts()
