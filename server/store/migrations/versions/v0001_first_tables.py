"""The first tables: server/store/tables.py as of 0.1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Sorted by code point on both databases."""
    if length is None:
        return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "agent_findings",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("agent", _text(64), nullable=False),
        sa.Column(
            "kind", _text(32), nullable=False, comment="gap, new_epoch, bad_signature, unknown_agent, …"
        ),
        sa.Column("detail", _text(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_findings")),
        comment="something is odd about an agent; one open row for each (agent, kind)",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_agent_findings_agent"), "agent_findings", ["agent"], unique=False)
    op.create_index(
        "uq_agent_findings_one_open",
        "agent_findings",
        ["agent", "kind"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "agents",
        sa.Column("name", _text(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("revoked_reason", _text()),
        sa.Column("heartbeat_at", sa.BigInteger(), comment="when the last heartbeat was received"),
        sa.Column("heartbeat", sa.JSON(), comment="the last heartbeat as sent"),
        sa.Column("clock_offset", sa.BigInteger(), nullable=False, comment="ms to add to the agent's times"),
        sa.Column("clock_doubted_since", sa.BigInteger(), comment="event_clock.AgentClock"),
        sa.Column("clock_doubted", sa.BigInteger(), comment="event_clock.AgentClock"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_agents")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column(
            "subject", _text(128), nullable=False, comment="person:ID, or account:NAME without a person"
        ),
        sa.Column("family", _text(64), nullable=False),
        sa.Column("status", _text(8), nullable=False, comment="open or closed"),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("account_owner", _text(128), comment="person id whose account was used"),
        sa.Column("suspected_actor", _text(128), comment="person id that the traits point to"),
        sa.Column("traits", sa.JSON(), nullable=False, comment="why the suspect: list of words"),
        sa.Column("sentence", sa.JSON(), nullable=False, comment='{"en": …, "zh": …}'),
        sa.Column(
            "shares", sa.JSON(), nullable=False, comment="[{source, points, share}], points add up to score"
        ),
        sa.Column("facts", sa.JSON(), nullable=False, comment="what the sentence was made from"),
        sa.Column("policy_version", _text(64), nullable=False),
        sa.Column("model_id", sa.BigInteger()),
        sa.Column("first_time", sa.BigInteger(), nullable=False, comment="of its events"),
        sa.Column("last_time", sa.BigInteger(), nullable=False, comment="of its events"),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False, comment="server's clock"),
        sa.Column("updated_at", sa.BigInteger(), nullable=False, comment="server's clock"),
        sa.Column("verdict", _text(16), comment="confirmed, expected, false or duplicate"),
        sa.Column("reason", _text()),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("closed_by", _text(256)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_alerts_one_open",
        "alerts",
        ["subject", "family"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", _text(256), nullable=False),
        sa.Column("action", _text(64), nullable=False),
        sa.Column("object", _text(256), nullable=False),
        sa.Column("reason", _text()),
        sa.Column("detail", sa.JSON()),
        sa.Column("previous_hash", _text(64), nullable=False),
        sa.Column("hash", _text(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        comment="append-only hash chain",
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("event_index", sa.Integer(), nullable=False, comment="-1: the whole record"),
        sa.Column("agent", _text(64)),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", _text(32), nullable=False, comment="event_schema.wire.Rejected"),
        sa.Column("message", _text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes of the original"),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="the original, cut at 64 KiB"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_dead_letters_place", "dead_letters", ["partition", "offset", "event_index"], unique=True
    )
    op.create_table(
        "event_blocks",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("epoch", _text(16), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False, comment="UTC day of its youngest event"),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False, comment="the wire record's value as it came"),
        sa.Column(
            "leaver",
            sa.LargeBinary(),
            nullable=False,
            comment="zstd JSON array, an entry for each event: [corrected time, leaver fields], "
            "or null where the event is a duplicate or a dead letter",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_blocks")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_blocks_last_day", "event_blocks", ["last_day", "count"], unique=False)
    op.create_index("ix_event_blocks_place", "event_blocks", ["agent", "epoch", "first_seq"], unique=False)
    op.create_table(
        "installation",
        sa.Column("key", _text(64), nullable=False),
        sa.Column("value", _text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_installation")),
        comment="facts of this installation: id, pseudonym key, admin token hash, people_version",
    )
    op.create_table(
        "log_positions",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "fence", sa.BigInteger(), nullable=False, comment="rises with each owner; a zombie's is too low"
        ),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_log_positions")),
    )
    op.create_table(
        "models",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("kind", _text(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "people",
        sa.Column("id", _text(128), nullable=False, comment="the company's own id"),
        sa.Column("department", _text(256)),
        sa.Column("manager_id", _text(128)),
        sa.Column("time_zone", _text(64), nullable=False),
        sa.Column("notice_date", sa.Integer(), comment="local day"),
        sa.Column("last_working_day", sa.Integer(), comment="local day, inclusive"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_table(
        "people_imports",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("imported_by", _text(256), nullable=False),
        sa.Column("file_sha256", _text(64), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people_imports")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pseudonyms",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("pseudonym", _text(16), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_pseudonyms")),
        sa.UniqueConstraint("pseudonym", name=op.f("uq_pseudonyms_pseudonym")),
        comment="subject is 'person:ID' or 'account:NAME'",
    )
    op.create_table(
        "rule_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("rule_id", _text(64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("family", _text(64), nullable=False),
        sa.Column("level", _text(16), nullable=False),
        sa.Column("title", _text(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "rule_id", "day", name=op.f("pk_rule_days")),
    )
    op.create_table(
        "storage_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("day_type", _text(4), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("new_devices", sa.Integer(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.Column(
            "events", sa.BigInteger(), nullable=False, comment="all of the channel, not only files written"
        ),
        sa.Column(
            "anomaly", sa.Float(), nullable=False, comment="highest 0–100 that the running day reached"
        ),
        sa.Column("model_id", sa.BigInteger(), comment="which model found that height"),
        sa.PrimaryKeyConstraint("subject", "day", name=op.f("pk_storage_days")),
        comment="removable storage by subject and day: the features' raw material",
    )
    op.create_table(
        "subject_devices",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("device", _text(512), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "device", name=op.f("pk_subject_devices")),
    )
    op.create_table(
        "accounts",
        sa.Column("account", _text(256), nullable=False, comment="case-folded, as events name it"),
        sa.Column("person_id", _text(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_accounts_person_id_people"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_accounts")),
    )
    op.create_index(op.f("ix_accounts_person_id"), "accounts", ["person_id"], unique=False)
    op.create_table(
        "agent_epochs",
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("epoch", _text(16), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column(
            "seen", _text(), nullable=False, comment="sequence numbers accounted for, as ranges '0-41,50-99'"
        ),
        sa.Column("lost", sa.BigInteger(), nullable=False, comment="numbers covered by loss records"),
        sa.Column("duplicates", sa.BigInteger(), nullable=False, comment="events that came again"),
        sa.ForeignKeyConstraint(["agent"], ["agents.name"], name=op.f("fk_agent_epochs_agent_agents")),
        sa.PrimaryKeyConstraint("agent", "epoch", name=op.f("pk_agent_epochs")),
    )
    op.create_table(
        "agent_keys",
        sa.Column("agent", _text(64), nullable=False),
        sa.Column(
            "key_id", _text(16), nullable=False, comment="first 16 hex digits of SHA-256 of public_key"
        ),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("certificate_serial", _text(64), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.name"], name=op.f("fk_agent_keys_agent_agents")),
        sa.PrimaryKeyConstraint("agent", "key_id", name=op.f("pk_agent_keys")),
        comment="all keys an agent ever had: records signed by an older one may still lie on the log",
    )
    op.create_table(
        "alert_days",
        sa.Column("alert", _ROW_ID, nullable=False),
        sa.Column("channel", _text(64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.ForeignKeyConstraint(
            ["alert"], ["alerts.id"], name=op.f("fk_alert_days_alert_alerts"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert", "channel", "day", name=op.f("pk_alert_days")),
        comment="an alert's evidence: its subject's events of these channels and days (subject_events)",
    )
    op.create_table(
        "judged_days",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("family", _text(64), nullable=False),
        sa.Column("rule_id", _text(64), nullable=False, comment="empty: the day's anomaly"),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="the rule's hits, or the day's events"),
        sa.PrimaryKeyConstraint("subject", "family", "rule_id", "day", name=op.f("pk_judged_days")),
        comment="at closing; a day that has more by now counts again",
    )
    op.create_table(
        "enrolment_tokens",
        sa.Column("token_sha256", _text(64), nullable=False),
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["agent"], ["agents.name"], name=op.f("fk_enrolment_tokens_agent_agents")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_enrolment_tokens")),
    )
    op.create_table(
        "subject_events",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local"),
        sa.Column("channel", _text(64), nullable=False, comment="the collector that saw them"),
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("epoch", _text(16), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "subject", "day", "channel", "agent", "epoch", "first_seq", name=op.f("pk_subject_events")
        ),
        comment="index of events; all numbers of a range are of this subject, day and channel",
    )
    op.create_table(
        "collector_days",
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("collector", _text(64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="UTC"),
        sa.PrimaryKeyConstraint("agent", "collector", "day", name=op.f("pk_collector_days")),
        comment="days on which the collector ran: only there does silence mean that nothing happened",
    )
    op.create_table(
        "subject_agents",
        sa.Column("subject", _text(128), nullable=False),
        sa.Column("agent", _text(64), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "agent", name=op.f("pk_subject_agents")),
        comment="on which endpoints a subject was seen",
    )
    op.create_table(
        "person_names",
        sa.Column("person_id", _text(128), nullable=False),
        sa.Column("name", _text(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_person_names_person_id_people"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_person_names")),
        comment="kept apart so that only unmasking reads it",
    )
    op.create_table(
        "workers",
        sa.Column("name", _text(64), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "seen_at", sa.BigInteger(), nullable=False, comment="its last sign of life; server's clock"
        ),
        sa.Column("partitions", sa.JSON(), nullable=False, comment="numbers of those that it holds"),
        sa.Column("batch_at", sa.BigInteger(), comment="when its last batch was committed"),
        sa.Column("batches", sa.BigInteger(), nullable=False, comment="since it started"),
        sa.Column(
            "conflicts", sa.BigInteger(), nullable=False, comment="batches done again since it started"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
        comment="workers that share a log on Kafka; a row goes when its worker ends in good order",
    )
    op.create_table(
        "state_versions",
        sa.Column("key", _text(128), nullable=False, comment="a subject, or 'agent:NAME'"),
        sa.Column(
            "version",
            sa.BigInteger(),
            nullable=False,
            comment="rises with each commit that changes its state",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_state_versions")),
        comment="so that no worker writes over what another one changed (pipeline/state_versions.py)",
    )
