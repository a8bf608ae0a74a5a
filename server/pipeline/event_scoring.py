"""What one event does to its subject: the day that it adds to, the policies that fire, how strange the day is
by now. The same code for events as they come (batch.py) and for stored ones that are scored again."""

from __future__ import annotations

from sqlalchemy import Connection

from event_schema.leaver_fields import FileFields, LeaverFields
from event_schema.ocsf_events import Event
from server.detection.activity_grid import NOTHING_YET, moved, number_of
from server.enrich.around import as_it_was
from server.enrich.enrichment import Enriched
from server.enrich.settings import Setting
from server.enrich.who import Who
from server.people.directory import PersonRecord
from server.pipeline.correlating import Correlating
from server.pipeline.day_sums import add_to_day
from server.pipeline.hidden_hits import HiddenHits
from server.pipeline.hit_counting import CountedFor, EventPlace, count_hits
from server.pipeline.measuring import Measured, Prints, is_off_hours, measured, prints_of
from server.pipeline.memory import Memory
from server.pipeline.subject_state import ChannelDay, SubjectState


class EventScoring:
    """Over the states that a Memory holds: those of the events' subjects must be loaded. By its rules.
    `hidden`: takes what exceptions hide. `counted_for`: says whose an event's hits are. connection: gives
    days that memory does not know; None: memory knows all that count."""

    def __init__(
        self,
        memory: Memory,
        hidden: HiddenHits,
        counted_for: CountedFor,
        connection: Connection | None = None,
    ) -> None:
        self._counted_for = counted_for
        self._connection = connection
        self._memory = memory
        self._hidden = hidden
        self.correlating = Correlating(memory.rules.policies)

    def take_in(
        self,
        event: Event,
        source: EventPlace,
        *,
        time: int,
        who: Who,
        file: FileFields | None,
        was: LeaverFields | None = None,
        setting: Setting | None = None,
    ) -> Enriched:
        """`time`: corrected. `file`: what is known of its content. `was`: what was known when it came, of one
        that is scored again. `setting`: the event's, where that is known already. Changes the state of
        `who.subject`, not its index of events, and no uses."""
        memory, enricher = self._memory, self._memory.enricher
        directory = enricher.directory
        person = who.person
        day, hour = directory.local_day_and_hour(person, time)
        state = memory.subjects[who.subject]
        setting = setting or memory.surroundings.settings.of(event)
        row = state.channel_day(setting.channel, day, directory.day_type(day))
        new = [self._novelty(state, row, place, person, time) for place in setting.places]
        around = memory.surroundings.look_at(event, who, time, setting.shown)
        if was is not None:
            around = as_it_was(around, was)
        enriched = enricher.enrich(
            event,
            time=time,
            day=day,
            hour=hour,
            who=who,
            new_place=any(new) if new else None,
            file=file,
            around=around,
            suspicion=memory.surroundings.suspicion(event, who, time, around),
        )
        if setting.at_endpoint and state.seen_on(source.agent, time):
            memory.scorer.forget_subject(who.subject)
        self.match(event, enriched, source)
        add_to_day(row, event, time)
        found = measured(event, is_off_hours(around.off_shift, hour))
        if found is not None:
            prints = prints_of(event, found[0], setting.places, memory.place_key)
            if self._connection is not None:
                memory.take_older_day(self._connection, state, day)
            self.add(state, found, day, enriched.day_type, prints, person)
        return enriched

    def _novelty(
        self, state: SubjectState, row: ChannelDay, place: str, person: PersonRecord | None, time: int
    ) -> bool:
        """Whether this is the day of the place's first use, on whatever channel, as far as is known.
        Keeps the counts of the channel's days."""
        day_of = self._memory.enricher.day_of
        before = state.use_place(row.channel, place, time)
        known_day = None if before is None else day_of(person, before)
        if known_day is None or row.day < known_day:
            row.new_places += 1
            if known_day is not None and known_day in state.days(row.channel):
                # A late event shows that it was used before: that day was not its first.
                state.channel_day(row.channel, known_day, row.day_type).new_places -= 1
        return row.day == day_of(person, state.first_use(place))

    def match(self, event: Event, enriched: Enriched, source: tuple[str, str, int]) -> None:
        """Which policies fire, and whose that is. `source`: (agent, epoch, seq)."""
        found = self._memory.rules.judge(event, enriched.known.plain, at=enriched.time)
        self._hidden.add(found.hidden, enriched.day, enriched.time)
        if found.hits:
            count_hits(found.hits, event, enriched, source, self._counted_for, self.correlating)

    def add(
        self,
        state: SubjectState,
        found: Measured,
        day: int,
        day_type: str,
        prints: Prints,
        person: PersonRecord | None,
        events: int = 1,
    ) -> None:
        """To a day of an activity, what one event or several count. It is scored when that moves it."""
        activity = found[0]
        before = state.activities.days(activity).get(day)
        amounts, places = (NOTHING_YET[activity], ()) if before is None else (before.amounts, before.places)
        state.activities.add(found, day, day_type, prints, events)
        self._memory.scorer.forget(state.subject, day)
        row = state.activities.days(activity)[day]
        any_moved, slow = moved(activity, amounts, row.amounts)
        if any_moved or (row.places is not places and number_of(row.places) != number_of(places)):
            self._memory.scorer.note(state, activity, day, person=person, slow=slow)
