"""Every version of every rule and exception, in the database: what all workers go by.

A version is a text, and whether it is in use; the highest number of an id holds. Nothing is changed in place:
switching off, going back, a file that changed are further versions, each with its author, time and reason.
`set_version` rises with every change, and tells workers cheaply that there is one. Writers are alone in the
database (Database.begin's default), so that it never runs behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, func, insert, select

from event_schema.struct_base import Milliseconds
from policies.errors import PolicyError, PolicyErrors
from policies.exceptions import ParsedException
from policies.rule_file import ParsedText, RuleText, good_texts, parse_once, parse_text, taken_over
from server import audit
from server.store.tables import policy_versions

Kind = Literal["rule", "exception", "correlation"]
Origin = Literal["shipped", "folder", "saved"]
NAME_CHARACTERS = 512
REASON_CHARACTERS = 1000


class PolicyVersion(msgspec.Struct, frozen=True):
    """A row of policy_versions. `text`: None where its file is gone."""

    id: int
    rule_id: str
    number: int
    kind: Kind
    origin: Origin
    file: str
    title: str
    until: Milliseconds | None
    text: str | None
    hash: str
    enabled: bool
    saved_at: Milliseconds
    saved_by: str
    reason: str
    preview: dict[str, Any] | None = None

    @property
    def runs(self) -> bool:
        return self.enabled and self.text is not None


class UnknownPolicy(Exception):
    """No rule or exception has this id, or it has no such version."""


class Unchanged(Exception):
    """It is so already."""


class Change(msgspec.Struct, frozen=True):
    """What a new version is to say. The number follows from those before it."""

    rule_id: str
    kind: Kind
    origin: Origin
    file: str
    title: str
    until: int | None
    text: str | None
    enabled: bool = True
    preview: dict[str, Any] | None = None


def set_version(connection: Connection) -> int:
    """0: nothing was ever saved."""
    return connection.execute(select(func.max(policy_versions.c.id))).scalar() or 0


def current_versions(connection: Connection) -> dict[str, PolicyVersion]:
    """What holds, by id, those out of use and gone too."""
    newest = select(func.max(policy_versions.c.id)).group_by(policy_versions.c.rule_id)
    rows = connection.execute(
        select(policy_versions).where(policy_versions.c.id.in_(newest)).order_by(policy_versions.c.rule_id)
    )
    return {row.rule_id: PolicyVersion(*row) for row in rows}


def versions_of_rule(connection: Connection, rule_id: str) -> list[PolicyVersion]:
    """Newest first. Raises UnknownPolicy."""
    rows = connection.execute(
        select(policy_versions)
        .where(policy_versions.c.rule_id == rule_id)
        .order_by(policy_versions.c.number.desc())
    ).all()
    if not rows:
        raise UnknownPolicy(f"no rule has the id {rule_id}")
    return [PolicyVersion(*row) for row in rows]


def hashes(connection: Connection) -> dict[tuple[str, int], str]:
    """Of all versions, by id and number."""
    columns = (policy_versions.c.rule_id, policy_versions.c.number, policy_versions.c.hash)
    return {(row[0], row[1]): row[2] for row in connection.execute(select(*columns))}


def append_versions(
    connection: Connection, changes: Sequence[Change], *, actor: str, reason: str, now: int
) -> list[int]:
    """The numbers that they got. Says nothing to the audit trail. In a write transaction that is alone."""
    newest = select(policy_versions.c.rule_id, func.max(policy_versions.c.number)).group_by(
        policy_versions.c.rule_id
    )
    highest: dict[str, int] = {row[0]: row[1] for row in connection.execute(newest)}
    before: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for change in changes:
        number = highest[change.rule_id] = highest.get(change.rule_id, 0) + 1
        if change.text is None and number > 1:
            before[change.rule_id] = _last_hash(connection, change.rule_id)
        digest = before.get(change.rule_id, "") if change.text is None else _hash(change.text)
        rows.append(
            msgspec.structs.asdict(change)
            | {"number": number, "hash": digest, "saved_at": now, "saved_by": actor, "reason": reason}
        )
    if rows:
        connection.execute(insert(policy_versions), rows)
    return [row["number"] for row in rows]


def save(
    connection: Connection,
    text: str,
    *,
    file: str,
    actor: str,
    reason: str,
    now: int,
    preview: dict[str, Any] | None = None,
) -> PolicyVersion:
    """A rule or exception that somebody hands over, in use from now on. In a write transaction that is alone.
    Raises PolicyErrors where the text, or the whole set with it, has faults; Unchanged."""
    parsed = taken_over(parse_text(RuleText(file[:NAME_CHARACTERS], text)), now)
    held = current_versions(connection)
    before = held.get(parsed.rule_id) if parsed.rule_id is not None else None
    check_together(parsed, held)
    assert parsed.rule_id is not None
    if before is not None and before.text == text and before.enabled:
        raise Unchanged(f"this is version {before.number} already")
    change = change_of(parsed, "saved", preview=preview)
    (number,) = append_versions(connection, [change], actor=actor, reason=reason, now=now)
    _audit(connection, "policy.save", change, number, actor=actor, reason=reason, now=now)
    return versions_of_rule(connection, parsed.rule_id)[0]


def switch(
    connection: Connection, rule_id: str, *, enabled: bool, actor: str, reason: str, now: int
) -> PolicyVersion:
    """Raises UnknownPolicy, Unchanged; PolicyErrors where what is to be used has faults by now, or what is to
    be out of use is counted by correlations that are in use."""
    held = current_versions(connection)
    before = held.get(rule_id)
    if before is None or before.text is None:
        raise UnknownPolicy(f"no rule has the id {rule_id}")
    if before.enabled == enabled:
        raise Unchanged(f"{rule_id} is {'in use' if enabled else 'out of use'} already")
    if enabled:
        check_together(parse_text(RuleText(before.file, before.text)), held)
    else:
        _check_without(before, held)
    change = again(before, enabled=enabled)
    (number,) = append_versions(connection, [change], actor=actor, reason=reason, now=now)
    action = "policy.enable" if enabled else "policy.disable"
    _audit(connection, action, change, number, actor=actor, reason=reason, now=now)
    return versions_of_rule(connection, rule_id)[0]


def roll_back(
    connection: Connection, rule_id: str, number: int, *, actor: str, reason: str, now: int
) -> PolicyVersion:
    """A new version that says what version `number` said. Raises UnknownPolicy, Unchanged, PolicyErrors."""
    held = current_versions(connection)
    versions = versions_of_rule(connection, rule_id)
    wanted = next((each for each in versions if each.number == number), None)
    if wanted is None or wanted.text is None:
        there = ", ".join(str(each.number) for each in versions if each.text is not None)
        raise UnknownPolicy(f"{rule_id} has no text of version {number}; there are {there}")
    newest = versions[0]
    if (newest.text, newest.enabled) == (wanted.text, wanted.enabled):
        raise Unchanged(
            f"version {number} is in use already"
            if newest.number == number
            else f"version {newest.number} says what version {number} said"
        )
    if wanted.enabled:
        check_together(parse_text(RuleText(wanted.file, wanted.text)), held)
    change = again(wanted, enabled=wanted.enabled)
    (made,) = append_versions(connection, [change], actor=actor, reason=reason, now=now)
    _audit(connection, "policy.rollback", change, made, actor=actor, reason=reason, now=now, to=number)
    return versions_of_rule(connection, rule_id)[0]


def check_together(parsed: ParsedText, held: dict[str, PolicyVersion]) -> None:
    """Raises PolicyErrors where it has faults, names rules that are not there, or takes away what others
    name."""
    if parsed.errors:
        raise PolicyErrors(parsed.errors)
    if parsed.rule_id is None:
        raise PolicyErrors((PolicyError(parsed.text.file, 1, "the rule has no id"),))
    before = _together(held.values())
    after = _together([each for each in held.values() if each.rule_id != parsed.rule_id], parsed)
    new = _new_faults(before, after)
    if new:
        raise PolicyErrors(new)


def _check_without(version: PolicyVersion, held: dict[str, PolicyVersion]) -> None:
    """Raises PolicyErrors where others need it that are in use."""
    without = held | {version.rule_id: msgspec.structs.replace(version, enabled=False)}
    new = _new_faults(_together(held.values()), _together(without.values()))
    if new:
        said = f"{version.title!r} is needed here ({{}}): take this out of use first"
        raise PolicyErrors(
            tuple(PolicyError(each.file, each.line, said.format(each.message)) for each in new)
        )


def _new_faults(before: Iterable[PolicyError], after: Iterable[PolicyError]) -> tuple[PolicyError, ...]:
    known = {str(error) for error in before}
    return tuple(error for error in after if str(error) not in known)


def _together(versions: Iterable[PolicyVersion], *more: ParsedText) -> list[PolicyError]:
    """Faults of all that is in use, with what is to come."""
    texts = tuple((each.runs, RuleText(each.file, each.text)) for each in versions if each.text is not None)
    if not more:
        return list(_faults_of(texts))
    return _faults(texts, *more)


@lru_cache(maxsize=4)
def _faults_of(texts: tuple[tuple[bool, RuleText], ...]) -> tuple[PolicyError, ...]:
    """Of what holds: each text that is tried is compared with it."""
    return tuple(_faults(texts))


def _faults(texts: Sequence[tuple[bool, RuleText]], *more: ParsedText) -> list[PolicyError]:
    parsed = [(runs, parse_once(text)) for runs, text in texts]
    _, errors = good_texts(
        [*(each for runs, each in parsed if runs), *more], [each for runs, each in parsed if not runs]
    )
    return errors


def change_of(
    found: ParsedText, origin: Origin, *, enabled: bool = True, preview: dict[str, Any] | None = None
) -> Change:
    """A version that says what a good text says."""
    value = found.document.value
    assert found.rule_id is not None
    kind: Kind = "correlation" if "correlation" in value else "rule"
    until = None
    if isinstance(found.parsed, ParsedException):
        kind, until = "exception", found.parsed.until
    text = found.text
    return Change(found.rule_id, kind, origin, text.file, value["title"], until, text.text, enabled, preview)


def again(version: PolicyVersion, *, enabled: bool) -> Change:
    """A further version that says the same."""
    fields = {name: getattr(version, name) for name in Change.__struct_fields__}
    return Change(**{**fields, "enabled": enabled})


def gone(version: PolicyVersion) -> Change:
    """A further version that says that its file is there no more."""
    return msgspec.structs.replace(again(version, enabled=version.enabled), text=None)


def parsed_texts(versions: Iterable[PolicyVersion]) -> list[ParsedText]:
    """Of what is in use, with the versions' numbers."""
    return [
        parse_text(RuleText(each.file, each.text, each.number))
        for each in versions
        if each.enabled and each.text is not None
    ]


def _last_hash(connection: Connection, rule_id: str) -> str:
    return versions_of_rule(connection, rule_id)[0].hash


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _audit(
    connection: Connection,
    action: str,
    change: Change,
    number: int,
    *,
    actor: str,
    reason: str,
    now: int,
    to: int | None = None,
) -> None:
    digest = "" if change.text is None else _hash(change.text)
    detail: dict[str, Any] = {"kind": change.kind, "version": number, "hash": digest}
    if to is not None:
        detail["to"] = to
    audit.append(
        connection, at=now, actor=actor, action=action, object=change.rule_id, reason=reason, detail=detail
    )
