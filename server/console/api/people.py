"""People for programs: the list and one person, as the pages show them. By pseudonym: a program never sees a
name, and what somebody unmasked on a page is not in here either."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from event_schema.leaver_fields import PersonStatus
from event_schema.struct_base import Milliseconds
from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.console.api_calls import ApiCall, Nothing
from server.console.channel_words import ORDER
from server.console.page import Ask, Console
from server.console.pages.person import follow_person
from server.people.dates import day_text
from server.people.pseudonyms import UnknownPseudonym
from server.people.roles import Right
from server.people.text_mask import masked_prose
from server.profiles.channel_lanes import ChannelDay, ChannelLane
from server.profiles.listing import (
    TEXT_CHARACTERS,
    PeopleFilter,
    PeopleIndex,
    PeopleSort,
    PeopleStatus,
    PersonLine,
)
from server.profiles.profile import (
    Activity,
    Months,
    Profile,
    known_subject,
    read_activity,
    read_profile,
    span_of,
)
from server.profiles.standing_now import StandingNow

_NOBODY: Final = ""
"""An actor without grants."""


class Follow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether all alerts of the person are followed from now on, for whoever asks alone."""

    following: bool


class Following(msgspec.Struct, frozen=True):
    pseudonym: str
    following: bool


class PeopleQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`text`: of a pseudonym or a department. `after`: `next` of the page before."""

    text: Annotated[str, Meta(max_length=TEXT_CHARACTERS)] = ""
    status: PeopleStatus = "all"
    alerted: bool = False
    sort: PeopleSort = "risk"
    after: Annotated[str, Meta(max_length=64)] = ""


class Employment(msgspec.Struct, frozen=True):
    """`days_left`: negative after the last working day."""

    status: PersonStatus
    notice_date: str | None
    last_working_day: str | None
    days_left: int | None


class PersonRow(msgspec.Struct, frozen=True):
    """`score`: the highest of the open alerts. `seen_at`: the latest act of the last 30 days."""

    pseudonym: str
    is_account: bool
    department: str | None
    employment: Employment
    open_alerts: int
    score: int | None
    seen_at: Milliseconds | None


class PeopleAnswer(msgspec.Struct, frozen=True):
    """`total`: of all pages. `next`: what `after` asks for; null: this is the last page."""

    people: tuple[PersonRow, ...]
    total: int
    next: str | None


class PersonQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`months`: 1, 3 or 6, up to today."""

    months: Annotated[int, Meta(ge=1, le=6)] = 3


class RiskOn(msgspec.Struct, frozen=True):
    """score: null where it is not known, which is no zero."""

    date: str
    score: int | None


class DayOn(msgspec.Struct, frozen=True):
    date: str
    bytes: int
    files: int
    events: int
    above_usual: bool
    risk: int
    alerts: tuple[int, ...]


class Channel(msgspec.Struct, frozen=True):
    """`not_watched`: first and last day of each time in which no collector ran."""

    channel: str
    days: tuple[DayOn, ...]
    not_watched: tuple[tuple[str, str], ...]


class Endpoint(msgspec.Struct, frozen=True):
    label: str
    first_seen_at: Milliseconds
    heard_at: Milliseconds | None
    version: str | None
    revoked: bool


class Destination(msgspec.Struct, frozen=True):
    channel: str
    name: str
    last_used_at: Milliseconds


class PersonAlert(msgspec.Struct, frozen=True):
    id: int
    status: str
    score: int
    family: str
    verdict: str | None
    case: int | None
    last_time: Milliseconds


class PersonAnswer(msgspec.Struct, frozen=True):
    """`line`: the score from which on a day is a candidate for an alert. `unseen`: why nothing was seen for
    30 days; null: something was."""

    pseudonym: str
    is_account: bool
    department: str | None
    time_zone: str | None
    manager: str | None
    employment: Employment
    risk: tuple[RiskOn, ...]
    line: int
    unseen: str | None
    channels: tuple[Channel, ...]
    channels_not_watched: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    destinations: tuple[Destination, ...]
    alerts: tuple[PersonAlert, ...]


def people(console: Console, ask: Ask, query: PeopleQuery, _body: None) -> PeopleAnswer:
    """GET /api/v1/people"""
    wanted = PeopleFilter(query.text, query.status, query.alerted, query.sort, query.after)
    page = console.made(PeopleIndex).page(wanted, now=ask.now)
    return PeopleAnswer(tuple(map(_row, page.rows)), page.total, page.after)


def person(console: Console, ask: Ask, query: PersonQuery, _body: None) -> PersonAnswer:
    """GET /api/v1/people/{pseudonym}"""
    with console.database.read() as connection:
        directory = console.made(PeopleIndex).directory.current(connection)
        try:
            known = known_subject(connection, directory, ask.path["pseudonym"])
        except UnknownPseudonym:
            raise ApiError(404, "not_found", "nobody has this pseudonym") from None
    note_view(console, ask, f"person:{known.pseudonym}")
    months: Months = 1 if query.months == 1 else 6 if query.months > 3 else 3
    activity = read_activity(
        console.database,
        directory,
        known,
        span_of(directory, known.person, ask.now, months, None),
        ORDER,
        now=ask.now,
        events_days=console.config.retention.events_days,
    )
    mask = partial(masked_prose, console)
    found = read_profile(console.database, directory, known, activity.risk, mask, actor=_NOBODY, now=ask.now)
    return _answer(found, activity)


def _row(line: PersonLine) -> PersonRow:
    return PersonRow(
        line.pseudonym,
        line.is_account,
        line.department,
        _employment(line.standing),
        line.open_alerts,
        line.score,
        line.seen,
    )


def _employment(standing: StandingNow) -> Employment:
    notice, last = standing.notice_day, standing.last_day
    return Employment(
        standing.status,
        None if notice is None else day_text(notice),
        None if last is None else day_text(last),
        standing.days_left,
    )


def _answer(found: Profile, activity: Activity) -> PersonAnswer:
    return PersonAnswer(
        pseudonym=found.pseudonym,
        is_account=found.is_account,
        department=found.department,
        time_zone=found.time_zone,
        manager=found.manager,
        employment=_employment(found.standing),
        risk=tuple(RiskOn(day.date, day.score) for day in activity.risk.days),
        line=activity.risk.line,
        unseen=found.unseen,
        channels=tuple(map(_channel, activity.lanes)),
        channels_not_watched=activity.unwatched,
        endpoints=tuple(
            Endpoint(each.label, each.first, each.heard, each.version, each.revoked)
            for each in found.endpoints
        ),
        destinations=tuple(Destination(each.channel, each.name, each.last) for each in found.destinations),
        alerts=tuple(
            PersonAlert(
                each.id, each.status, each.score, each.family, each.verdict, each.case_id, each.last_time
            )
            for each in found.alerts
        ),
    )


def _channel(lane: ChannelLane) -> Channel:
    gaps = tuple((day_text(first), day_text(last)) for first, last in lane.gaps)
    return Channel(lane.channel, tuple(map(_day, lane.days)), gaps)


def _day(day: ChannelDay) -> DayOn:
    return DayOn(day_text(day.day), day.bytes, day.files, day.events, day.above_usual, day.risk, day.alerts)


def follow(console: Console, ask: Ask, _query: Nothing, body: Follow) -> Following:
    return Following(follow_person(console, ask, on=body.following), body.following)


API = [
    ApiCall(
        "GET",
        "/api/v1/people",
        Right.SEE_ALERTS,
        people,
        query=PeopleQuery,
        answer=PeopleAnswer,
        summary="People who were seen or are leaving, by pseudonym: 100 a page",
    ),
    ApiCall(
        "GET",
        "/api/v1/people/{pseudonym}",
        Right.SEE_ALERTS,
        person,
        query=PersonQuery,
        answer=PersonAnswer,
        summary="One person by pseudonym: dates, risk and channels by day, machines, alerts",
    ),
    ApiCall(
        "POST",
        "/api/v1/people/{pseudonym}/follow",
        Right.TRIAGE,
        follow,
        body=Follow,
        answer=Following,
        summary="Follows a person's alerts, or no longer, for whoever asks alone",
    ),
]
