"""How the policies are, for `leaver status`: what runs, what could not be taken over, what this version of
Leaver refuses of what was saved, what ran out."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.struct_base import Milliseconds
from policies.rule_file import RuleText, parse_text
from server.policies.publishing import PolicyFault, kept_faults
from server.store.tables import policy_versions


class EndedException(msgspec.Struct, frozen=True):
    """`until`: exclusive."""

    exception_id: str
    until: Milliseconds


class PolicyState(msgspec.Struct, frozen=True):
    """`version`: of the set. `rules`, `exceptions`: in use. `ended`: exceptions that hide nothing any more
    and are still in use."""

    version: int
    rules: int
    exceptions: int
    faults: tuple[PolicyFault, ...]
    ended: tuple[EndedException, ...]


def policy_state(connection: Connection, *, now: int) -> PolicyState:
    """now: ms UTC."""
    newest = select(func.max(policy_versions.c.id)).group_by(policy_versions.c.rule_id)
    rows = connection.execute(
        select(
            policy_versions.c.id,
            policy_versions.c.rule_id,
            policy_versions.c.kind,
            policy_versions.c.until,
            policy_versions.c.origin,
            policy_versions.c.file,
            policy_versions.c.text,
        ).where(
            policy_versions.c.id.in_(newest),
            policy_versions.c.enabled,
            policy_versions.c.text.is_not(None),
        )
    ).all()
    exceptions = [row for row in rows if row.kind == "exception"]
    refused = [
        fault for row in rows if row.origin == "saved" for fault in _refused(row.rule_id, row.file, row.text)
    ]
    ended = [row for row in exceptions if row.until is not None and row.until <= now]
    return PolicyState(
        version=connection.execute(select(func.max(policy_versions.c.id))).scalar() or 0,
        rules=len(rows) - len(exceptions),
        exceptions=len(exceptions) - len(ended),
        faults=(*kept_faults(connection), *refused),
        ended=tuple(EndedException(row.rule_id, row.until) for row in sorted(ended)),
    )


def _refused(rule_id: str, file: str, text: str) -> Iterator[PolicyFault]:
    """A saved text that an older version of Leaver took: no file tells of it. What is wrong may quote what it
    says, so it is not said here."""
    errors = parse_text(RuleText(file, text)).errors
    if errors:
        words = f"{rule_id} does not run: this version refuses what was saved (leaver policy list says why)"
        yield PolicyFault("saved", file, errors[0].line, words)
