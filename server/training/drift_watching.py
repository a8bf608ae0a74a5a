"""Watches whether the active model still fits: the days since it was trained, week by week, scored as it
stands. What it finds stays with the model (ModelSummary.weeks); `model_stale` in `leaver status` tells of it.

Once a day, the week that is running and the one before, so that days that came late count too. Alerts are
those that the day queue would have raised: the slow one's cool-down is longer than what is looked at.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from analytics.alert_queues import DAY_QUEUE
from analytics.drift_features import HISTORY_DAYS
from analytics.drift_watch import watch_week
from analytics.panel_scores import raised_alerts
from server.retention import ACTIVITY_DAYS, first_activity_day
from server.store.database import Database
from server.training.company_days import company_days, days_over, loaded_days
from server.training.company_scores import score_company
from server.training.stored_models import WatchedWeek, active_model, keep_weeks, load_model

WEEK: Final = 7


def is_due(connection: Connection, now: int) -> bool:
    """A further day since the active model's last one is over."""
    active = active_model(connection)
    if active is None or active.summary.cold_start:
        return False
    return days_over(now) - 1 > (active.summary.watched_to or active.summary.last_day)


def watch(database: Database, *, now: int, activity_days: int = ACTIVITY_DAYS) -> tuple[WatchedWeek, ...]:
    """All weeks known of the active model, the latest last. Empty without a model that scores.
    `activity_days`: for how many days sums count."""
    end = days_over(now)
    with database.read() as connection:
        active = active_model(connection)
        if active is None or active.summary.cold_start or end <= active.summary.last_day + 1:
            return ()
        model = load_model(connection, active.id)
    trained_to = active.summary.last_day + 1
    first = trained_to + max((end - 1 - trained_to) // WEEK - 1, 0) * WEEK
    # Whoever alerted the week before cools down.
    lead = DAY_QUEUE.cool_down_days
    scored = lead + end - first
    with database.read() as connection:
        company = company_days(
            connection,
            end=end,
            days=HISTORY_DAYS + scored,
            since=first_activity_day(now, activity_days),
        )
        loaded = loaded_days(company, scored)
    if not loaded.subjects:
        with database.begin() as connection:
            keep_weeks(connection, active.id, active.summary.weeks, end - 1)
        return active.summary.weeks
    scores = score_company(model, loaded, HISTORY_DAYS)
    budget = active.summary.alerts_per_1000_a_day
    raised = [
        alert.day - lead
        for alert in raised_alerts(model, scores, loaded.subjects, budget)
        if alert.queue == DAY_QUEUE.name
    ]
    weeks = [week for week in active.summary.weeks if week.first_day < first]
    for begin in range(0, end - first, WEEK):
        days = range(begin, min(begin + WEEK, end - first))
        columns = slice(lead + days.start, lead + days.stop)
        seen = scores.seen[:, columns]
        found = watch_week(
            scores.p_day[:, columns][seen],
            sum(day in days for day in raised),
            model.content.p_shares,
            DAY_QUEUE.share * budget,
        )
        weeks.append(
            WatchedWeek(
                first_day=first + days.start,
                days=len(days),
                **{name: getattr(found, name) for name in found.__struct_fields__},
            )
        )
    with database.begin() as connection:
        keep_weeks(connection, active.id, tuple(weeks), end - 1)
    return tuple(weeks)
