"""Scores stored events again: enriched under what is declared now, then through the code that scored them
when they came (pipeline/event_scoring.py), in the order in which they came.

What HR does not say stays as it was known then: the corrected time, whether the content was a known export,
what was new to the account and how long it had slept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec
from sqlalchemy import Connection, select

from event_schema.codec import decode_event
from event_schema.errors import SchemaError
from event_schema.leaver_fields import LeaverFields
from event_schema.wire import WireError
from server.alerts.evidence_blocks import EventBlock
from server.enrich.enrichment import channel_of
from server.ingest.redaction import NOTHING, raw_events
from server.look_back.moved_events import Key, MovedEvents
from server.look_back.stored_places import Place
from server.look_back.suspected_again import CountedActs, SuspectedAgain
from server.pipeline.event_scoring import EventScoring
from server.pipeline.hidden_hits import HiddenHits
from server.pipeline.hit_counting import EventPlace
from server.pipeline.leaver_entries import (
    NO_ENTRY,
    DamagedEntries,
    current_entries,
    encoded_entry,
    fields_of,
    later_versions,
    packed,
)
from server.pipeline.memory import Memory
from server.store.tables import event_blocks

_FIELDS_KEPT = 20_000


class Rescoring:
    """Over states that the caller puts into the Memory. `subjects`: as in the places. `counted`: acts
    through accounts of others that count for them."""

    def __init__(self, memory: Memory, subjects: Sequence[str], counted: CountedActs) -> None:
        self._memory = memory
        # What exceptions hid was counted when the events came.
        self._counted = counted
        self.suspected = SuspectedAgain(memory, counted, frozenset(subjects))
        self._scoring = EventScoring(memory, HiddenHits(), self.suspected.counted_for)
        self._subjects = subjects
        self._known = frozenset(subjects)
        self._fields = lru_cache(_FIELDS_KEPT)(_decoded)
        self.moved = MovedEvents()
        self.events = 0
        self.changed = 0
        self.unreadable = 0
        self.unread_days: dict[str, set[int]] = {}
        """Local days of subjects of which not all events were scored again."""

    def read(
        self, connection: Connection, portion: Mapping[int, Sequence[Place]]
    ) -> Iterator[tuple[int, bytes]]:
        """Scores the events of some blocks. Yields what is known by now of those in which that changed:
        (block, a version of its `leaver`). Subjects that are missing: `suspected.missing`."""
        memory = self._memory
        self._counted.read_by(connection)
        memory.surroundings.load_as_needed(connection, memory.first_use_day)
        numbers = sorted(portion)
        later = later_versions(connection, numbers)
        columns = [event_blocks.c[name] for name in EventBlock.__struct_fields__]
        query = select(*columns, event_blocks.c.received_at).where(event_blocks.c.id.in_(numbers))
        for *row, received_at in connection.execute(query.order_by(event_blocks.c.id)):
            block = EventBlock(*row)
            memory.scorer.as_of = received_at
            if memory.scorer.is_full:
                memory.scorer.settle(connection)
            entries = self._block(block, later.get(block.id, ()), portion[block.id])
            if any(entry != NO_ENTRY for entry in entries):
                yield block.id, packed(entries)

    def _block(self, block: EventBlock, later: Sequence[bytes], places: Sequence[Place]) -> list[bytes]:
        new = [NO_ENTRY] * block.count
        try:
            known = current_entries(block.leaver, later, block.count)
            raws = raw_events(block.record)
        except (WireError, DamagedEntries, msgspec.DecodeError, UnicodeDecodeError):
            for place in places:
                self._cannot_read(place, place.last - place.first + 1)
            return new
        for place in sorted(places):
            for index in range(place.first, place.last + 1):
                entry = known[index]
                if entry is not None and raws[index] != NOTHING:
                    new[index] = self._event(block, index, raws[index], entry, place)
        return new

    def _event(
        self, block: EventBlock, index: int, raw: bytes, entry: tuple[int, msgspec.Raw], place: Place
    ) -> bytes:
        """The event's entry, where it is another one by now."""
        try:
            event = decode_event(raw)
            known = self._fields(bytes(entry[1]))
        except (SchemaError, DamagedEntries):
            self._cannot_read(place, 1)
            return NO_ENTRY
        time = entry[0]
        who = self._memory.enricher.who(event, time)
        if who.subject not in self._known:
            # What was found in it stays where it was, should they be left out.
            self.suspected.missing.add(who.subject)
            self._keep_day(place)
            return NO_ENTRY
        source = EventPlace(block.agent, block.epoch, block.first_seq + index)
        enriched = self._scoring.take_in(event, source, time=time, who=who, file=known.file, was=known)
        self.events += 1
        old = (self._subjects[place.subject], place.day)
        if (who.subject, enriched.day) != old:
            spool = (channel_of(event), block.agent, block.epoch)
            new = Key(who.subject, enriched.day, *spool)
            self.moved.add(Key(*old, *spool), new, source.seq)
        if enriched.known.fields == known:
            return NO_ENTRY
        self.changed += 1
        return encoded_entry(time, enriched.known.encoded)

    def _cannot_read(self, place: Place, events: int) -> None:
        self.unreadable += events
        self._keep_day(place)

    def _keep_day(self, place: Place) -> None:
        self.unread_days.setdefault(self._subjects[place.subject], set()).add(place.day)


def _decoded(raw: bytes) -> LeaverFields:
    return fields_of(msgspec.Raw(raw))
