"""The table `dry_runs`: each try of a text or of a switch, what came of it, whether one allows publishing."""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from event_schema.struct_base import Milliseconds
from server.dry_runs.summary import Summary, read_summary
from server.retention import DAY_MS
from server.store.tables import dry_runs

KEPT_DAYS: Final = 30
"""So long one allows publishing: after that its days are others."""
KEPT_OF_RULE: Final = 20
_FAULT_CHARACTERS: Final = 1000

Status = Literal["running", "done", "failed", "cancelled"]


class DryRun(msgspec.Struct, frozen=True):
    """A row without its summary. `base`: version of the rule that it was compared with. `enabled`: whether
    it was tried as in use."""

    id: int
    rule_id: str
    base: int
    digest: str
    enabled: bool
    text: str
    days: int
    status: Status
    begun_at: Milliseconds
    begun_by: str
    finished_at: Milliseconds | None
    fault: str | None


class UnknownDryRun(Exception):
    """There is none of this number."""


_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = (
    *(dry_runs.c.id, dry_runs.c.rule_id, dry_runs.c.base_version, dry_runs.c.digest, dry_runs.c.enabled),
    *(dry_runs.c.text, dry_runs.c.days, dry_runs.c.status, dry_runs.c.begun_at, dry_runs.c.begun_by),
    *(dry_runs.c.finished_at, dry_runs.c.fault),
)


def digest_of(text: str) -> str:
    """As a version's hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def add_run(
    connection: Connection,
    *,
    rule_id: str,
    base: int,
    text: str,
    enabled: bool,
    days: int,
    actor: str,
    now: int,
) -> int:
    """Its number. The oldest of the rule go."""
    row = {"rule_id": rule_id, "base_version": base, "digest": digest_of(text), "enabled": enabled}
    row |= {"text": text, "days": days, "status": "running", "begun_at": now, "begun_by": actor}
    number = int(connection.execute(insert(dry_runs).values(row).returning(dry_runs.c.id)).scalar_one())
    newest = (
        select(dry_runs.c.id)
        .where(dry_runs.c.rule_id == rule_id)
        .order_by(dry_runs.c.id.desc())
        .limit(KEPT_OF_RULE)
    )
    kept = list(connection.execute(newest).scalars())
    connection.execute(delete(dry_runs).where(dry_runs.c.rule_id == rule_id, dry_runs.c.id < kept[-1]))
    return number


def is_running(connection: Connection, number: int) -> bool:
    """Whether it is there, and has not ended."""
    running = (dry_runs.c.id == number) & (dry_runs.c.status == "running")
    return connection.execute(select(dry_runs.c.id).where(running)).first() is not None


def end_run(
    connection: Connection,
    number: int,
    status: Status,
    *,
    now: int,
    summary: Any = None,
    fault: str | None = None,
) -> bool:
    """Whether it was there and running."""
    values = {"status": status, "finished_at": now, "summary": summary}
    values["fault"] = None if fault is None else fault[:_FAULT_CHARACTERS]
    running = (dry_runs.c.id == number) & (dry_runs.c.status == "running")
    return connection.execute(update(dry_runs).where(running).values(values)).rowcount == 1


def end_lost_runs(connection: Connection, *, now: int) -> int:
    """Those that ran when the server ended: nobody goes on with them."""
    values = {"status": "failed", "finished_at": now, "fault": "the server was stopped meanwhile"}
    return connection.execute(update(dry_runs).where(dry_runs.c.status == "running").values(values)).rowcount


def find_run(connection: Connection, number: int) -> DryRun:
    """Raises UnknownDryRun."""
    row = connection.execute(select(*_COLUMNS).where(dry_runs.c.id == number)).first()
    if row is None:
        raise UnknownDryRun(f"there is no dry run {number}")
    return DryRun(*row)


def summary_of_run(connection: Connection, number: int) -> Summary | None:
    """None: it has none, or one of another version of Leaver."""
    found = connection.execute(select(dry_runs.c.summary).where(dry_runs.c.id == number)).scalar()
    try:
        return None if found is None else read_summary(found)
    except msgspec.ValidationError:
        return None


def runs_of_rule(connection: Connection, rule_id: str) -> list[DryRun]:
    """Newest first; KEPT_OF_RULE at most."""
    query = select(*_COLUMNS).where(dry_runs.c.rule_id == rule_id).order_by(dry_runs.c.id.desc())
    return [DryRun(*row) for row in connection.execute(query.limit(KEPT_OF_RULE))]


def allowing_run(
    connection: Connection, *, rule_id: str, base: int, digest: str, enabled: bool, now: int
) -> int | None:
    """The number of the newest one that ended well: of the same text, tried the same way, against the version
    that holds."""
    at = dry_runs.c
    return connection.execute(
        select(at.id)
        .where(
            at.rule_id == rule_id,
            at.base_version == base,
            at.digest == digest,
            at.enabled == enabled,
            at.status == "done",
            at.begun_at >= now - KEPT_DAYS * DAY_MS,
        )
        .order_by(at.id.desc())
        .limit(1)
    ).scalar()


def forget_runs(connection: Connection) -> int:
    """All, ended or not: their texts and what they found may tell of somebody who is erased; another takes
    seconds."""
    return connection.execute(delete(dry_runs)).rowcount
