"""Models in words: what one was made from, how long it may be trusted, and what differs between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from analytics.anomaly_model import ModelContent
from analytics.drift_watch import P_BINS
from server.people.dates import day_text
from server.training.model_comparison import Comparison
from server.training.stored_models import ModelSummary, StoredModel

DIFFERING_SHOWN = 20


def moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")


def made_words(model: StoredModel) -> str:
    """After training."""
    summary = model.summary
    learnt = f"{summary.subjects:,} subjects, {summary.days:,} days with data to {day_text(summary.last_day)}"
    if summary.cold_start:
        state = "a cold start, too little history: it ranks and never alerts"
    else:
        state = (
            f"{summary.alerts_per_1000_a_day:g} alerts per 1,000 people and day, from risk"
            f" {summary.risk_line} on"
        )
    use = "in use from now on" if model.active else "not in use, leaver model activate"
    return f"Model {model.id}: {learnt}; {state}; {use}."


def model_lines(model: StoredModel, content: ModelContent) -> Iterator[str]:
    """Everything that a person may want to know of one."""
    summary = model.summary
    yield f"model        {model.id}, made {moment(model.created_at)}, {summary.cpu_seconds:,.0f} CPU s"
    yield f"use          {_use(model)}"
    yield (
        f"learnt from  {summary.subjects:,} subjects, {summary.days:,} days with data of"
        f" {day_text(summary.first_day)} to {day_text(summary.last_day)}"
    )
    if summary.cold_start:
        yield "calibration  none: a cold start, it ranks days and never alerts"
    else:
        slow = (
            f"{summary.slow_line:.2g} by drift" if summary.slow_line else "no drift yet (fewer than 60 days)"
        )
        yield (
            f"calibration  the last 28 days; alert line p {summary.line:.2g} by day, {slow};"
            f" {summary.alerts_per_1000_a_day:g} alerts per 1,000 people and day"
        )
        yield f"risk line    {risk_line_words(summary)}"
    yield f"peer groups  {len(content.groups)} of five or more"
    yield f"software     {', '.join(f'{name} {version}' for name, version in summary.software.items())}"
    yield f"seed         {summary.seed}"
    for name, activity in content.activities.items():
        voters = "forest and sum" if activity.forest is not None else "sum alone, nobody did it yet"
        yield f"  {name:<18} {len(activity.features)} features, {voters}: {', '.join(activity.features)}"
    if content.drift is not None:
        yield f"  {'drift':<18} {len(content.drift.features)} features: {', '.join(content.drift.features)}"
    if content.p_shares:
        shares = ", ".join(
            f"{share:.1%} up to {top:g}".replace("%", " %")
            for top, share in zip(P_BINS, content.p_shares, strict=True)
        )
        yield f"scores       of its own calibration days, by p: {shares}"
    for week in summary.weeks:
        verdict = f"{week.verdict}: {week.reason}" if week.reason else week.verdict
        yield (
            f"week of {day_text(week.first_day)} ({week.days} days): {week.alerts:,} alerts,"
            f" {week.alerts_due:.1f} due, index {week.stability:.2f}; {verdict}"
        )


def risk_line_words(summary: ModelSummary) -> str:
    """Where it stands, and why."""
    asked = (
        f"the last 28 days' rules and anomalies would have opened {summary.risk_alerts_a_day:g} alerts a day,"
        f" {summary.risk_alerts_allowed:g} are due"
    )
    if summary.risk_alerts_a_day > summary.risk_alerts_allowed:
        return f"{summary.risk_line}, its highest, so that a rule of level high still speaks; {asked}"
    return f"{summary.risk_line}; {asked}"


def _use(model: StoredModel) -> str:
    at = model.summary.activated_at
    if not model.active:
        return "never in use" if at is None else f"was in use from {moment(at)}"
    words = "in use" if at is None else f"in use since {moment(at)}"
    return f"{words}, chosen by hand: no schedule replaces it" if model.summary.chosen else words


def comparison_lines(found: Comparison, shown: Mapping[str, str]) -> Iterator[str]:
    """`shown`: pseudonyms by subject."""
    yield (
        f"{day_text(found.first_day)} to {day_text(found.last_day)}, {found.subjects:,} subjects,"
        f" {found.subject_days:,} days on which they were watched"
    )
    for each in found.models:
        yield (
            f"model {each.model_id}: {each.day + each.slow:,} alerts ({each.day:,} of single days,"
            f" {each.slow:,} of drift), at most {each.most_on_a_day:,} on a day; {each.due:,.1f} were due"
        )
    yield f"the same in both: {found.both:,}; differing: {len(found.differing):,}"
    for alert in found.differing[:DIFFERING_SHOWN]:
        yield (
            f"  {day_text(alert.day)} {shown[alert.subject]} ({alert.queue}) only model {alert.model_id}:"
            f" p {alert.p:.2g}, {alert.other_p:.2g} under the other"
        )
    if len(found.differing) > DIFFERING_SHOWN:
        yield f"  {len(found.differing) - DIFFERING_SHOWN:,} more (--json shows all)"
