"""A company that a model has learnt, acts of its people today, and what plain arithmetic makes of them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, select

from analytics.anomaly_model import AnomalyModel, Scores, Today
from analytics.measures import ACTIVITIES, MEGABYTE, VALUE_MAX
from analytics.risk import COUNTS_FROM
from analytics.score_pools import anomaly_points
from analytics.sealed_bytes import StoredStateError
from event_schema.ocsf_events import Event
from event_schema.ocsf_unmapped import DestinationCategory
from event_schema.wire import WireRecord
from server.detection.activity_families import FAMILIES
from server.enrich.amounts import places_of
from server.evaluation.departures.observed_acts import laptop
from server.evaluation.simulator.desks import Desk
from server.evaluation.simulator.single_events import (
    archived,
    copied,
    logged_in,
    login_failed,
    mailed,
    printed,
    queried,
    screenshot_taken,
    uploaded,
)
from server.pipeline.measuring import is_off_hours, measured, prints_of
from server.store.database import Database, open_database, upgrade
from server.store.tables import account_bindings, accounts, alerts, anomaly_days, models
from server.training.activity_panel import activity_panel
from server.training.activity_training import train_activities
from server.training.stored_models import load_model
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint
from tests.server.training.measured_company import measured_company, subject

PEOPLE = 40
DAYS = 95
TODAY = NOW // DAY
DIGEST = "0" * 64


def account_of(person: int) -> str:
    return f"user{person:05}"


def learnt_company(database: Database, model: bytes | None = None) -> None:
    """Days up to yesterday, everybody with an account; with the model as the active one."""
    measured_company(database, subjects=PEOPLE, days=DAYS, end=TODAY)
    named = [{"system": "", "account": account_of(person)} for person in range(PEOPLE)]
    with database.begin() as connection:
        connection.execute(
            insert(accounts),
            [each | {"kind": "personal", "source": "import", "changed_at": 0} for each in named],
        )
        bound = {"relation": "owner", "source": "import", "confidence": 1.0}
        connection.execute(
            insert(account_bindings),
            [each | bound | {"person_id": f"p{person:04d}"} for person, each in enumerate(named)],
        )
    if model is not None:
        activate(database, model)


@cache
def learnt_models() -> tuple[bytes, bytes]:
    """One of 95 days, and one of a cold start."""
    found = []
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/leaver.db", clock=lambda: NOW)
        upgrade(database)
        learnt_company(database)
        for days in (0, 85):
            trained = train_activities(database, now=NOW - days * DAY, trees=5, alerts_per_1000_a_day=25.0)
            assert trained.summary.cold_start == bool(days)
            with database.read() as connection:
                found.append(load_model(connection, trained.id).to_bytes())
        database.close()
    return found[0], found[1]


def activate(database: Database, model: bytes) -> None:
    """In place of the active one, if there is any. `model`: also bytes that are none."""
    try:
        summary = {"risk_line": AnomalyModel.from_bytes(model).content.risk_line}
    except StoredStateError:
        summary = {}
    with database.begin() as connection:
        connection.execute(models.update().values(active=False))
        row = {"kind": "activities", "created_at": NOW, "active": True, "summary": summary}
        connection.execute(insert(models).values(**row, state=model))


def acts_of(person: int, dice: random.Random, number: int, *, time: int = NOW - 3_600_000) -> list[Event]:
    """Of many kinds, some of them large, within an hour."""
    desk = Desk(account_of(person), laptop("laptop-1"), "10.1.0.2")
    return [_act(desk, dice, time + at) for at in sorted(dice.sample(range(3_500_000), number))]


def _act(desk: Desk, dice: random.Random, time: int) -> Event:
    size, place = int(dice.lognormvariate(15, 2)), dice.choice("ABCD")
    rows, number = dice.randrange(10**5), dice.randrange(10**6)
    host = laptop(f"laptop-{dice.randrange(4)}")
    to: DestinationCategory = dice.choice(("messenger", "cloud_drive", "code_hosting", "file_transfer"))
    each: Sequence[Callable[[], Event]] = (
        lambda: logged_in(host, desk.account, desk.address, "sshd", time),
        lambda: login_failed(desk.host, desk.account, 1 + number % 8, time),
        lambda: archived(desk, number, time),
        lambda: queried(desk, time, rows=rows, count=1, size=rows * 40, is_export=rows % 3 == 0),
        lambda: mailed(desk, "example.org", "webmail", "plan.zip", size, DIGEST, time),
        lambda: printed(desk, 1 + number % 40, time),
        lambda: screenshot_taken(desk, time),
        lambda: uploaded(desk, "app", to, "plan.zip", size, DIGEST, f"{place.lower()}.example.org", time),
        lambda: copied(desk, place, f"plan-{number}.xlsx", size, DIGEST, time),
    )
    return dice.choice(each)()


def records(endpoint: Endpoint, events: Sequence[Event], cuts: Iterable[int]) -> list[WireRecord]:
    parts = [events[first:last] for first, last in pairwise([0, *sorted(cuts), len(events)])]
    return [endpoint.record(part) for part in parts if part]


def stored_anomalies(connection: Connection) -> list[dict[str, Any]]:
    """By subject and day, with evidence as numbers."""
    query = select(anomaly_days).order_by(anomaly_days.c.subject, anomaly_days.c.day)
    return [
        dict(row._mapping)
        | {name: json.loads(getattr(row, name)) for name in ("evidence", "uncalmed_evidence")}
        for row in connection.execute(query)
    ]


def alert_rows(server: Server) -> list[dict[str, Any]]:
    """Of alerts what events alone decide."""
    columns = [alerts.c[name] for name in ("subject", "family", "score", "status", "shares", "facts")]
    with server.database.read() as connection:
        query = select(*columns).order_by(alerts.c.subject, alerts.c.family)
        return [dict(row._mapping) for row in connection.execute(query)]


class PlainDay:
    """Evidence by activity (the highest, and of the day as it stands in the end), points, slow points and
    family of one subject's today, by plain arithmetic. `missing`: local days by subject."""

    def __init__(
        self,
        connection: Connection,
        model: AnomalyModel,
        person: int,
        events: Iterable[Event],
        *,
        missing: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        panel = activity_panel(connection, TODAY, missing=missing)
        row = panel.subjects.index(subject(person))
        history = {name: panel.activity(name).of(slice(row, row + 1)) for name in ACTIVITIES}
        self._model = model
        self._known = model.known(history, panel.off, False, [panel.peer_groups[row]])
        self._sums: dict[str, list[int]] = {}
        self._places: dict[str, list[set[int]]] = {}
        self.evidence: dict[str, float] = {}
        self.points = self.slow_points = 0.0
        self.family = ""
        for event in events:
            self._take_in(event)
        scores = self._scores()
        self.last = {name: self._e(scores, name) for name in self._sums}

    def _take_in(self, event: Event) -> None:
        found = measured(event, is_off_hours(None, event.time // 3_600_000 % 24))
        if found is None:
            return
        activity, increments = found
        before = self._position(activity)
        sums = self._sums.setdefault(activity, [0] * len(increments))
        self._sums[activity] = [min(a + b, VALUE_MAX) for a, b in zip(sums, increments, strict=True)]
        for kind, prints in enumerate(prints_of(event, activity, places_of(event), b"key")):
            self._places.setdefault(activity, [set(), set()])[kind].update(prints)
        after = self._position(activity)
        if after != before:
            slow = [i for i, measure in enumerate(ACTIVITIES[activity]) if measure.slow]
            self._score(activity, drifts=not self.evidence or any(after[i] != before[i] for i in slow))

    def _position(self, activity: str) -> list[int]:
        measures = ACTIVITIES[activity]
        values = self._values(activity)
        return [plain_step(value, measure.unit) for value, measure in zip(values, measures, strict=True)]

    def _values(self, activity: str) -> list[int]:
        values = list(self._sums.get(activity, [0] * len(ACTIVITIES[activity])))
        places = self._places.get(activity)
        if places is not None:
            new = [i for i, measure in enumerate(ACTIVITIES[activity]) if measure.novelty]
            for at, kind in zip(new, places, strict=False):
                values[at] = len(kind)
            if activity == "logins":
                values[2] = len(places[0])
        return values

    def _scores(self) -> Scores:
        today = {
            name: Today(np.array([self._values(name)]), np.array([name in self._sums])) for name in ACTIVITIES
        }
        return self._model.score(today, self._known)

    def _e(self, scores: Scores, activity: str) -> float:
        return float(scores.evidence[0, self._model.activities.index(activity)])

    def _score(self, activity: str, *, drifts: bool) -> None:
        scores = self._scores()
        self.evidence[activity] = max(self.evidence.get(activity, 0.0), self._e(scores, activity))
        if self.points < COUNTS_FROM:
            self.family = FAMILIES[max(ACTIVITIES, key=lambda name: self.evidence.get(name, 0.0))]
        pools = self._model._day_pools
        if pools is not None:
            strength = np.array([sum(sorted(self.evidence.values())[-2:])])
            p = pools.p(strength, False, self._known.group)
            self.points = max(self.points, float(anomaly_points(p, self._model.line)[0]))
        if drifts:
            self.slow_points = max(self.slow_points, float(scores.a_slow[0]))


def plain_step(value: int, unit: str) -> int:
    """Which step of the grid."""
    if unit == "bytes":
        return 0 if value == 0 else 1 + plain_step(value // MEGABYTE, "count")
    step, first = 0, 1
    while first <= value:
        step, first = step + 1, max(first + 1, math.ceil(first * 1.25))
    return step
