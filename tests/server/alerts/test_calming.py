"""What somebody judged harmless is kept with the alert, measure by measure, and calms for thirty days."""

from __future__ import annotations

import json
from datetime import date

import pytest
from sqlalchemy import insert, select

from analytics.calmed_day import CALM_DAYS, Accepted
from server.alerts.calming import accepted_of
from server.alerts.queries import Verdict, close_alert, get_alert
from server.commands.calmed_words import calmed_words
from server.retention import ACTIVITY_DAYS
from server.store import tables
from server.store.database import Database
from server.store.tables import alert_days, alerts, channel_days
from tests.server.conftest import NOW

JUDGED = NOW // 86_400_000
ORDINAL = date(1970, 1, 1).toordinal() + JUDGED
WHO = "person:p0001"


def closed(
    database: Database,
    verdict: Verdict,
    *,
    channel: str = "removable_storage",
    stick_before: int | None = None,
    activity_days: int = ACTIVITY_DAYS,
) -> int:
    """An alert about a day with a stick, records read in an application, and mail; it shows the stick, which
    was there so many days before too."""
    raised = {
        "subject": WHO,
        "family": "removable_storage_copy",
        "status": "open",
        "score": 80,
        "traits": [],
        "sentence": {},
        "shares": [],
        "facts": {"rules": []},
        "policy_version": "1",
        "first_time": NOW,
        "last_time": NOW,
        "events": 1,
        "opened_at": NOW,
        "updated_at": NOW,
    }
    day = {"subject": WHO, "day": JUDGED, "day_type": "work", "events": 1}
    with database.begin() as connection:
        number = int(connection.execute(insert(alerts).values(raised).returning(alerts.c.id)).scalar_one())
        place = {"alert": number, "channel": channel, "day": JUDGED, "whole": True}
        connection.execute(insert(alert_days).values(place))
        rows = [
            {"activity": "removable_storage", "amounts": json.dumps([10**12, 40, 0]), "places": "[[7]]"},
            {"activity": "files", "amounts": json.dumps([900, 0, 3, 0, 0]), "places": "[]"},
            {"activity": "mail", "amounts": json.dumps([10**9, 2, 2]), "places": "[]"},
        ]
        connection.execute(insert(tables.activity_days), [day | row for row in rows])
        if stick_before is not None:
            earlier = day | rows[0] | {"day": JUDGED - stick_before}
            connection.execute(insert(tables.activity_days).values(earlier))
        sums = {"bytes": 0, "files": 0, "items": 1, "new_places": 0, "first_time": NOW, "last_time": NOW}
        connection.execute(
            insert(channel_days),
            [day | sums | {"channel": each} for each in ("removable_storage", "access_log", "mail")],
        )
        close_alert(
            connection, number, verdict, "a release goes out", "cli:test", NOW, activity_days=activity_days
        )
    return number


def accepted(database: Database, day: int) -> tuple[Accepted, ...]:
    with database.read() as connection:
        return accepted_of(connection, [WHO, "person:p0002"], day).get(WHO, ())


@pytest.mark.parametrize("verdict", [Verdict.EXPECTED, Verdict.FALSE])
def test_what_was_judged_harmless_calms_what_the_alert_was_about(
    database: Database, verdict: Verdict
) -> None:
    number = closed(database, verdict)
    told = {"bytes": 10**12, "files": 40, "new_devices": 1}
    expected = {Accepted("removable_storage", name, value, ORDINAL) for name, value in told.items()}
    assert set(accepted(database, JUDGED + 1)) == expected
    assert set(accepted(database, JUDGED + CALM_DAYS)) == expected
    assert accepted(database, JUDGED + CALM_DAYS + 1) == ()
    assert accepted(database, JUDGED) == ()
    with database.read() as connection:
        facts = get_alert(connection, number).facts
    assert ["removable_storage", "files", 40, JUDGED] in facts["accepted"]
    assert facts["rules"] == []
    until = date.fromordinal(ORDINAL + CALM_DAYS)
    said = calmed_words(facts)
    assert said.startswith(f"until {until} about as much")
    assert "1 TB copied to removable storage, 40 files copied" in said


@pytest.mark.parametrize(("activity_days", "is_new"), [(ACTIVITY_DAYS, False), (60, False), (30, True)])
def test_what_is_new_is_judged_by_the_days_that_count(
    database: Database, activity_days: int, is_new: bool
) -> None:
    closed(database, Verdict.EXPECTED, stick_before=45, activity_days=activity_days)
    found = accepted(database, JUDGED + 1)
    assert Accepted("removable_storage", "bytes", 10**12, ORDINAL) in found
    assert (Accepted("removable_storage", "new_devices", 1, ORDINAL) in found) == is_new


@pytest.mark.parametrize("verdict", [Verdict.CONFIRMED, Verdict.DUPLICATE])
def test_other_verdicts_calm_nothing(database: Database, verdict: Verdict) -> None:
    closed(database, verdict)
    assert accepted(database, JUDGED + 1) == ()


def test_what_came_by_other_channels_was_not_judged(database: Database) -> None:
    closed(database, Verdict.EXPECTED)
    # Files are read in applications too, and the alert was about the stick.
    assert {each.activity for each in accepted(database, JUDGED + 1)} == {"removable_storage"}


def test_an_alert_of_a_channel_that_feeds_no_activity_calms_nothing(database: Database) -> None:
    number = closed(database, Verdict.EXPECTED, channel="correlations")
    assert accepted(database, JUDGED + 1) == ()
    with database.read() as connection:
        facts = connection.execute(select(alerts.c.facts).where(alerts.c.id == number)).scalar_one()
    assert "accepted" not in facts
    assert calmed_words(facts) == ""


def test_what_comes_later_of_the_judged_day_was_not_judged(database: Database) -> None:
    closed(database, Verdict.EXPECTED)
    with database.begin() as connection:
        more = json.dumps([10**14, 4000, 0])
        at = tables.activity_days
        connection.execute(at.update().where(at.c.activity == "removable_storage").values(amounts=more))
    assert Accepted("removable_storage", "files", 40, ORDINAL) in accepted(database, JUDGED + 1)
