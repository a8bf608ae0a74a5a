"""What is stored of subjects' rule hits and strange days, without all else that the pipeline remembers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from server.pipeline.anomaly_day import load_anomaly_days
from server.pipeline.subject_state import ChannelDay, RuleHits, SubjectState
from server.store.tables import anomaly_days, channel_days, rule_days

SUBJECTS_AT_ONCE = 500


def load_scored_days(
    connection: Connection, subjects: Sequence[str], since: int, *, strange_since: int
) -> dict[str, SubjectState]:
    """Rule hits from one local day on, strange days and their channels from another. At most
    SUBJECTS_AT_ONCE subjects."""
    states = {subject: SubjectState(subject) for subject in subjects}
    hit = rule_days.c
    for row in connection.execute(select(rule_days).where(hit.subject.in_(subjects), hit.day >= since)):
        states[row.subject].rules[row.rule_id, row.channel, row.day] = RuleHits(*row[1:])
    for subject, days in load_anomaly_days(connection, subjects, strange_since).items():
        states[subject].anomalies = days
    its = channel_days.c
    # Where an anomaly's evidence lies.
    there = select(channel_days).join(
        anomaly_days, (anomaly_days.c.subject == its.subject) & (anomaly_days.c.day == its.day)
    )
    for each in connection.execute(there.where(its.subject.in_(subjects), its.day >= strange_since)):
        states[each.subject].channels.setdefault(each.channel, {})[each.day] = ChannelDay(*each[1:])
    return states
