"""What days that run cost, of a made-up company: for the training benchmark, which has the database."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

from sqlalchemy import func, select

from benchmarks.made_up_company import subject
from policies.engine import PolicySet
from server.people.pseudonyms import make_pseudonym_key
from server.pipeline.measuring import measured, prints_of
from server.pipeline.memory import Memory
from server.pipeline.subject_activities import SubjectActivities
from server.store.database import Database
from server.store.tables import activity_days
from tests.server.pipeline.endpoint import copied_file

_DAY_MS = 86_400_000
_KEY = bytes(32)
_EVENTS = 50_000
_ACTIVITY = "removable_storage"
_COPIES = (10**9, 40, 0)

Clock = Callable[[], int]


def running_costs(database: Database, people: int, clock: Clock) -> tuple[float, float, float]:
    """CPU ms for 1,000 people: their first event of the day, a further step; bytes that are kept of each."""
    make_pseudonym_key(database)
    today = clock() // _DAY_MS
    subjects = [subject(number) for number in range(people)]
    spent = []
    with database.read() as connection:
        memory = Memory(connection, clock, policies=PolicySet([]))
        memory.refresh(connection)
        memory.load_subjects(connection, subjects)
        for _ in range(2):
            begun = time.process_time()
            for name in subjects:
                state, person = memory.subjects[name], memory.enricher.person_of(name)
                state.activities.add((_ACTIVITY, _COPIES), today, "work", ((7,),))
                memory.scorer.note(state, _ACTIVITY, today, person=person, slow=True)
            memory.scorer.settle(connection)
            spent.append((time.process_time() - begun) / people * 1e6)
        days = [memory.scorer._running[name][today] for name in subjects]
        kept = sum(len(each._record) + 8 * each.places for each in days) / people
    assert all(memory.subjects[name].anomalies[today].evidence for name in subjects)
    return spent[0], spent[1], kept


def event_cost() -> float:
    """CPU µs for one event, by itself: what it counts as, where, and into its day."""
    events = [copied_file(_DAY_MS + number, name=f"{number}.txt") for number in range(1_000)]
    activities = SubjectActivities()
    places = ("device:0781:5581:S1",)
    begun = time.process_time()
    for number in range(_EVENTS):
        event = events[number % len(events)]
        found = measured(event, False)
        assert found is not None
        activities.add(found, number % 10, "work", prints_of(event, found[0], places, _KEY))
    return (time.process_time() - begun) / _EVENTS * 1e6


def bytes_a_person(database: Database, people: int, clock: Clock) -> tuple[float, float]:
    """Of activity days in the database (the text and numbers of all rows), and in a worker's memory (all of
    a person's state, of which the last ten days are there)."""
    row = activity_days.c
    texts = (row.subject, row.activity, row.day_type, row.amounts, row.places)
    with database.read() as connection:
        total = select(func.sum(sum(func.length(text) for text in texts) + 8))
        persons = select(func.count(func.distinct(row.subject)))
        stored = connection.execute(total).scalar_one() / connection.execute(persons).scalar_one()
        memory = Memory(connection, clock, policies=PolicySet([]))
        memory.refresh(connection)
        tracemalloc.start()
        memory.load_subjects(connection, [subject(number) for number in range(people)])
        remembered = tracemalloc.get_traced_memory()[0] / people
        tracemalloc.stop()
    return stored, remembered
