"""The tables, a module a topic. SQLAlchemy Core, the same on SQLite and PostgreSQL; migrations make them.

Times are milliseconds UTC (BigInteger), days are days since 1970-01-01 (Integer, in the person's own
time zone where the column says "local"). Everything that one micro-batch of the pipeline changes is
committed in one transaction together with `log_positions`, so every event counts exactly once.

Events are not kept a row each: `event_blocks` holds a wire record's value as it came (compressed,
with the agent's signature: the proof) and beside it what enrichment knew; where events were erased from
one, `block_seals` vouches for the rest; `subject_events` is the small
index by subject and local day, as ranges of sequence numbers.
"""

from __future__ import annotations

from server.store.tables.accounts import (
    console_addresses,
    console_invitations,
    console_sessions,
    console_users,
)
from server.store.tables.agents import (
    agent_epochs,
    agent_findings,
    agent_keys,
    agent_settings,
    agents,
    enrolment_tokens,
)
from server.store.tables.alert_queue import alert_rows, saved_views
from server.store.tables.alerts import (
    alert_candidates,
    alert_days,
    alerts,
    audit,
    audit_withheld,
    correlated_ranges,
    judged_days,
    judged_ranges,
    queue_days,
)
from server.store.tables.cases import case_alerts, case_history, cases, evidence_packs
from server.store.tables.detection import (
    activity_days,
    anomaly_days,
    channel_days,
    correlation_groups,
    known_exports,
    models,
    rule_days,
    subject_places,
    suspect_traits,
)
from server.store.tables.dry_runs import dry_runs
from server.store.tables.erasures import block_seals, erased_accounts, erasures, seal_keys
from server.store.tables.events import (
    collector_days,
    days_watched_anywhere,
    dead_letters,
    event_blocks,
    log_positions,
    state_versions,
    subject_agents,
    subject_events,
    workers,
)
from server.store.tables.leavers import leaver_sign_offs
from server.store.tables.look_backs import leaver_versions, look_backs
from server.store.tables.metadata import metadata
from server.store.tables.people import (
    account_bindings,
    accounts,
    employments,
    import_mappings,
    installation,
    leaver_flags,
    people,
    people_changes,
    people_imports,
    person_names,
    pseudonyms,
    removed_people,
    trait_bindings,
)
from server.store.tables.policies import hidden_hits, policy_faults, policy_versions
from server.store.tables.scim import scim_users
from server.store.tables.service_tokens import service_tokens
from server.store.tables.triage import (
    alert_history,
    alert_notes,
    followed_alerts,
    followed_subjects,
    triage_groups,
)
from server.store.tables.unmaskings import unmaskings
from server.store.tables.uses import trait_uses

__all__ = [
    "account_bindings",
    "accounts",
    "activity_days",
    "agent_epochs",
    "agent_findings",
    "agent_keys",
    "agent_settings",
    "agents",
    "alert_candidates",
    "alert_days",
    "alert_history",
    "alert_notes",
    "alert_rows",
    "alerts",
    "anomaly_days",
    "audit",
    "audit_withheld",
    "block_seals",
    "case_alerts",
    "case_history",
    "cases",
    "channel_days",
    "collector_days",
    "console_addresses",
    "console_invitations",
    "console_sessions",
    "console_users",
    "correlated_ranges",
    "correlation_groups",
    "days_watched_anywhere",
    "dead_letters",
    "dry_runs",
    "employments",
    "enrolment_tokens",
    "erased_accounts",
    "erasures",
    "event_blocks",
    "evidence_packs",
    "followed_alerts",
    "followed_subjects",
    "hidden_hits",
    "import_mappings",
    "installation",
    "judged_days",
    "judged_ranges",
    "known_exports",
    "leaver_flags",
    "leaver_sign_offs",
    "leaver_versions",
    "log_positions",
    "look_backs",
    "metadata",
    "models",
    "people",
    "people_changes",
    "people_imports",
    "person_names",
    "policy_faults",
    "policy_versions",
    "pseudonyms",
    "queue_days",
    "removed_people",
    "rule_days",
    "saved_views",
    "scim_users",
    "seal_keys",
    "service_tokens",
    "state_versions",
    "subject_agents",
    "subject_events",
    "subject_places",
    "suspect_traits",
    "trait_bindings",
    "trait_uses",
    "triage_groups",
    "unmaskings",
    "workers",
]
