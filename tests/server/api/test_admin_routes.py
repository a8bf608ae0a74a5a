"""Alerts over the API: listed, shown and closed once, by pseudonym, with a row in the audit trail."""

from __future__ import annotations

import json

import httpx
import pytest
from sqlalchemy import insert, select

from server.store.tables import (
    account_bindings,
    accounts,
    alert_candidates,
    alerts,
    anomaly_days,
    audit,
    channel_days,
    people,
    person_names,
    queue_days,
)
from tests.server.api.running_server import RunningServer

SUBJECT = "person:E-4711"


@pytest.fixture
def admin(server: RunningServer, client: httpx.Client) -> httpx.Client:
    client.headers["authorization"] = f"Bearer {server.admin_token()}"
    return client


@pytest.fixture
def alert_id(server: RunningServer) -> int:
    now = server.clock()
    with server.database.begin() as connection:
        connection.execute(
            insert(people).values(id="E-4711", department="Sales", time_zone="Asia/Shanghai", changed_at=now)
        )
        connection.execute(insert(person_names).values(person_id="E-4711", name="Wang Fang"))
        named = {"system": "", "account": "wfang", "source": "import"}
        connection.execute(insert(accounts).values(kind="personal", changed_at=now, **named))
        owned = {"person_id": "E-4711", "relation": "owner", "confidence": 1.0}
        connection.execute(insert(account_bindings).values(**owned, **named))
        values = {
            "subject": SUBJECT,
            "family": "removable_storage",
            "status": "open",
            "score": 87,
            "traits": [],
            "sentence": {"en": "4.1 GB to a stick", "zh": "4.1 GB"},
            "shares": [{"source": "anomaly", "points": 87, "share": 1.0}],
            "facts": {},
            "policy_version": "1",
            "first_time": now,
            "last_time": now,
            "events": 3,
            "opened_at": now,
            "updated_at": now,
        }
        key = connection.execute(insert(alerts).values(**values)).inserted_primary_key
        assert key is not None
        return int(key[0])


def test_what_is_not_alerted_is_listed_with_why_and_without_any_name(
    server: RunningServer, admin: httpx.Client, alert_id: int
) -> None:
    day = server.clock() // 86_400_000
    with server.database.begin() as connection:
        connection.execute(alerts.update().values(status="held", by_rules=False))
        at = {"day": day, "subject": SUBJECT, "channel": "uploads", "day_type": "work"}
        sums = {"bytes": 0, "files": 1, "items": 0, "new_places": 0, "events": 1}
        connection.execute(insert(channel_days).values(**at, **sums, first_time=0, last_time=0))
        strange = {"points": 87.0, "uncalmed": 87.0, "slow_points": 0.0, "slow_family": ""}
        evidence = {"evidence": '{"web_upload":9.5}', "uncalmed_evidence": "{}"}
        connection.execute(
            insert(anomaly_days).values(
                subject=SUBJECT, day=day, family="removable_storage", **strange, **evidence
            )
        )
        queued = {"alert": alert_id, "day": day, "queue": "day", "points": 87.0, "strength": 9.5}
        connection.execute(insert(alert_candidates).values(**queued))
        connection.execute(insert(queue_days).values(queue="day", day=day, cap=2))
    listed = admin.get("/v1/alerts/below")
    assert listed.status_code == 200
    (told,) = listed.json()
    assert (told["score"], told["why"], told["held"], told["cap"]) == (87, "over_the_cap", alert_id, 2)
    assert told["activities"] == ["web_upload"]
    assert "wfang" not in listed.text and "4711" not in listed.text
    assert admin.get("/v1/alerts").json() == admin.get("/v1/alerts?status=all").json() == []
    assert [alert["id"] for alert in admin.get("/v1/alerts?status=held").json()] == [alert_id]
    assert admin.get("/v1/alerts/below?days=0").status_code == 400


def test_alerts_are_listed_and_shown_without_any_name(admin: httpx.Client, alert_id: int) -> None:
    listed = admin.get("/v1/alerts")
    assert listed.status_code == 200
    assert [(alert["id"], alert["score"]) for alert in listed.json()] == [(alert_id, 87)]
    detail = admin.get(f"/v1/alerts/{alert_id}")
    assert detail.status_code == 200
    assert detail.json()["alert"]["who"]["pseudonym"].startswith("P-")
    for text in (listed.text, detail.text):
        assert all(name not in text for name in ("E-4711", "Wang Fang", "wfang"))


def test_an_alert_is_closed_once_with_its_reason_on_the_record(
    server: RunningServer, admin: httpx.Client, alert_id: int
) -> None:
    place = f"/v1/alerts/{alert_id}/close"
    verdict = {"verdict": "expected", "reason": "approved by the department"}
    assert admin.post(place, json=verdict).json() == {
        "id": alert_id,
        "status": "closed",
        "verdict": "expected",
    }
    again = admin.post(place, json=verdict)
    assert (again.status_code, again.json()["reason"]) == (409, "already_closed")
    assert admin.get("/v1/alerts").json() == []
    assert [alert["verdict"] for alert in admin.get("/v1/alerts?status=closed&limit=5").json()] == [
        "expected"
    ]
    with server.database.read() as connection:
        row = connection.execute(select(audit).where(audit.c.action == "alert.close")).one()
    assert (row.actor, row.reason) == ("admin token", "approved by the department")


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "expected"},
        {"verdict": "guilty", "reason": "x"},
        {"verdict": "false", "reason": ""},
        {"verdict": "false", "reason": "  "},
        {"verdict": "false", "reason": "x" * 5000},
        {"verdict": "false", "reason": "zero \0"},
        {"verdict": "false", "reason": "x", "closed_by": "someone"},
        [],
    ],
)
def test_a_verdict_without_sense_changes_nothing(admin: httpx.Client, alert_id: int, body: object) -> None:
    response = admin.post(
        f"/v1/alerts/{alert_id}/close",
        content=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    assert (response.status_code, response.json()["reason"]) == (400, "bad_content")
    assert len(admin.get("/v1/alerts").json()) == 1


def test_unknown_alerts_and_senseless_queries_are_refused(admin: httpx.Client) -> None:
    verdict = {"verdict": "false", "reason": "x"}
    for number in (0, 1, 2**31, 10**30):
        assert admin.get(f"/v1/alerts/{number}").status_code == 404
        assert admin.post(f"/v1/alerts/{number}/close", json=verdict).status_code == 404
    assert admin.get("/v1/alerts/1x").status_code == 404
    for query in ("status=new", "limit=0", "limit=100000", "limit=x", "who=me"):
        assert admin.get(f"/v1/alerts?{query}").status_code == 400
