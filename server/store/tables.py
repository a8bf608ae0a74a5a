"""The tables. SQLAlchemy Core, the same on SQLite and PostgreSQL; Alembic migrations make them.

Times are milliseconds UTC (BigInteger), days are days since 1970-01-01 (Integer, in the person's own
time zone where the column says "local"). Everything that one micro-batch of the pipeline changes is
committed in one transaction together with `log_positions`, so every event counts exactly once.

Events are not kept a row each: `event_blocks` holds a wire record's value as it came (compressed,
with the agent's signature: the proof) and beside it what enrichment knew; `subject_events` is the small
index by subject and local day, as ranges of sequence numbers.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    text,
)

from server.store.column_types import PlainText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives an autoincrementing key only to INTEGER PRIMARY KEY.
_RowId = BigInteger().with_variant(Integer, "sqlite")

installation = Table(
    "installation",
    metadata,
    Column("key", PlainText(64), primary_key=True),
    Column("value", PlainText(), nullable=False),
    comment="facts of this installation: id, pseudonym key, admin token hash, people_version",
)

# ---- agents -------------------------------------------------------------------------------------

agents = Table(
    "agents",
    metadata,
    Column("name", PlainText(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("enrolled_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("revoked_reason", PlainText()),
    Column("heartbeat_at", BigInteger, comment="when the last heartbeat was received"),
    Column("heartbeat", JSON, comment="the last heartbeat as sent"),
    Column("clock_offset", BigInteger, nullable=False, default=0, comment="ms to add to the agent's times"),
    Column("clock_doubted_since", BigInteger, comment="event_clock.AgentClock"),
    Column("clock_doubted", BigInteger, comment="event_clock.AgentClock"),
)

agent_keys = Table(
    "agent_keys",
    metadata,
    Column("agent", ForeignKey("agents.name"), primary_key=True),
    Column("key_id", PlainText(16), primary_key=True, comment="first 16 hex digits of SHA-256 of public_key"),
    Column("public_key", LargeBinary(32), nullable=False),
    Column("certificate_serial", PlainText(64), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    comment="all keys an agent ever had: records signed by an older one may still lie on the log",
)

agent_settings = Table(
    "agent_settings",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("issued_by", PlainText(256), nullable=False),
    Column("reason", PlainText(), nullable=False),
    Column("settings", PlainText(), nullable=False, comment="TOML: [collectors.…]"),
    Column("bundle", LargeBinary, nullable=False, comment="as agents get it: event_schema/config_bundle.py"),
    comment="what all agents are to collect; the highest version holds",
)

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("token_sha256", PlainText(64), primary_key=True),
    Column("agent", ForeignKey("agents.name"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

agent_epochs = Table(
    "agent_epochs",
    metadata,
    Column("agent", ForeignKey("agents.name"), primary_key=True),
    Column("epoch", PlainText(16), primary_key=True),
    Column("first_seen", BigInteger, nullable=False),
    Column(
        "seen", PlainText(), nullable=False, comment="sequence numbers accounted for, as ranges '0-41,50-99'"
    ),
    Column("lost", BigInteger, nullable=False, default=0, comment="numbers covered by loss records"),
    Column("duplicates", BigInteger, nullable=False, default=0, comment="events that came again"),
)

agent_findings = Table(
    "agent_findings",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("agent", PlainText(64), nullable=False, index=True),
    Column("kind", PlainText(32), nullable=False, comment="gap, new_epoch, bad_signature, unknown_agent, …"),
    Column("detail", PlainText(), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Index(
        "uq_agent_findings_one_open",
        "agent",
        "kind",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
    comment="something is odd about an agent; one open row for each (agent, kind)",
)

# ---- log, events --------------------------------------------------------------------------------

log_positions = Table(
    "log_positions",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("fence", BigInteger, nullable=False, comment="rises with each owner; a zombie's is too low"),
    Column("next_offset", BigInteger, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("name", PlainText(64), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, comment="its last sign of life; server's clock"),
    Column("partitions", JSON, nullable=False, comment="numbers of those that it holds"),
    Column("batch_at", BigInteger, comment="when its last batch was committed"),
    Column("batches", BigInteger, nullable=False, comment="since it started"),
    Column("conflicts", BigInteger, nullable=False, comment="batches done again since it started"),
    comment="workers that share a log on Kafka; a row goes when its worker ends in good order",
)

state_versions = Table(
    "state_versions",
    metadata,
    Column("key", PlainText(128), primary_key=True, comment="a subject, or 'agent:NAME'"),
    Column("version", BigInteger, nullable=False, comment="rises with each commit that changes its state"),
    comment="so that no worker writes over what another one changed (pipeline/state_versions.py)",
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("event_index", Integer, nullable=False, comment="-1: the whole record"),
    Column("agent", PlainText(64)),
    Column("received_at", BigInteger, nullable=False),
    Column("reason", PlainText(32), nullable=False, comment="event_schema.wire.Rejected"),
    Column("message", PlainText(), nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes of the original"),
    Column("data", LargeBinary, nullable=False, comment="the original, cut at 64 KiB"),
    Index("uq_dead_letters_place", "partition", "offset", "event_index", unique=True),
)

event_blocks = Table(
    "event_blocks",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("agent", PlainText(64), nullable=False),
    Column("epoch", PlainText(16), nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("last_day", Integer, nullable=False, comment="UTC day of its youngest event"),
    Column("signature", LargeBinary(64), nullable=False),
    Column("value", LargeBinary, nullable=False, comment="the wire record's value as it came"),
    Column(
        "leaver",
        LargeBinary,
        nullable=False,
        comment="zstd JSON array, an entry for each event: [corrected time, leaver fields], or null where "
        "the event is a duplicate or a dead letter",
    ),
    Index("ix_event_blocks_place", "agent", "epoch", "first_seq"),
    # With the count, so that events are counted and days found without reading the blocks.
    Index("ix_event_blocks_last_day", "last_day", "count"),
)

subject_events = Table(
    "subject_events",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("channel", PlainText(64), primary_key=True, comment="the collector that saw them"),
    Column("agent", PlainText(64), primary_key=True),
    Column("epoch", PlainText(16), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    comment="index of events; all numbers of a range are of this subject, day and channel",
)

collector_days = Table(
    "collector_days",
    metadata,
    Column("agent", PlainText(64), primary_key=True),
    Column("collector", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="UTC"),
    comment="days on which the collector ran: only there does silence mean that nothing happened",
)

subject_agents = Table(
    "subject_agents",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("agent", PlainText(64), primary_key=True),
    Column("first_time", BigInteger, nullable=False),
    comment="on which endpoints a subject was seen",
)

# ---- people -------------------------------------------------------------------------------------

people = Table(
    "people",
    metadata,
    Column("id", PlainText(128), primary_key=True, comment="the company's own id"),
    Column("department", PlainText(256)),
    Column("manager_id", PlainText(128)),
    Column("time_zone", PlainText(64), nullable=False),
    Column("notice_date", Integer, comment="local day"),
    Column("last_working_day", Integer, comment="local day, inclusive"),
    Column("changed_at", BigInteger, nullable=False),
)

person_names = Table(
    "person_names",
    metadata,
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("name", PlainText(256), nullable=False),
    comment="kept apart so that only unmasking reads it",
)

accounts = Table(
    "accounts",
    metadata,
    Column("account", PlainText(256), primary_key=True, comment="case-folded, as events name it"),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
)

pseudonyms = Table(
    "pseudonyms",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("pseudonym", PlainText(16), nullable=False, unique=True),
    comment="subject is 'person:ID' or 'account:NAME'",
)

people_imports = Table(
    "people_imports",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("imported_at", BigInteger, nullable=False),
    Column("imported_by", PlainText(256), nullable=False),
    Column("file_sha256", PlainText(64), nullable=False),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
)

# ---- detection state ----------------------------------------------------------------------------

storage_days = Table(
    "storage_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("day_type", PlainText(4), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("new_devices", Integer, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False, comment="all of the channel, not only files written"),
    Column("anomaly", Float, nullable=False, comment="highest 0–100 that the running day reached"),
    Column("model_id", BigInteger, comment="which model found that height"),
    comment="removable storage by subject and day: the features' raw material",
)

subject_devices = Table(
    "subject_devices",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("device", PlainText(512), primary_key=True),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
)

rule_days = Table(
    "rule_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("rule_id", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("family", PlainText(64), nullable=False),
    Column("level", PlainText(16), nullable=False),
    Column("title", PlainText(), nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("kind", PlainText(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

# ---- alerts, audit ------------------------------------------------------------------------------

alerts = Table(
    "alerts",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("subject", PlainText(128), nullable=False, comment="person:ID, or account:NAME without a person"),
    Column("family", PlainText(64), nullable=False),
    Column("status", PlainText(8), nullable=False, comment="open or closed"),
    Column("score", Integer, nullable=False),
    Column("account_owner", PlainText(128), comment="person id whose account was used"),
    Column("suspected_actor", PlainText(128), comment="person id that the traits point to"),
    Column("traits", JSON, nullable=False, comment="why the suspect: list of words"),
    Column("sentence", JSON, nullable=False, comment='{"en": …, "zh": …}'),
    Column("shares", JSON, nullable=False, comment="[{source, points, share}], points add up to score"),
    Column("facts", JSON, nullable=False, comment="what the sentence was made from"),
    Column("policy_version", PlainText(64), nullable=False),
    Column("model_id", BigInteger),
    Column("first_time", BigInteger, nullable=False, comment="of its events"),
    Column("last_time", BigInteger, nullable=False, comment="of its events"),
    Column("events", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False, comment="server's clock"),
    Column("updated_at", BigInteger, nullable=False, comment="server's clock"),
    Column("verdict", PlainText(16), comment="confirmed, expected, false or duplicate"),
    Column("reason", PlainText()),
    Column("closed_at", BigInteger),
    Column("closed_by", PlainText(256)),
    Index(
        "uq_alerts_one_open",
        "subject",
        "family",
        unique=True,
        sqlite_where=text("status = 'open'"),
        postgresql_where=text("status = 'open'"),
    ),
)

alert_days = Table(
    "alert_days",
    metadata,
    Column("alert", ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", PlainText(64), primary_key=True),
    Column("day", Integer, primary_key=True, comment="local"),
    comment="an alert's evidence: its subject's events of these channels and days (subject_events)",
)

judged_days = Table(
    "judged_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("family", PlainText(64), primary_key=True),
    Column("rule_id", PlainText(64), primary_key=True, comment="empty: the day's anomaly"),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("count", BigInteger, nullable=False, comment="the rule's hits, or the day's events"),
    comment="at closing; a day that has more by now counts again",
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", PlainText(256), nullable=False),
    Column("action", PlainText(64), nullable=False),
    Column("object", PlainText(256), nullable=False),
    Column("reason", PlainText()),
    Column("detail", JSON),
    Column("previous_hash", PlainText(64), nullable=False),
    Column("hash", PlainText(64), nullable=False),
    comment="append-only hash chain",
)
