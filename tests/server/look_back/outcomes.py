"""All that looking back must leave as if HR had known from the beginning."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select

from policies.engine import PolicySet
from policies.rule_file import load_policies
from server.look_back.looking_back import LookingBack
from server.pipeline.leaver_entries import current_entries, later_versions
from server.store.tables import (
    activity_days,
    alert_days,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    event_blocks,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
)
from tests.server.pipeline.conftest import Server

POLICIES = load_policies()


_BY_USES = {
    "account": ("dormant_days", "first_seen_ip", "first_seen_device", "session_elsewhere"),
    "device": ("bound_to_left_person",),
    "remote": ("historical_users", "bound_to_left_person"),
}
"""By the uses that were known when the event came, which knew fewer the later it came, and under which name
the account was listed then."""


def looking_back(server: Server, **settings: Any) -> LookingBack:
    return LookingBack(server.database, clock=server.clock, **({"policies": POLICIES} | settings))


def look_back(server: Server, policies: PolicySet = POLICIES) -> int:
    """Until nobody waits. How many groups of people were finished."""
    worker, done = looking_back(server, policies=policies), 0
    while found := worker.step():
        done += found
    return done


def rows(server: Server, table: Any, *without: str) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        found = connection.execute(select(table))
        plain = [{k: v for k, v in row._mapping.items() if k not in without} for row in found]
    return sorted(plain, key=repr)


def indexed(server: Server) -> set[tuple[Any, ...]]:
    """Each event by itself: how ranges were cut must not matter."""
    found: list[tuple[Any, ...]] = []
    for row in rows(server, subject_events):
        place = tuple(row[name] for name in ("subject", "day", "channel", "agent", "epoch"))
        found += [(*place, seq) for seq in range(row["first_seq"], row["last_seq"] + 1)]
    assert len(found) == len(set(found))
    return set(found)


def known(server: Server, *, whole: bool = False) -> dict[tuple[str, str, int], Any]:
    """What is known of each event by now; `whole`: with what depends on the order in which uses came."""
    found: dict[tuple[str, str, int], Any] = {}
    with server.database.read() as connection:
        for block in connection.execute(select(event_blocks)).all():
            later = later_versions(connection, [block.id]).get(block.id, [])
            entries = current_entries(block.leaver, later, block._mapping["count"])
            for index, entry in enumerate(entries):
                if entry is not None:
                    plain = entry[0], msgspec.json.decode(entry[1])
                    for side, fields in () if whole else _BY_USES.items():
                        for field in fields:
                            plain[1].get(side, {}).pop(field, None)
                    # Acts of others are not looked back at.
                    plain[1].pop("suspect", None)
                    found[block.agent, block.epoch, block.first_seq + index] = plain
    return found


LEFT = "; by what HR says now nothing of it reaches the line"


def outcome(server: Server) -> dict[str, Any]:
    """But for numbers given in turn, when the server did it, and alerts of which nothing is left: what was
    raised stays for people to close."""
    opened = rows(server, alerts, "opened_at", "updated_at", "looked_back_at")
    opened = [alert for alert in opened if not alert["sentence"]["en"].endswith(LEFT)]
    family_of = {alert["id"]: (alert["subject"], alert["family"]) for alert in opened}
    return {
        "days": rows(server, channel_days),
        "activities": rows(server, activity_days),
        "anomalies": rows(server, anomaly_days),
        "rules": rows(server, rule_days),
        "correlated": rows(server, correlation_groups),
        "places": rows(server, subject_places),
        "agents": rows(server, subject_agents),
        "index": indexed(server),
        "known": known(server),
        "alerts": sorted(({k: v for k, v in alert.items() if k != "id"} for alert in opened), key=repr),
        "alert_days": sorted(
            (*family_of[row["alert"]], row["channel"], row["day"])
            for row in rows(server, alert_days)
            if row["alert"] in family_of
        ),
    }
