"""The anomaly models alone (analytics/), on the same counts as the baselines get: what they would find if
they looked at every activity. Without policies, alerts and the server: what that adds shows in the
product's row.

Trained when the test begins and weekly from then on, from the past alone; each day is scored as it stands
at its end. The day's and the slow evidence are compared by how far each lies beyond its own line.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from analytics.anomaly_model import AnomalyModel, Today
from analytics.anomaly_training import train
from analytics.drift_features import HISTORY_DAYS
from analytics.measures import ACTIVITIES, MEGABYTE
from analytics.panel import ActivityDays, Panel
from analytics.risk import notice_weights
from server.evaluation.compared.baselines import Days, Floats, Mask
from server.evaluation.compared.raw_counts import MEASURES

MODELS: Final = "anomaly models alone"
TRAIN_EVERY_DAYS: Final = 7
_TIES: Final = 1e-6
_COUNTED: Final = {
    "removable_storage": {"bytes": "stick_megabytes", "files": "stick_files", "new_devices": "new_sticks"},
    "messaging": {"bytes": "chat_megabytes", "files": "chat_files"},
    "cloud": {"bytes": "cloud_megabytes", "files": "cloud_files", "new_destinations": "new_clouds"},
    "mail": {"bytes": "mail_megabytes", "messages": "mails", "personal_messages": "private_mails"},
    "web_upload": {"upload_bytes": "web_megabytes"},
    "database": {"queries": "queries", "rows": "rows", "export_bytes": "export_megabytes"},
    "files": {
        "sensitive_reads": "records_read",
        "reads": "documents_read",
        "deletions": "deleted",
        "archives": "archives",
        "renames": "renamed",
    },
    "logins": {
        "logins": "logins",
        "off_hours": "off_hours",
        "hosts": "hosts",
        "failures": "failed_logins",
        "new_hosts": "new_hosts",
        "new_addresses": "new_addresses",
    },
    "application": {"actions": "created"},
    "code": {"code_bytes": "code_megabytes"},
    "printing": {"pages": "pages"},
    "screenshots": {"screenshots": "screenshots"},
}
"""The models' measures by activity, and what raw_counts.py calls them; the others stand as 0."""


def model_scores(days: Days, on_notice: Mask, first_day: int, seed: int) -> Floats:
    """By account and day of the test, higher is stranger; days without an event are -inf. `on_notice`: by
    account and day. first_day: ordinal."""
    people, total = days.counts.shape[:2]
    weights = _weights(on_notice, days.exists)
    found = np.full((people, total - days.test_begins), -np.inf)
    model: AnomalyModel | None = None
    for day in range(days.test_begins, total):
        if model is None or (day - days.test_begins) % TRAIN_EVERY_DAYS == 0:
            model = _trained(days, day, first_day, weights, seed)
        first = max(0, day - HISTORY_DAYS)
        history = {name: _activity(days, name, first, day) for name in ACTIVITIES}
        off = days.is_off[first:day]
        known = model.known(history, off, bool(days.is_off[day]), days.groups)
        today = {}
        for name in ACTIVITIES:
            one = _activity(days, name, day, day + 1)
            today[name] = Today(one.values[:, 0], one.seen[:, 0])
        scores = model.score(today, known, weights[:, day])
        by_day = np.log(max(model.line, 1e-12) / scores.p_day) + _TIES * scores.strength
        by_drift = np.full(people, -np.inf)
        if model.slow_line > 0:
            by_drift = np.log(model.slow_line / scores.p_slow) + _TIES * scores.slow_strength
        active = days.counts[:, day].any(axis=1)
        found[active, day - days.test_begins] = np.maximum(by_day, by_drift)[active]
    return found


def _trained(days: Days, until: int, first_day: int, weights: Floats, seed: int) -> AnomalyModel:
    panel = Panel(
        subjects=[str(number) for number in range(len(days.groups))],
        peer_groups=days.groups,
        first_day=first_day,
        day_types=["off" if off else "work" for off in days.is_off[:until]],
        load=lambda name: _activity(days, name, 0, until),
    )
    return train(panel, seed=seed, weights=weights[:, :until])


def _activity(days: Days, name: str, first: int, last: int) -> ActivityDays:
    """From `first` to before `last`."""
    values = np.zeros((len(days.groups), last - first, len(ACTIVITIES[name])), np.int64)
    for place, measure in enumerate(ACTIVITIES[name]):
        counted = _COUNTED[name].get(measure.name)
        if counted is not None:
            factor = MEGABYTE if measure.unit == "bytes" else 1
            values[:, :, place] = (
                days.counts[:, first:last, MEASURES.index(counted)].astype(np.float64) * factor
            )
    # Who has left is looked at where something of theirs is seen all the same.
    seen = days.exists[:, first:last] | days.counts[:, first:last].any(axis=2)
    return ActivityDays(values, seen)


def _weights(on_notice: Mask, exists: Mask) -> Floats:
    found = np.ones(on_notice.shape)
    for day in range(on_notice.shape[1]):
        share = on_notice[:, day].sum() / max(int(exists[:, day].sum()), 1)
        noticed, others = notice_weights(float(min(share, 1.0)))
        found[:, day] = np.where(on_notice[:, day], noticed, others)
    return found
