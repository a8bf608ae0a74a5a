"""What the detectors remember of each subject, and the models."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, false

from server.store.column_types import PlainText
from server.store.tables.metadata import RowId, metadata

channel_days = Table(
    "channel_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("channel", PlainText(64), primary_key=True, comment="the collector that saw it"),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("day_type", PlainText(4), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("items", BigInteger, nullable=False, comment="rows, pages, orders, logins: what it counts"),
    Column("new_places", Integer, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False, comment="all of the channel, not only what counts as taken"),
    comment="each channel by subject and day: the features' raw material",
)

activity_days = Table(
    "activity_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("activity", PlainText(32), primary_key=True, comment="what is done: analytics/measures.py"),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("day_type", PlainText(4), nullable=False),
    Column("amounts", PlainText(), nullable=False, comment="JSON, pipeline/subject_activities.py"),
    Column("places", PlainText(), nullable=False, comment="JSON, pipeline/subject_activities.py"),
    Column("events", BigInteger, nullable=False, comment="that count in the activity"),
    comment="each activity by subject and day: what anomaly models are trained on and score",
)

anomaly_days = Table(
    "anomaly_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("day", Integer, primary_key=True, index=True, comment="local"),
    Column("points", Float, nullable=False, comment="highest A_day 0–100, as verdicts calm it"),
    Column("uncalmed", Float, nullable=False, comment="the same as if nothing had been judged"),
    Column("slow_points", Float, nullable=False, comment="highest A_slow 0–100"),
    Column("family", PlainText(64), nullable=False, comment="of alerts that the day's anomaly counts in"),
    Column("slow_family", PlainText(64), nullable=False, comment="the same of the drift's"),
    Column("evidence", PlainText(), nullable=False, comment="JSON, pipeline/anomaly_day.py"),
    Column("uncalmed_evidence", PlainText(), nullable=False, comment="JSON, pipeline/anomaly_day.py"),
    Column("model_id", BigInteger, comment="which model scored it last"),
    comment="how strange each day of a subject became",
)

subject_places = Table(
    "subject_places",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("channel", PlainText(64), primary_key=True, comment="the collector that saw it"),
    Column("place", PlainText(520), primary_key=True, comment="device:UID or remote:NAME"),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    # Who else uses the same.
    Index("ix_subject_places_place", "place", "subject"),
    comment="where a subject's data went, since when",
)

rule_days = Table(
    "rule_days",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column("rule_id", PlainText(64), primary_key=True),
    Column("channel", PlainText(64), primary_key=True, comment="the collector that saw what it fired on"),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("family", PlainText(64), nullable=False),
    Column("level", PlainText(16), nullable=False),
    Column("title", PlainText(), nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column(
        "first_version",
        Integer,
        nullable=False,
        comment="of the rule, that fired; 0: not known",
    ),
    Column(
        "last_version",
        Integer,
        nullable=False,
        comment="of the rule, that fired; title, level and family are of this one",
    ),
    Column(
        "outside_budget",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="the rule alerts however many alerts there are",
    ),
)

suspect_traits = Table(
    "suspect_traits",
    metadata,
    Column("subject", PlainText(128), primary_key=True, comment="whom the acts count for"),
    Column("channel", PlainText(64), primary_key=True, comment="the collector that saw them"),
    Column("day", Integer, primary_key=True, comment="local"),
    Column("through", PlainText(128), primary_key=True, comment="the subject whose account it was"),
    Column("trait", PlainText(520), primary_key=True, comment="host:NAME, address:IP, …; empty: all acts"),
    Column("person_id", PlainText(128), primary_key=True, comment="who left, and whom it leads to"),
    Column("owner_id", PlainText(128), comment="who answers for an account that several know"),
    Column("since", BigInteger, comment="when they used it first; ms UTC"),
    Column("until", BigInteger, comment="when they used it last, by their own account"),
    Column("others", Integer, comment="how many others ever used it"),
    Column("events", BigInteger, nullable=False),
    comment="acts through an account of somebody else, or a shared one, and what leads to who left",
)

correlation_groups = Table(
    "correlation_groups",
    metadata,
    Column("subject", PlainText(128), primary_key=True),
    Column(
        "fingerprint",
        PlainText(32),
        primary_key=True,
        comment="of what the correlation counts: one that changes starts anew",
    ),
    Column("group_digest", PlainText(32), primary_key=True, comment="of the group's fields"),
    Column("rule_id", PlainText(64), nullable=False),
    Column("first_day", Integer, nullable=False, comment="of what it holds; local"),
    Column("last_day", Integer, nullable=False, comment="of what it holds; local"),
    Column("until_day", Integer, nullable=False, comment="after this one nothing needs it; local"),
    Column("state", LargeBinary, nullable=False, comment="policies/correlation/group_state.py"),
    comment="the windows of correlations, a group of one subject each",
)

known_exports = Table(
    "known_exports",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("sha256", PlainText(64), nullable=False, index=True),
    Column("origin", PlainText(64), nullable=False, comment="database_export, file_server"),
    Column("seen_at", BigInteger, nullable=False, comment="event's time; ms UTC"),
    comment="content that a database or a file server gave out, to recognise it wherever it goes",
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("kind", PlainText(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("state", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
