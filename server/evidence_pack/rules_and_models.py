"""The rules whose hits are in a pack's alerts, as they were and are, and the models that scored them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from server.alerts.queries import Alert
from server.store.tables import models, policy_versions, rule_days

VERSIONS_MAX = 1000
_AT_ONCE = 500


class RuleVersion(msgspec.Struct, frozen=True):
    """`sha256`: of the text as it runs; what is in the pack may be masked."""

    rule_id: str
    number: int
    title: str
    text: str
    sha256: str
    saved_at: int
    saved_by: str
    enabled: bool


def rule_versions(connection: Connection, alerts: Sequence[Alert]) -> list[RuleVersion]:
    """Of every rule that gave to a score: the versions that its hits were of, and the current one."""
    wanted = sorted({share.source for alert in alerts for share in alert.shares})
    used: dict[str, set[int]] = {}
    subjects = sorted({alert.subject for alert in alerts})
    for start in range(0, len(subjects), _AT_ONCE):
        query = select(rule_days.c.rule_id, rule_days.c.first_version, rule_days.c.last_version).where(
            rule_days.c.subject.in_(subjects[start : start + _AT_ONCE]), rule_days.c.rule_id.in_(wanted)
        )
        for rule_id, first, last in connection.execute(query.distinct()):
            used.setdefault(rule_id, set()).update((first or 0, last or 0))
    found: list[RuleVersion] = []
    for rule_id in wanted:
        rows = connection.execute(
            select(policy_versions)
            .where(policy_versions.c.rule_id == rule_id, policy_versions.c.text.is_not(None))
            .order_by(policy_versions.c.number.desc())
        ).all()
        for index, row in enumerate(rows):
            if index and row.number not in used.get(rule_id, ()):
                continue
            found.append(
                RuleVersion(
                    *(rule_id, row.number, row.title, row.text),
                    sha256=hashlib.sha256(row.text.encode()).hexdigest(),
                    saved_at=row.saved_at,
                    saved_by=row.saved_by,
                    enabled=row.enabled,
                )
            )
    return sorted(found[:VERSIONS_MAX], key=lambda each: (each.rule_id, each.number))


def models_used(connection: Connection, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """With the digest of each; of one that is no longer kept only its number."""
    told: list[dict[str, Any]] = []
    for number in sorted({alert.model_id for alert in alerts if alert.model_id is not None}):
        row = connection.execute(select(models).where(models.c.id == number)).first()
        if row is None:
            told.append({"id": number, "kept": False})
            continue
        state = bytes(row.state)
        told.append(
            {
                "id": number,
                "kept": True,
                "kind": row.kind,
                "created_at": row.created_at,
                "active": row.active,
                "bytes": len(state),
                "sha256": hashlib.sha256(state).hexdigest(),
            }
        )
    return told
