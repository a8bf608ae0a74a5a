"""A day on which a collector is now known to have run makes stale what later days are measured against, and
nothing else: each morning every machine tells of a new one."""

from __future__ import annotations

import pytest

from server.pipeline.memory import Memory
from tests.server.pipeline.conftest import Server
from tests.server.pipeline.scored_company import TODAY, learnt_company, learnt_models
from tests.server.training.measured_company import subject

pytestmark = pytest.mark.databases("sqlite")


def _memory(server: Server) -> Memory:
    learnt_company(server.database, learnt_models()[0])
    people = [subject(0), subject(1)]
    with server.database.read() as connection:
        memory = Memory(connection, server.clock)
        memory.refresh(connection)
        memory.load_subjects(connection, people)
    memory.subjects[people[1]].agents = {"elsewhere": 0}
    for each in people:
        memory.scorer._known(memory.subjects[each], TODAY, "sales")
    return memory


def test_todays_heartbeat_has_nobody_looked_at(server: Server) -> None:
    memory = _memory(server)
    assert memory.scorer.known_since(TODAY) == []
    memory.forget_backgrounds(TODAY)
    assert memory.scorer.known_since(TODAY - 1) == [subject(0), subject(1)]


def test_an_earlier_day_makes_those_stale_who_were_seen_there_or_all_of_them(server: Server) -> None:
    memory = _memory(server)
    before = {each: dict(days) for each, days in memory.scorer._running.items()}
    memory.forget_backgrounds(TODAY - 1, seen_on="elsewhere")
    assert memory.scorer._running == {subject(0): before[subject(0)], subject(1): {}}
    memory.forget_backgrounds(TODAY - 1)
    assert not any(memory.scorer._running.values())
