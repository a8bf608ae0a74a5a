"""What an erasure would remove, before it does: rows by table, and events as the index knows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from server.erasure.erasing import OF_PERSON
from server.erasure.letters import dead_letters_of
from server.erasure.named_in_alerts import named_rows
from server.erasure.named_in_policies import naming_versions
from server.erasure.named_in_texts import counts_of, naming_texts
from server.erasure.packs import packs_of
from server.erasure.plan import Plan
from server.erasure.seen_on_days import correlated_on, made_on, seen_only_on
from server.erasure.selection import DAY_MS
from server.store.database import Database
from server.store.tables import (
    account_bindings,
    accounts,
    activity_days,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    dead_letters,
    dry_runs,
    event_blocks,
    followed_subjects,
    hidden_hits,
    judged_days,
    known_exports,
    people,
    pseudonyms,
    rule_days,
    scim_users,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
    trait_uses,
    unmaskings,
)

_OF_SUBJECT = (
    *(alerts, judged_days, channel_days, activity_days, anomaly_days),
    *(rule_days, suspect_traits, correlation_groups),
    *(subject_agents, subject_places, trait_uses, pseudonyms, unmaskings, followed_subjects),
)
_OF_DAY = (channel_days, activity_days, anomaly_days, rule_days, suspect_traits, judged_days)


def count_rows(database: Database, plan: Plan) -> dict[str, int]:
    """Only what is not zero."""
    with database.read() as connection:
        if plan.first_day is not None and plan.last_day is not None:
            counts = _of_days(connection, plan.first_day, plan.last_day)
            counts["evidence_packs"] = len(packs_of(connection, plan))
        else:
            counts = _of_subjects(connection, plan)
        runs = select(func.count()).select_from(dry_runs)
        counts[dry_runs.name] = int(connection.execute(runs).scalar_one())
    if plan.subjects:
        counts["dead_letters"] = len(dead_letters_of(database, plan, lambda _done, _of: None))
    return {str(name): count for name, count in counts.items() if count}


def _of_subjects(connection: Connection, plan: Plan) -> dict[str, int]:
    mine = subject_events.c.subject.in_(plan.subjects)
    counts = {"events": _indexed(connection, mine)}
    if plan.person is not None:
        counts["people"] = _count(connection, people.c.id == plan.person)
        for table in OF_PERSON:
            counts[table.name] = _count(connection, table.c.person_id == plan.person)
        counts["people_led"] = _count(connection, people.c.manager_id == plan.person)
        named = (alerts.c.account_owner == plan.person, alerts.c.suspected_actor == plan.person)
        counts["alerts_blanked"] = _count(connection, or_(*named) & alerts.c.subject.not_in(plan.subjects))
    counts |= counts_of(naming_texts(connection, plan))
    counts["policy_versions"] = len(naming_versions(connection, plan))
    counts["evidence_packs"] = len(packs_of(connection, plan))
    counts["accounts"] = _count(connection, accounts.c.account.in_(plan.accounts) & ~_others_own(plan))
    nobodys = scim_users.c.user_key.in_(plan.accounts) & scim_users.c.person_id.is_(None)
    counts["scim_users"] = counts.get("scim_users", 0) + _count(connection, nobodys)
    for table in _OF_SUBJECT:
        counts[table.name] = _count(connection, table.c.subject.in_(plan.subjects))
    if plan.person is not None:
        counts[suspect_traits.name] += _count(connection, named_rows(plan))
    return counts


def _others_own(plan: Plan) -> ColumnElement[bool]:
    return exists().where(
        account_bindings.c.system == accounts.c.system,
        account_bindings.c.account == accounts.c.account,
        account_bindings.c.relation == "owner",
        account_bindings.c.person_id != (plan.person or ""),
    )


def _of_days(connection: Connection, first: int, last: int) -> dict[str, int]:
    counts = {"events": _indexed(connection, subject_events.c.day.between(first, last))}
    for table in _OF_DAY:
        counts[table.name] = _count(connection, table.c.day.between(first, last))
    for table, seen in seen_only_on(first, last).items():
        counts[table.name] = _count(connection, seen)
    counts[correlation_groups.name] = _count(connection, correlated_on(first, last))
    counts[known_exports.name] = _count(connection, made_on(first, last))
    counts[hidden_hits.name] = _count(connection, hidden_hits.c.day.between(first, last))
    received = dead_letters.c.received_at.between(first * DAY_MS, (last + 1) * DAY_MS - 1)
    counts["dead_letters"] = _count(connection, received)
    counts["blocks_looked_at"] = _count(connection, event_blocks.c.last_day >= first)
    return counts


def _indexed(connection: Connection, condition: ColumnElement[bool]) -> int:
    numbers: Any = func.sum(subject_events.c.last_seq - subject_events.c.first_seq + 1)
    return int(connection.execute(select(func.coalesce(numbers, 0)).where(condition)).scalar_one())


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).where(condition)).scalar_one())
