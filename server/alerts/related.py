"""What else is known beside an alert: how the same was judged before, and which alerts are like it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from event_schema.struct_base import Milliseconds
from server.alerts.queries import Alert
from server.people.directory import Directory
from server.people.pseudonyms import person_subject
from server.store.tables import alerts, subject_places

SIMILAR_MAX: Final = 5
"""Of each kind."""
_SHARED_MAX: Final = 20
"""A device or destination that more people use is nothing special."""
_PLACES_MAX: Final = 50
_LOOKED_AT: Final = 400
_COLLEAGUES_MAX: Final = 500
_NEAR_MS: Final = 90 * 86_400_000

Alike = Literal["person", "place", "department"]


class JudgedBefore(msgspec.Struct, frozen=True):
    """Closed alerts of the same subject and policy family with one verdict; `by`: the last one who closed."""

    verdict: str
    number: int
    by: str | None
    closed_at: Milliseconds
    last: int
    """The last one's id."""


class SimilarAlert(msgspec.Struct, frozen=True):
    """`subject` is not to be shown: its pseudonym is."""

    id: int
    alike: Alike
    subject: str
    family: str
    score: int
    status: str
    verdict: str | None
    last_time: Milliseconds


def judged_before(connection: Connection, alert: Alert) -> list[JudgedBefore]:
    """The most frequent verdict first."""
    at = alerts.c
    query = (
        select(at.id, at.verdict, at.closed_by, at.closed_at)
        .where(
            at.subject == alert.subject, at.family == alert.family, at.status == "closed", at.id != alert.id
        )
        .order_by(at.closed_at.desc())
        .limit(_LOOKED_AT)
    )
    found: dict[str, JudgedBefore] = {}
    for row in connection.execute(query):
        known = found.get(row.verdict)
        if known is None:
            found[row.verdict] = JudgedBefore(row.verdict, 1, row.closed_by, row.closed_at or 0, row.id)
        else:
            found[row.verdict] = msgspec.structs.replace(known, number=known.number + 1)
    return sorted(found.values(), key=lambda each: -each.number)


def similar_alerts(connection: Connection, alert: Alert, directory: Directory) -> list[SimilarAlert]:
    """Of the same person; of others with the same device or destination; of the same policy family in the
    same department. Each alert once, the latest first in each kind."""
    at = alerts.c
    others = at.id != alert.id
    own = _found(connection, "person", others & (at.subject == alert.subject))
    shared = _sharing(connection, alert.subject)
    seen = {each.id for each in own}
    by_place: list[SimilarAlert] = []
    if shared:
        near = at.last_time.between(alert.last_time - _NEAR_MS, alert.last_time + _NEAR_MS)
        found = _found(connection, "place", near & at.subject.in_(shared))
        by_place = [each for each in found if each.id not in seen]
        seen |= {each.id for each in by_place}
    person = directory.person(alert.subject.removeprefix("person:"))
    by_department: list[SimilarAlert] = []
    if alert.subject.startswith("person:") and person is not None and person.department:
        colleagues = [
            person_subject(each.id)
            for each in directory.people()
            if each.department == person.department and each.id != person.id
        ]
        near = at.last_time.between(alert.last_time - _NEAR_MS, alert.last_time + _NEAR_MS)
        same = near & (at.family == alert.family) & at.subject.in_(colleagues[:_COLLEAGUES_MAX])
        found = _found(connection, "department", same)
        by_department = [each for each in found if each.id not in seen]
    return [*own, *by_place, *by_department]


def _found(connection: Connection, alike: Alike, condition: ColumnElement[bool]) -> list[SimilarAlert]:
    at = alerts.c
    columns = (at.id, at.subject, at.family, at.score, at.status, at.verdict, at.last_time)
    query = select(*columns).where(condition, at.status.in_(("open", "closed")))
    rows = connection.execute(query.order_by(at.last_time.desc(), at.id.desc()).limit(SIMILAR_MAX))
    return [
        SimilarAlert(
            row.id, alike, row.subject, row.family, row.score, row.status, row.verdict, row.last_time
        )
        for row in rows
    ]


def _sharing(connection: Connection, subject: str) -> list[str]:
    """Who used one of the subject's devices or destinations that hardly anybody uses."""
    place = subject_places.c
    own = select(place.place).where(place.subject == subject).order_by(place.last_time.desc())
    places = connection.execute(own.limit(_PLACES_MAX)).scalars().all()
    if not places:
        return []
    few = (
        select(place.place)
        .where(place.place.in_(places))
        .group_by(place.place)
        .having(func.count(place.subject.distinct()).between(2, _SHARED_MAX))
    )
    rare = connection.execute(few).scalars().all()
    if not rare:
        return []
    query = select(place.subject).where(place.place.in_(rare), place.subject != subject).distinct()
    return list(connection.execute(query.limit(_SHARED_MAX * _PLACES_MAX)).scalars())
