"""All of one person, or of an account of nobody, as one page shows it: by pseudonym, but under a grant.

Only what an analyst may see is in it. What people typed, and what may hold names as it stands (destinations,
sentences, titles of cases), goes through `mask` before it is kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection

from server.alerts.person_risk import DAYS_MAX, PersonRisk, person_risk
from server.people.directory import Directory, PersonRecord
from server.people.pseudonyms import known_pseudonyms, person_subject, pseudonym_key, shown_names, subject_of
from server.people.unmaskings import Grant, UnmaskingEntry, live_grants, unmask_log
from server.profiles.belongings import (
    Destination,
    Endpoint,
    MatchedTrait,
    OwnAccount,
    UsedTrait,
    destinations,
    endpoints,
    matched_traits,
    own_accounts,
    used_traits,
    why_unseen,
)
from server.profiles.channel_lanes import ChannelLane, channel_lanes
from server.profiles.listing import last_seen
from server.profiles.own_alerts import OwnAlert, own_alerts
from server.profiles.standing_now import StandingNow, standing_now
from server.store.database import Database
from server.triage.following import follows_subject

Months = Literal[1, 3, 6]
MONTH_DAYS: Final = 30
AHEAD_DAYS: Final = 14
"""Days to come that are shown where the last day lies among them."""
_PERSON: Final = "person:"

Mask = Callable[[Sequence[str], Container[str]], list[str]]
"""Texts without anybody's name, but for the subjects whose names the reader may see."""


class Span(msgspec.Struct, frozen=True):
    """Local days that are shown, `first` to `last`; `known`: the last one of them that is not to come."""

    first: int
    known: int
    last: int
    today: int
    months: Months
    is_earliest: bool
    """Nothing from before is told."""


class Subject(msgspec.Struct, frozen=True):
    """Whom a pseudonym means, for the program; never shown."""

    subject: str
    pseudonym: str
    person: PersonRecord | None


class Activity(msgspec.Struct, frozen=True):
    """What changes with the range. `unwatched`: channels that nothing watched on any of these days."""

    span: Span
    lanes: tuple[ChannelLane, ...]
    unwatched: tuple[str, ...]
    risk: PersonRisk


class LogLine(msgspec.Struct, frozen=True):
    """Somebody saw the name. Times are ms UTC; `reason` is masked."""

    actor: str
    at: int
    until: int
    reason: str
    case_id: int | None


class Profile(msgspec.Struct, frozen=True):
    """`unseen`: why nothing was seen for 30 days (belongings.why_unseen); None: something was. `seen`: the
    latest act since then, ms UTC."""

    pseudonym: str
    is_account: bool
    department: str | None
    time_zone: str | None
    manager: str | None
    standing: StandingNow
    risk: int | None
    risk_week_ago: int | None
    seen: int | None
    unseen: str | None
    accounts: tuple[OwnAccount, ...]
    endpoints: tuple[Endpoint, ...]
    traits: tuple[UsedTrait, ...]
    storage: tuple[UsedTrait, ...]
    destinations: tuple[Destination, ...]
    matched: tuple[MatchedTrait, ...]
    alerts: tuple[OwnAlert, ...]
    all_alerts: bool
    log: tuple[LogLine, ...]
    grant: Grant | None
    followed: bool
    """By whom the page is for."""


def known_subject(connection: Connection, directory: Directory, shown: str) -> Subject:
    """Raises UnknownPseudonym."""
    subject = subject_of(connection, shown)
    person = directory.person(subject.removeprefix(_PERSON)) if subject.startswith(_PERSON) else None
    # As it is written, not as it was asked for: case and the letters O, I, L do not matter.
    return Subject(subject, known_pseudonyms(connection, [subject])[subject], person)


def span_of(
    directory: Directory, person: PersonRecord | None, now: int, months: Months, until: int | None
) -> Span:
    """`until`: the last day asked for, local; None, or one to come: today, and some days more where the last
    working day is one of them."""
    today = directory.local_day_and_hour(person, now)[0]
    earliest = today - DAYS_MAX + months * MONTH_DAYS
    known = today if until is None else max(min(until, today), earliest)
    last = known
    coming = standing_now(directory, person, now).last_day
    if known == today and coming is not None and today < coming <= today + AHEAD_DAYS:
        last = coming
    return Span(known - months * MONTH_DAYS + 1, known, last, today, months, known <= earliest)


def read_activity(
    database: Database,
    directory: Directory,
    known: Subject,
    span: Span,
    channels: Sequence[str],
    *,
    now: int,
    events_days: int | None,
) -> Activity:
    """`channels`: in the order in which their lanes stand. now: ms UTC."""
    with database.read() as connection:
        found = channel_lanes(connection, known.subject, channels, span.first, span.last, today=span.today)
    back = span.today - span.first + 1
    risk = person_risk(database, known.pseudonym, back, now=now, events_days=events_days, directory=directory)
    shown = tuple(lane for lane in found if lane.watched or lane.days)
    unwatched = tuple(lane.channel for lane in found if not (lane.watched or lane.days))
    return Activity(span, shown, unwatched, risk)


def read_profile(
    database: Database,
    directory: Directory,
    known: Subject,
    risk: PersonRisk,
    mask: Mask,
    *,
    actor: str,
    now: int,
) -> Profile:
    """`risk`: up to today. `actor`: whose grants count. now: ms UTC."""
    person, subject = known.person, known.subject
    manager = None if person is None or person.manager_id is None else directory.person(person.manager_id)
    shown: dict[str, str] = {}
    if manager is not None:
        _, shown = shown_names(database, [person_subject(manager.id)])
    with database.read() as connection:
        key = pseudonym_key(connection)
        grant = live_grants(connection, actor, now).get(subject)
        accounts = [] if person is None else own_accounts(connection, directory, key, person)
        machines = endpoints(connection, key, subject)
        traits = used_traits(connection, directory, key, subject, now)
        remotes, storage = destinations(connection, key, subject)
        matched = matched_traits(connection, key, subject)
        alerts, all_alerts = own_alerts(connection, subject)
        log = unmask_log(connection, [subject])
        seen = last_seen(connection, [subject], now).get(subject)
        followed = follows_subject(connection, subject, actor)
    revealed = set() if grant is None else {subject}
    return Profile(
        pseudonym=known.pseudonym,
        is_account=not subject.startswith(_PERSON),
        department=None if person is None else person.department,
        time_zone=None if person is None else person.time_zone,
        manager=None if manager is None else shown[person_subject(manager.id)],
        standing=standing_now(directory, person, now),
        risk=risk.days[-1].score,
        risk_week_ago=risk.days[-8].score if len(risk.days) > 7 else None,
        seen=seen,
        unseen=None if seen is not None else why_unseen(directory, person, machines, now),
        accounts=tuple(accounts),
        endpoints=tuple(machines),
        traits=tuple(traits),
        storage=tuple(storage),
        destinations=_masked_places(remotes, mask, revealed),
        matched=tuple(matched),
        alerts=_masked_alerts(alerts, mask, revealed),
        all_alerts=all_alerts,
        log=_masked_log(log, mask, revealed),
        grant=grant,
        followed=followed,
    )


def _masked_places(
    found: Sequence[Destination], mask: Mask, revealed: Container[str]
) -> tuple[Destination, ...]:
    names = mask([each.name for each in found], revealed)
    pairs = zip(found, names, strict=True)
    return tuple(msgspec.structs.replace(each, name=name) for each, name in pairs)


def _masked_alerts(found: Sequence[OwnAlert], mask: Mask, revealed: Container[str]) -> tuple[OwnAlert, ...]:
    """Sentences of sequences name the databases that were read, titles were typed."""
    languages = [list(each.sentence) for each in found]
    texts = mask([text for each in found for text in each.sentence.values()], revealed)
    titles = mask([each.case_title or "" for each in found], revealed)
    shown = []
    at = 0
    for each, keys, title in zip(found, languages, titles, strict=True):
        sentence = dict(zip(keys, texts[at : at + len(keys)], strict=True))
        at += len(keys)
        shown.append(msgspec.structs.replace(each, sentence=sentence, case_title=title or None))
    return tuple(shown)


def _masked_log(found: Sequence[UnmaskingEntry], mask: Mask, revealed: Container[str]) -> tuple[LogLine, ...]:
    reasons = mask([each.reason for each in found], revealed)
    return tuple(
        LogLine(each.actor, each.at, each.until, reason, each.case_id)
        for each, reason in zip(found, reasons, strict=True)
    )
