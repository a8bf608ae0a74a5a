"""Open alerts are explained, held ones are not: what the model makes of the day is put in when an alert
opens, and taken out when stronger ones put it out. So a storm costs as much as its queues let through.

What an alert says is thereby a function of its subject's state and of whether it is open, not of when or by
whose batch it was opened: another subject's may do it. Inside the batch's transaction, after the queues
were ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select, update

from policies.engine import PolicySet
from server.alerts.queue.rows import write_words
from server.alerts.ranking import HELD, OPEN, Moved
from server.detection.alert_text import alert_sentence
from server.detection.explained_facts import explained_facts, is_explained, plain_facts
from server.people.directory import PersonRecord
from server.pipeline.anomaly_day import AnomalyDay
from server.pipeline.memory import Memory
from server.pipeline.subject_state import SubjectState
from server.store.tables import alerts

_AT_ONCE: Final = 500


def explain_open(
    connection: Connection,
    memory: Memory,
    written: Collection[int],
    ranked: Collection[int],
    states: Mapping[str, SubjectState],
    people: Mapping[str, PersonRecord | None],
) -> None:
    """`written`: alerts that the batch wrote, with facts alone. `ranked`: those that a queue may have opened
    or put out. `states`, `people`: of subjects of the batch; others are looked up."""
    numbers = sorted({*written, *ranked})
    for start in range(0, len(numbers), _AT_ONCE):
        part = numbers[start : start + _AT_ONCE]
        rows = _rows(connection, part)
        opened = [row for row in rows if row.status == OPEN and (row.id in written or not row.is_told)]
        others = sorted({row.subject for row in opened} - states.keys())
        if others:
            # Read only: another worker may be at them, and writes what it finds when we are done.
            memory.load_subjects(connection, others, lock=False)
        for row in opened:
            state = states.get(row.subject) or memory.subjects[row.subject]
            in_batch = row.subject in people
            person = people[row.subject] if in_batch else memory.enricher.person_of(row.subject)
            facts = _explained(connection, memory, row, state, person)
            _write(connection, row, facts, {"model_id": memory.scorer.model_id})
        for row in rows:
            if row.status == HELD:
                # Also one that was open without a model: what is usual was told then.
                _write(connection, row, plain_facts(row.facts), {})


def explain_moved(
    connection: Connection,
    moved: Moved,
    clock: Callable[[], int],
    events_days: int | None,
    activity_days: int,
) -> None:
    """Of a ranking that no batch made. `events_days`, `activity_days`: as in Memory."""
    if moved.opened or moved.withdrawn:
        # No rule is asked.
        none = PolicySet([])
        memory = Memory(
            connection, clock, events_days=events_days, activity_days=activity_days, policies=none
        )
        explain_open(connection, memory, (), moved.ranked, {}, {})


class _Row(NamedTuple):
    """An alert as it is stored."""

    id: int
    subject: str
    family: str
    status: str
    facts: dict[str, Any]
    sentence: dict[str, str]
    shares: list[dict[str, Any]]

    @property
    def is_told(self) -> bool:
        return is_explained(self.facts)


def _rows(connection: Connection, numbers: Sequence[int]) -> list[_Row]:
    query = select(*(alerts.c[name] for name in _Row._fields)).where(
        alerts.c.id.in_(numbers), alerts.c.status.in_((OPEN, HELD))
    )
    return [_Row(*row) for row in connection.execute(query.order_by(alerts.c.id))]


def _explained(
    connection: Connection, memory: Memory, row: _Row, state: SubjectState, person: PersonRecord | None
) -> dict[str, Any]:
    day: int = row.facts["day"]
    return explained_facts(
        row.facts,
        row.family,
        frozenset(share["source"] for share in row.shares),
        state.anomalies.get(day) or AnomalyDay(day),
        memory.scorer.explained(connection, state, day, person=person),
        memory.scorer.model,
        memory.scorer.accepted(connection, state, day),
    )


def _write(connection: Connection, row: _Row, facts: dict[str, Any], more: Mapping[str, Any]) -> None:
    """With the sentence of these facts, and whatever was said at its end."""
    before, after = alert_sentence(row.facts), alert_sentence(facts)
    sentence = {
        language: words + _ending(row.sentence.get(language, ""), before[language])
        for language, words in after.items()
    }
    if facts != row.facts or sentence != row.sentence:
        values = {"facts": facts, "sentence": sentence, **more}
        connection.execute(update(alerts).where(alerts.c.id == row.id).values(values))
        write_words(connection, row.id, facts, sentence)


def _ending(said: str, of_facts: str) -> str:
    """What was added to the sentence that its facts make."""
    return said.removeprefix(of_facts) if said.startswith(of_facts) else ""
