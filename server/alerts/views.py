"""Alerts as analysts see them: pseudonyms instead of names, unless unmasked with a reason on the record.

The console, the API and the command line show these, so that masking happens in one place. Without
`grants` no value that names a person is in a view (what counts as one: server/people/masking.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import select

from analytics.risk import ANOMALY_SOURCE, SLOW_SOURCE
from server.alerts.blind_spots import blind_spots
from server.alerts.evidence import evidence
from server.alerts.explained import explained
from server.alerts.held_words import held_words
from server.alerts.proof import verify_evidence
from server.alerts.queries import StatusFilter, earlier_alerts, get_alert, list_alerts
from server.alerts.ranking import HELD
from server.alerts.sight import Sight
from server.alerts.view_types import (
    AlertDetail,
    AlertView,
    ShareView,
)
from server.people.directory import Directory, load_directory
from server.people.unmaskings import Grant
from server.store.database import Database
from server.store.tables import rule_days

EVIDENCE_SHOWN = 20
_SHARE_WORDS: Final = {
    ANOMALY_SOURCE: {"en": "Unusual for the person and among peers", "zh": "与本人平常及同组人员相比异常"},
    SLOW_SOURCE: {
        "en": "Rising for weeks against the months before",
        "zh": "与此前数月相比，数周以来持续上升",
    },
}


def alert_views(
    database: Database,
    status: StatusFilter = "open",
    limit: int = 100,
    *,
    grants: Mapping[str, Grant] | None = None,
    directory: Directory | None = None,
) -> list[AlertView]:
    """The queue, highest score first. `grants`: whom the reader unmasked, by subject. `directory` where the
    caller keeps a current one."""
    with database.read() as connection:
        found = list_alerts(connection, status, limit)
        known = directory or load_directory(connection)
    sight = Sight(database, known, found, (), grants=grants)
    return [sight.alert(alert) for alert in found]


def alert_detail(
    database: Database,
    alert_id: int,
    *,
    grants: Mapping[str, Grant] | None = None,
    directory: Directory | None = None,
    evidence_limit: int = EVIDENCE_SHOWN,
    sight: Sight | None = None,
) -> AlertDetail:
    """Everything about one alert. `sight`: of a reader who looks at several. Raises UnknownAlert."""
    with database.read() as connection:
        alert = get_alert(connection, alert_id)
        known = directory or load_directory(connection)
        proven = evidence(connection, alert_id, evidence_limit)
        proof = verify_evidence(connection, alert_id)
        proven = msgspec.structs.replace(proven, missing=max(0, proven.missing - proof.erased))
        unseen = blind_spots(connection, alert_id)
        earlier = earlier_alerts(connection, alert)
        held = held_words(connection, alert_id) if alert.status == HELD else {}
        titles = {
            row.rule_id: row.title
            for row in connection.execute(
                select(rule_days.c.rule_id, rule_days.c.title)
                .where(rule_days.c.subject == alert.subject)
                .order_by(rule_days.c.day)
            )
        }
    sight = sight or Sight(database, known, [alert], proven.accounts, grants=grants)
    return AlertDetail(
        alert=sight.alert(alert),
        shares=tuple(share_view(each.source, each.points, each.share, titles) for each in alert.shares),
        facts=sight.plain(alert.facts),
        policy_version=alert.policy_version,
        model_id=alert.model_id,
        evidence=sight.evidence(proven, unseen),
        proof=sight.proof(proof),
        explanation=explained(alert.facts, held=alert.status == HELD),
        earlier=tuple(earlier),
        held=held,
    )


def share_view(source: str, points: int, share: float, titles: Mapping[str, str]) -> ShareView:
    """`titles`: of rules."""
    words = _SHARE_WORDS.get(source, {})
    return ShareView(source, words.get("en") or titles.get(source, source), points, share, words)
