"""What was seen of devices and endpoints on erased days, and at no other time; what correlations remember."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, exists

from server.erasure.selection import DAY_MS
from server.store.tables import (
    correlation_groups,
    known_exports,
    subject_agents,
    subject_events,
    subject_places,
    trait_uses,
)


def seen_only_on(first_day: int, last_day: int) -> dict[Table, ColumnElement[bool]]:
    """By table, which rows. UTC days. An endpoint: where the index knows no other day of the subject."""
    begin, end = first_day * DAY_MS, (last_day + 1) * DAY_MS
    used = subject_places.c
    of_traits = trait_uses.c
    seen = subject_agents.c
    on_others = exists().where(
        subject_events.c.subject == seen.subject,
        subject_events.c.agent == seen.agent,
        ~subject_events.c.day.between(first_day, last_day),
    )
    return {
        subject_places: (used.first_time >= begin) & (used.last_time < end),
        trait_uses: (of_traits.first_time >= begin) & (of_traits.last_time < end),
        subject_agents: (seen.first_time >= begin) & (seen.first_time < end) & ~on_others,
    }


def correlated_on(first_day: int, last_day: int) -> ColumnElement[bool]:
    """Which windows of correlations hold any of these days: they go whole, and begin anew. Local days."""
    held = correlation_groups.c
    return (held.first_day <= last_day) & (held.last_day >= first_day)


def made_on(first_day: int, last_day: int) -> ColumnElement[bool]:
    """Which exports that are known by their content. UTC days."""
    begin, end = first_day * DAY_MS, (last_day + 1) * DAY_MS
    return (known_exports.c.seen_at >= begin) & (known_exports.c.seen_at < end)
