"""Stored events through the rules of both sides of a back-test, by the code that scored them when they came
(pipeline/hit_counting.py), in the order in which they came.

What is known of an event is what is known of it now: as it came, or the later version of it where somebody
looked back. So both sides see the same, and see what the rules that run now would see. A block in which no
event has a class that the replayed rules look at is decompressed, not decoded. Reads only.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from event_schema.ocsf_events import EVENT_CLASSES, Event
from event_schema.wire import WireError, decode_content, unpack_content
from policies.engine import PolicyHit
from policies.exceptions import Hidden
from policies.rule_file import LoadedPolicies
from server.alerts.evidence_blocks import EventBlock
from server.backtest.shares import Share
from server.enrich.enrichment import Enriched, Enricher, Known, channel_of
from server.enrich.who import is_nobodys, subject_of
from server.pipeline.correlating import Correlating
from server.pipeline.hit_counting import Counted, EventPlace, count_hits
from server.pipeline.leaver_entries import DamagedEntries, current_entries, fields_of, later_versions
from server.pipeline.subject_state import SubjectState, borrowed
from server.pipeline.suspected_acts import is_about_suspect
from server.policies.running import RunningPolicies
from server.retention import DAY_MS
from server.store.tables import event_blocks

BLOCKS_AT_ONCE: Final = 50
_WORDS_KEPT: Final = 20_000
_CLASS: Final = re.compile(rb'"class_uid"\s*:\s*(\d+)')

_Hiding = tuple[str, str]
"""(exception id, rule id)."""


class ReplayedSide:
    """What the rules of one side found. `first_day`: local; windows of correlations begin with it."""

    def __init__(self, loaded: LoadedPolicies, first_day: int) -> None:
        self._running: Final = RunningPolicies(loaded.policies, loaded.exceptions)
        self._first_day = first_day
        self.reaches: Final = loaded.policies.correlated.reaches
        self.judge = self._running.judge
        self.correlating: Final = Correlating(loaded.policies)
        self.states: Final[dict[str, SubjectState]] = {}
        self.hidden: Final[Counter[_Hiding]] = Counter()
        self.hidden_of: Final[dict[_Hiding, set[str]]] = {}

    def state(self, subject: str) -> SubjectState:
        found = self.states.get(subject)
        if found is None:
            found = self.states[subject] = SubjectState(subject)
            found.correlations.begin_with(self._first_day)
        return found

    def hide(self, hidden: Collection[Hidden], subject: str) -> None:
        for each in hidden:
            place = (each.exception_id, each.rule_id)
            self.hidden[place] += 1
            self.hidden_of.setdefault(place, set()).add(subject)


class Replay:
    """Of one share. `classes`: of events that the replayed rules may fire on; None: any. `since`: the
    window's first local day; `first_day`: the first that is read."""

    def __init__(
        self,
        share: Share,
        sides: tuple[ReplayedSide, ReplayedSide],
        enricher: Enricher,
        *,
        classes: frozenset[int] | None,
        since: int,
        first_day: int,
    ) -> None:
        self._share = share
        self._sides = sides
        self._enricher = enricher
        self._since = since
        self._first_day = first_day
        # A local day begins up to 14 hours before UTC's.
        self._first_time = (first_day - 1) * DAY_MS
        self._classes = None if classes is None else frozenset(b"%d" % each for each in classes)
        self._kinds = frozenset(
            kind
            for kind in EVENT_CLASSES
            if classes is None or int(str(kind.__struct_config__.tag)) in classes
        )
        self._known: Callable[[bytes], Known] = lru_cache(_WORDS_KEPT)(_known)
        self.blocks = 0
        self.blocks_skipped = 0
        self.blocks_damaged = 0
        self.events = 0

    def portions(self) -> Iterator[list[int]]:
        """Numbers of blocks, to be read one portion after another."""
        numbers = array("q")
        numbers.frombytes(self._share.blocks)
        for start in range(0, len(numbers), BLOCKS_AT_ONCE):
            yield list(numbers[start : start + BLOCKS_AT_ONCE])

    def read(self, connection: Connection, numbers: list[int]) -> None:
        later = later_versions(connection, numbers)
        columns = [event_blocks.c[name] for name in EventBlock.__struct_fields__]
        rows = connection.execute(
            select(*columns).where(event_blocks.c.id.in_(numbers)).order_by(event_blocks.c.id)
        )
        for row in rows:
            block = EventBlock(*row)
            self.blocks += 1
            try:
                self._block(block, later.get(block.id, []))
            except (WireError, DamagedEntries):
                self.blocks_damaged += 1

    def _block(self, block: EventBlock, later: list[bytes]) -> None:
        content = unpack_content(block.record)
        if self._classes is not None:
            told = _CLASS.findall(content)
            if len(told) >= block.count and self._classes.isdisjoint(told):
                self.blocks_skipped += 1
                return
        events = decode_content(block.record, content).events
        entries = current_entries(block.leaver, later, block.count)
        for index, (event, entry) in enumerate(zip(events, entries, strict=True)):
            if event is not None and entry is not None and type(event) in self._kinds:
                time, raw = entry
                if time >= self._first_time:
                    self._event(event, block, index, time, self._known(bytes(raw)))

    def _event(self, event: Event, block: EventBlock, index: int, time: int, known: Known) -> None:
        self.events += 1
        judged = [side.judge(event, known.plain, at=time) for side in self._sides]
        if not any(each.hits or each.hidden for each in judged) or is_nobodys(event):
            return
        who = self._enricher.who(event, time)
        directory = self._enricher.directory
        day = directory.local_day_and_hour(who.person, time)[0]
        if day < self._first_day:
            return
        enriched = Enriched(time, who.subject, day, directory.day_type(day), known)
        source = EventPlace(block.agent, block.epoch, block.first_seq + index)
        for side, found in zip(self._sides, judged, strict=True):
            if found.hidden and day >= self._since and self._share.takes(who.subject, block.agent):
                side.hide(found.hidden, who.subject)
            if found.hits:
                count_hits(found.hits, event, enriched, source, self._counted_for(side), side.correlating)

    def _counted_for(
        self, side: ReplayedSide
    ) -> Callable[[Collection[PolicyHit], Event, Enriched, tuple[str, str, int]], Counted | None]:
        def counted_for(
            hits: Collection[PolicyHit], event: Event, enriched: Enriched, at: tuple[str, str, int]
        ) -> Counted | None:
            subject, channel, day = enriched.subject, channel_of(event), enriched.day
            suspect = enriched.known.fields.suspect
            if suspect is not None and is_about_suspect(hits):
                person = self._enricher.directory.person(suspect.id)
                if person is not None:
                    subject, channel = subject_of(person), borrowed(channel)
                    day = self._enricher.day_of(person, enriched.time)
            if not self._share.takes(subject, at[0]):
                return None
            return side.state(subject), channel, day

        return counted_for


def _known(raw: bytes) -> Known:
    fields = fields_of(msgspec.Raw(raw))
    return Known(fields, msgspec.to_builtins(fields, str_keys=True), raw)
