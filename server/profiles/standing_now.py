"""Where somebody stands in leaving, as a page's head says it. Pure."""

from __future__ import annotations

import msgspec

from event_schema.leaver_fields import PersonStatus
from server.people.directory import Directory, PersonRecord
from server.people.facts import LeavingType, latest_employment
from server.people.standing import flagged

_LEAVING = frozenset({PersonStatus.NOTICE, PersonStatus.LEFT})


class StandingNow(msgspec.Struct, frozen=True):
    """Days are days since 1970-01-01 where the person is; `notice_day`: as somebody said it. `days_left`:
    negative after the last day. `flagged`: said by hand, not by HR's file."""

    status: PersonStatus = PersonStatus.UNKNOWN
    notice_day: int | None = None
    last_day: int | None = None
    days_left: int | None = None
    leaving_type: LeavingType | None = None
    flagged: bool = False

    @property
    def is_leaving(self) -> bool:
        return self.status in _LEAVING


def standing_now(directory: Directory, person: PersonRecord | None, now: int) -> StandingNow:
    """now: ms UTC. None: nobody is declared to be it."""
    if person is None:
        return StandingNow()
    status, last_day = directory.standing(person).at(now)
    if status not in _LEAVING:
        return StandingNow(status)
    said = flagged(person.employments, person.flag)
    main = next((each for each in reversed(said) if each.last_day == last_day), latest_employment(said))
    today = directory.local_day_and_hour(person, now)[0]
    return StandingNow(
        status,
        None if main is None else main.notice_day,
        last_day,
        None if last_day is None else last_day - today,
        None if main is None else main.leaving_type,
        person.flag is not None,
    )
