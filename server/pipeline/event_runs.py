"""Runs: events of one record and setting, one after the other, that differ in what was taken and when.

Most events are like the one before: the same account copies one more file to the same stick. Whoever it is
about, what is known around it and which day it adds to are worked out for the first; for those that follow,
while all of it holds (enrich/steady.py), only the policies are asked. What they add up to is put together and
goes into the states when the run pauses: before any event of another setting is looked at, before the day is
scored, at the end of the record. So the states say the same as if each event had been taken in by itself.
"""

from __future__ import annotations

from typing import Final

from event_schema.leaver_fields import FileFields
from event_schema.ocsf_events import Event
from server.detection.activity_grid import NOTHING_YET, to_next_step
from server.enrich.amounts import Amounts
from server.enrich.around import NOTHING_AROUND
from server.enrich.enrichment import Enriched, Known
from server.enrich.settings import Setting
from server.enrich.steady import Steady
from server.enrich.who import Who, WhoByTime
from server.people.calendar import DayType
from server.pipeline.day_sums import add_amounts
from server.pipeline.event_scoring import EventScoring
from server.pipeline.hit_counting import EventPlace
from server.pipeline.measuring import Measure, is_off_hours, measured, prints_of_places
from server.pipeline.memory import Memory
from server.pipeline.subject_state import ChannelDay, PlaceUse, RangePlace, SubjectState

_NEVER: Final = 2**62


class _Place:
    """The one place of a run's events, which only this channel ever used. `is_new`: this is the day of its
    first use."""

    __slots__ = ("_first", "_uses", "is_new", "name", "use")

    def __init__(self, name: str, uses: dict[str, PlaceUse], use: PlaceUse, *, is_new: bool) -> None:
        self.name = name
        self._uses = uses
        self.use = use
        self._first = use.first_time
        self.is_new = is_new

    def holds(self) -> bool:
        return self.use.first_time == self._first and len(self._uses) == 1


class Run:
    """What holds for its events, and what those since its last pause add up to."""

    __slots__ = (
        "around",
        "at",
        "bytes",
        "day_type",
        "events",
        "files",
        "first_seq",
        "first_time",
        "hour",
        "items",
        "known",
        "last_seq",
        "last_time",
        "measure",
        "measured",
        "off_hours",
        "place",
        "row",
        "setting",
        "span",
        "state",
        "who",
    )

    def __init__(
        self,
        setting: Setting,
        who: Who,
        state: SubjectState,
        row: ChannelDay,
        at: RangePlace,
        span: Steady,
        place: _Place | None,
        measure: Measure,
    ) -> None:
        self.setting = setting
        self.who = who
        self.state = state
        self.row = row
        self.at = at
        self.span = span
        self.place = place
        self.measure = measure
        self.off_hours = False
        self.hour = 0
        self.day_type: DayType = "work"
        self.around = NOTHING_AROUND
        self.known: Known | None = None
        self.begin_again()

    def begin_again(self) -> None:
        self.events = 0
        self.first_time, self.last_time = _NEVER, 0
        self.first_seq = self.last_seq = -2
        self.files = self.bytes = self.items = 0
        # By activity: the number of events and the sums, and how much of each has the day scored again.
        self.measured: dict[str, tuple[list[int], list[int]]] = {}

    def measure_event(self, event: Event) -> bool:
        """Whether a day reaches the next step."""
        found = self.measure(event, self.off_hours)
        if found is None:
            return False
        activity, increments = found
        known = self.measured.get(activity)
        if known is None:
            day = self.state.activities.days(activity).get(self.row.day)
            nothing = NOTHING_YET[activity]
            room = to_next_step(activity, nothing if day is None else day.amounts)
            # The first of an activity on its day may bring a place too.
            known = self.measured[activity] = [0, *nothing], [1 if day is None else _NEVER, *room]
        sums, room = known
        sums[0] += 1
        reached = sums[0] >= room[0]
        for place, more in enumerate(increments, 1):
            sums[place] += more
            if sums[place] >= room[place]:
                reached = True
        return reached

    def holds(self, time: int) -> bool:
        return self.span.holds(time) and (self.place is None or self.place.holds())


class EventRuns:
    """Over one batch."""

    def __init__(self, memory: Memory, scoring: EventScoring) -> None:
        self._memory = memory
        self._scoring = scoring
        self._runs: dict[Setting, Run] = {}
        self._running: Run | None = None

    def take_in(
        self, event: Event, setting: Setting, time: int, source: tuple[str, str, int], file: FileFields | None
    ) -> Enriched | None:
        """As EventScoring.take_in, and notes and indexes it; None: it belongs to no run. `time`: corrected.
        `source`: (agent, epoch, seq). `file`: what is known of its content."""
        run = self._runs.get(setting)
        if run is None or not run.holds(time):
            return None
        if run is not self._running:
            self.pause()
            self._running = run
        known = run.known
        if known is None or file is not None:
            known = self._known(run, event, time, file)
        enriched = Enriched(time, run.who.subject, run.row.day, run.day_type, known)
        self._scoring.match(event, enriched, source)
        self._add(run, setting.amounts(event), time, source[2])
        if run.measure_event(event):
            self._settle(run)
        return enriched

    def _known(self, run: Run, event: Event, time: int, file: FileFields | None) -> Known:
        known = self._memory.enricher.enrich(
            event,
            time=time,
            day=run.row.day,
            hour=run.hour,
            who=run.who,
            new_place=None if run.place is None else run.place.is_new,
            file=file,
            around=run.around,
        ).known
        if file is None:
            run.known = known
        return known

    def _add(self, run: Run, taken: Amounts, time: int, seq: int) -> None:
        if seq != run.last_seq + 1:
            self._settle(run)
            run.first_seq = seq
        run.last_seq = seq
        run.events += 1
        run.files += taken.files
        run.bytes += taken.bytes
        run.items += taken.items
        run.first_time = min(run.first_time, time)
        run.last_time = max(run.last_time, time)

    def begin(self, event: Event, setting: Setting, who: Who, time: int, source: EventPlace) -> None:
        """After an event was taken in, noted and indexed, and more of its setting will follow."""
        self._runs.pop(setting, None)
        if len(setting.places) > 1:
            return
        span = self._memory.surroundings.steady(setting.shown, who, time)
        if span is None:
            return
        if isinstance(setting.whose, WhoByTime):
            for start in setting.whose.starts:
                span.moment(start)
        directory = self._memory.directory
        day, hour = directory.local_day_and_hour(who.person, time)
        state = self._memory.subjects[who.subject]
        place = None
        if setting.places:
            uses = state.places[setting.places[0]]
            use = uses[setting.channel]
            known_day = self._memory.enricher.day_of(who.person, use.first_time)
            if len(uses) > 1 or day < known_day or not span.begins(use.first_time):
                return
            place = _Place(setting.places[0], uses, use, is_new=day == known_day)
        agent, epoch, _ = source
        if setting.at_endpoint and not span.begins(state.agents[agent]):
            return
        row = state.days(setting.channel)[day]
        at = (day, setting.channel, agent, epoch)
        run = Run(setting, who, state, row, at, span, place, measured.dispatch(type(event)))
        run.hour, run.day_type = hour, directory.day_type(day)
        run.around = self._memory.surroundings.look_at(event, who, time, setting.shown)
        run.off_hours = is_off_hours(run.around.off_shift, hour)
        self._runs[setting] = run

    def pause(self) -> None:
        """Before anything else reads or changes the states."""
        if self._running is not None:
            self._settle(self._running)
            self._running = None

    def end(self) -> None:
        """At the end of a record."""
        self.pause()
        self._runs.clear()

    def _settle(self, run: Run) -> None:
        """Into the states."""
        if not run.events:
            return
        row, state = run.row, run.state
        add_amounts(row, Amounts(run.files, run.bytes, run.items))
        row.events += run.events
        row.first_time = min(row.first_time, run.first_time)
        row.last_time = max(row.last_time, run.last_time)
        state.index_range(run.at, run.first_seq, run.last_seq)
        if run.place is not None:
            state.use_place(row.channel, run.place.name, run.last_time)
        for activity, ((events, *sums), _) in run.measured.items():
            prints = prints_of_places(activity, run.setting.places, self._memory.place_key)
            found = (activity, tuple(sums))
            self._scoring.add(state, found, row.day, run.day_type, prints, run.who.person, events)
        self._memory.surroundings.note_several(run.setting.shown, run.who, run.last_time, run.events)
        run.begin_again()
