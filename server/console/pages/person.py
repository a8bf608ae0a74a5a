"""One person, or an account of nobody: GET /people/{pseudonym}, and the parts of it that are loaded alone."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import msgspec
from markupsafe import Markup
from starlette.responses import Response

from server.accounts.views_recorded import note_view
from server.alerts.severity import severity_of
from server.api.errors import ApiError
from server.console.channel_words import ORDER, channel_name
from server.console.charts.hours_of_week import hours_of_week as drawn_hours
from server.console.charts.lanes import Lane, LaneDay, lanes
from server.console.charts.risk_line import RiskMark, RiskPoint, risk_line
from server.console.ingest_watch import IngestWatch
from server.console.page import Ask, Console, Page
from server.console.pages.people_asked import (
    DAY_ZERO,
    RangeAsked,
    day_date,
    earlier,
    later,
    leaver_words,
    next_channel,
    read_range,
    status_words,
)
from server.console.slow_reads import SlowReads
from server.people.company import load_company
from server.people.directory import Directory
from server.people.pseudonyms import UnknownPseudonym, known_pseudonyms, subject_of
from server.people.roles import Right
from server.people.text_mask import masked_prose
from server.people.unmaskings import Grant
from server.profiles.channel_lanes import ChannelLane
from server.profiles.hours import HoursOfWeek, KeptHours, hours_of_week, works_at
from server.profiles.listing import PeopleIndex
from server.profiles.profile import (
    Activity,
    Subject,
    known_subject,
    read_activity,
    read_profile,
    span_of,
)
from server.profiles.standing_now import StandingNow, standing_now
from server.triage.following import follow_subject

_RISING: Final = 3
"""Points within a week from which on risk is said to rise or fall."""


class Who:
    """As templates ask who somebody is: name and accounts are there for who may see them alone."""

    def __init__(self, pseudonym: str, grant: Grant | None) -> None:
        self.pseudonym = pseudonym
        self.name = None if grant is None else grant.name
        self.accounts = () if grant is None else grant.accounts


def person(console: Console, ask: Ask) -> Response:
    """GET /people/{pseudonym}"""
    directory, known = _known(console, ask)
    asked = read_range(ask.query)
    activity = _activity(console, ask, directory, known, asked)
    found = read_profile(
        console.database,
        directory,
        known,
        activity.risk,
        partial(masked_prose, console),
        actor=ask.viewer.actor,
        now=ask.now,
    )
    return ask.page(
        "people/person.html",
        ingest=console.made(IngestWatch).now(),
        found=found,
        who=Who(found.pseudonym, found.grant),
        grant_until={} if found.grant is None else {found.pseudonym: found.grant.until},
        may_follow=ask.viewer.may(Right.TRIAGE),
        may_unmask=ask.viewer.may(Right.UNMASK) and ask.viewer.session is not None,
        unmask_back=f"/people/{quote(found.pseudonym)}",
        badge=leaver_words(found.standing, ask.text),
        employment=status_words(found.standing.status, ask.text),
        notice=_day(found.standing.notice_day),
        last_day=_day(found.standing.last_day),
        severity="" if found.risk is None else severity_of(found.risk).value,
        severity_of=lambda score: severity_of(score).value,
        trend=_trend(found.risk, found.risk_week_ago),
        channel_name=lambda channel: channel_name(channel, ask.text),
        sentence=lambda words: words.get(ask.look.language) or words.get("en", ""),
        state=partial(_state, ask),
        kind_words=partial(_kind, ask),
        trait_words=partial(_trait, ask),
        holder_words=partial(_holder, ask),
        day_date=day_date,
        **_shown(ask, known, asked, activity, found.standing),
    )


def follow(console: Console, ask: Ask) -> Response:
    """POST /people/{pseudonym}/follow: `following` 1, or nothing for no longer."""
    follow_person(console, ask, on=ask.form.get("following", "") == "1")
    return ask.redirect(f"/people/{quote(ask.path['pseudonym'])}")


def follow_person(console: Console, ask: Ask, *, on: bool) -> str:
    """The pseudonym as it is written. Raises ApiError(404)."""
    try:
        with console.database.begin() as connection:
            subject = subject_of(connection, ask.path["pseudonym"])
            pseudonym = known_pseudonyms(connection, [subject])[subject]
            follow_subject(connection, subject, pseudonym, actor=ask.viewer.actor, at=ask.now, on=on)
    except UnknownPseudonym:
        raise ApiError(404, "not_found", "there is no such page") from None
    return pseudonym


def activity_part(console: Console, ask: Ask) -> Response:
    """GET /people/{pseudonym}/activity: lanes, risk and hours of another range."""
    directory, known = _known(console, ask)
    asked = read_range(ask.query)
    activity = _activity(console, ask, directory, known, asked)
    standing = standing_now(directory, known.person, ask.now)
    return ask.fragment_of(
        "people/_activity.html", **_shown(ask, known, asked, activity, standing), day_date=day_date
    )


def hours_part(console: Console, ask: Ask) -> Response:
    """GET /people/{pseudonym}/hours: blocks of events are opened for it, so it comes after the page."""
    directory, known = _known(console, ask)
    asked = read_range(ask.query)
    span = span_of(directory, known.person, ask.now, asked.months, asked.until)
    with console.database.read() as connection:
        works = works_at(load_company(connection).working_hours)

    def make() -> HoursOfWeek:
        with console.made(SlowReads).one(), console.database.read() as connection:
            return hours_of_week(
                connection,
                known.subject,
                span.first,
                span.known,
                lambda time: directory.local_day_and_minute(known.person, time),
                works,
            )

    key = (known.subject, span.first, span.known, directory.version)
    found = console.made(KeptHours).of(key, make, now=ask.now)
    drawn = drawn_hours(found.cells, ask.text, odd=found.odd, works=works)
    return ask.fragment_of("people/_hours.html", found=found, drawn=drawn)


def _known(console: Console, ask: Ask) -> tuple[Directory, Subject]:
    """Whom the page is about; that somebody looks is on the record before anything is shown. Raises
    ApiError(404) where nobody has the pseudonym."""
    with console.database.read() as connection:
        directory = console.made(PeopleIndex).directory.current(connection)
        try:
            known = known_subject(connection, directory, ask.path["pseudonym"])
        except UnknownPseudonym:
            raise ApiError(404, "not_found", "there is no such page") from None
    note_view(console, ask, f"person:{known.pseudonym}")
    return directory, known


def _activity(
    console: Console, ask: Ask, directory: Directory, known: Subject, asked: RangeAsked
) -> Activity:
    return read_activity(
        console.database,
        directory,
        known,
        span_of(directory, known.person, ask.now, asked.months, asked.until),
        asked.channels(),
        now=ask.now,
        events_days=console.config.retention.events_days,
    )


def _shown(
    ask: Ask, known: Subject, asked: RangeAsked, activity: Activity, standing: StandingNow
) -> dict[str, Any]:
    """What the range's part of the page is made of."""
    span, place = activity.span, f"/people/{quote(known.pseudonym)}"
    before, after = earlier(asked, span), later(asked, span)

    def link(wanted: RangeAsked) -> dict[str, str]:
        query = wanted.query()
        suffix = f"?{query}" if query else ""
        return {"page": f"{place}{suffix}", "part": f"{place}/activity{suffix}"}

    return {
        "asked": asked,
        "shown": span,
        "activity": activity,
        "lanes": _lanes(ask, asked, activity, standing),
        "risk": _risk(ask, activity),
        "hours": f"{place}/hours?{asked.query()}",
        "place": place,
        "months": [(each, link(_with(asked, months=each))) for each in (1, 3, 6)],
        "earlier": None if before is None else link(before),
        "later": None if after is None else link(after),
        "above": link(_with(asked, above=not asked.above)),
        "cycle": link(_with(asked, channel=next_channel(asked))),
        "channels": [("", ask.text("All channels")), *((c, channel_name(c, ask.text)) for c in ORDER)],
        "unwatched": [channel_name(channel, ask.text) for channel in activity.unwatched],
    }


def _with(asked: RangeAsked, **changes: object) -> RangeAsked:
    return msgspec.structs.replace(asked, **changes)


def _lanes(ask: Ask, asked: RangeAsked, activity: Activity, standing: StandingNow) -> Markup:
    span = activity.span
    return lanes(
        [_lane(lane, ask, above=asked.above) for lane in activity.lanes],
        span.first,
        span.last,
        ask.text,
        notice=standing.notice_day,
        last_working_day=standing.last_day,
        today=span.today,
    )


def _lane(lane: ChannelLane, ask: Ask, *, above: bool) -> Lane:
    days = (
        LaneDay(day.day, day.bytes, day.files, day.events, day.risk, day.alerts)
        for day in lane.days
        if day.above_usual or not above
    )
    return Lane(lane.channel, channel_name(lane.channel, ask.text), tuple(days), lane.gaps)


def _risk(ask: Ask, activity: Activity) -> Markup:
    """Of the days that are shown: what is read goes on until today."""
    span, found = activity.span, activity.risk
    points = [
        RiskPoint(span.first + number, each.score)
        for number, each in enumerate(found.days[: span.known - span.first + 1])
    ]
    marks = []
    for alert in found.alerts:
        kind = alert.verdict or "open"
        state = _state(ask, kind)
        words = ask.text("alert {id}, {score}, {state}", id=alert.id, score=alert.score, state=state)
        marks.append(RiskMark(_day_number(alert.date), alert.score, kind, words))
    return risk_line(points, found.line, ask.text, marks=marks)


def _state(ask: Ask, kind: str) -> str:
    names = {
        "open": ask.text("open"),
        "confirmed": ask.text("confirmed"),
        "expected": ask.text("expected"),
        "false": ask.text("false alarm"),
        "duplicate": ask.text("duplicate"),
    }
    return names.get(kind, kind)


def _kind(ask: Ask, kind: str) -> str:
    names = {
        "personal": ask.text("personal"),
        "shared": ask.text("shared"),
        "service": ask.text("service"),
        "partner": ask.text("partner"),
    }
    return names.get(kind, kind)


def _trait(ask: Ask, kind: str) -> str:
    names = {
        "host": ask.text("machine"),
        "device": ask.text("device"),
        "address": ask.text("address"),
        "key": ask.text("key"),
        "account": ask.text("account"),
    }
    return names.get(kind, kind)


def _holder(ask: Ask, holder: str) -> str:
    names = {"theirs": ask.text("theirs"), "other": ask.text("somebody else's")}
    return names.get(holder, ask.text("nobody's"))


def _day_number(text: str) -> int:
    return date.fromisoformat(text).toordinal() - DAY_ZERO


def _day(day: int | None) -> date | None:
    return None if day is None else day_date(day)


def _trend(now: int | None, before: int | None) -> str:
    """rising, falling or level; empty: not known."""
    if now is None or before is None:
        return ""
    return "rising" if now >= before + _RISING else "falling" if now <= before - _RISING else "level"


PAGES = [
    Page("GET", "/people/{pseudonym}", Right.SEE_ALERTS, person),
    Page("POST", "/people/{pseudonym}/follow", Right.TRIAGE, follow),
    Page("GET", "/people/{pseudonym}/activity", Right.SEE_ALERTS, activity_part),
    Page("GET", "/people/{pseudonym}/hours", Right.SEE_ALERTS, hours_part),
]
