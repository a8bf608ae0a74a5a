"""What stands between a change of a policy and its being in use: the version that it was made from still
holds, and a dry run of just this text against that version ended well, or somebody says why there is none.

Each of these is one write transaction that is alone, with its rows of the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection

from policies.errors import PolicyError, PolicyErrors
from policies.rule_file import FILE_BYTES_MAX, ParsedText, RuleText, parse_text, taken_over
from server import audit
from server.dry_runs.stored_runs import allowing_run, digest_of
from server.policies.versions import (
    REASON_CHARACTERS,
    PolicyVersion,
    UnknownPolicy,
    check_together,
    current_versions,
    roll_back,
    save,
    switch,
    versions_of_rule,
)
from server.store.column_types import is_storable

RULE_ID_CHARACTERS: Final = 64


class BaseMoved(Exception):
    """Somebody published meanwhile. `holds`: what does now; None: it is not there."""

    def __init__(self, holds: PolicyVersion | None) -> None:
        words = "it is not there any more" if holds is None else f"version {holds.number} holds by now"
        super().__init__(f"this was made from another version: {words}")
        self.holds = holds


class DryRunMissing(Exception):
    """No dry run of this text against the version that holds ended well."""


class Publishing(msgspec.Struct, frozen=True):
    """`base`: version that it was made from; 0: there was none. `unproven`: publish without a dry run; the
    reason says why."""

    rule_id: str
    base: int
    reason: str
    unproven: bool = False


def check_base(holds: PolicyVersion | None, base: int) -> None:
    """Raises BaseMoved."""
    if (0 if holds is None else holds.number) != base:
        raise BaseMoved(holds)


def checked_text(
    text: str, rule_id: str, *, file: str, held: Mapping[str, PolicyVersion], now: int
) -> ParsedText:
    """Parsed, good by itself and with all that is in use. Raises PolicyErrors."""
    if not is_storable(text):
        raise PolicyErrors((PolicyError(file, 1, "it holds a character that a database cannot keep"),))
    if len(text.encode()) > FILE_BYTES_MAX:
        raise PolicyErrors((PolicyError(file, 1, f"more than {FILE_BYTES_MAX} bytes"),))
    parsed = taken_over(parse_text(RuleText(file, text)), now)
    if parsed.rule_id is not None and parsed.rule_id != rule_id:
        line = parsed.document.line(("id",))
        fault = PolicyError(file, line, f"the id of this policy is {rule_id}: it stays")
        raise PolicyErrors((*parsed.errors, fault))
    check_together(parsed, dict(held))
    return parsed


def publish_text(
    connection: Connection, wanted: Publishing, text: str, *, actor: str, now: int
) -> PolicyVersion:
    """In use from now on. Raises BaseMoved, DryRunMissing, PolicyErrors, Unchanged, ValueError."""
    reason = checked_reason(wanted.reason)
    held = current_versions(connection)
    before = held.get(wanted.rule_id)
    check_base(before, wanted.base)
    file = before.file if before is not None else f"{wanted.rule_id}.yml"
    checked_text(text, wanted.rule_id, file=file, held=held, now=now)
    _require_dry_run(connection, wanted, text, enabled=True, actor=actor, now=now)
    return save(connection, text, file=file, actor=actor, reason=reason, now=now)


def publish_switch(
    connection: Connection, wanted: Publishing, *, enabled: bool, actor: str, now: int
) -> PolicyVersion:
    """On or off. Raises as publish_text, and UnknownPolicy."""
    reason = checked_reason(wanted.reason)
    before = current_versions(connection).get(wanted.rule_id)
    if before is None or before.text is None:
        raise UnknownPolicy(f"no policy has the id {wanted.rule_id}")
    check_base(before, wanted.base)
    if before.enabled != enabled:
        _require_dry_run(connection, wanted, before.text, enabled=enabled, actor=actor, now=now)
    return switch(connection, wanted.rule_id, enabled=enabled, actor=actor, reason=reason, now=now)


def publish_earlier(
    connection: Connection, wanted: Publishing, number: int, *, actor: str, now: int
) -> PolicyVersion:
    """Version `number` again. Raises as publish_text, and UnknownPolicy."""
    reason = checked_reason(wanted.reason)
    versions = versions_of_rule(connection, wanted.rule_id)
    check_base(versions[0], wanted.base)
    earlier = next((each for each in versions if each.number == number), None)
    if earlier is None or earlier.text is None:
        raise UnknownPolicy(f"there is no text of version {number}")
    _require_dry_run(connection, wanted, earlier.text, enabled=earlier.enabled, actor=actor, now=now)
    return roll_back(connection, wanted.rule_id, number, actor=actor, reason=reason, now=now)


def checked_reason(reason: str) -> str:
    """Raises ValueError."""
    found = reason.strip()
    if not 1 <= len(found) <= REASON_CHARACTERS:
        raise ValueError(f"a reason of 1 to {REASON_CHARACTERS} characters is needed, not {len(found)}")
    if not is_storable(found):
        raise ValueError("the reason holds a character that a database cannot keep")
    return found


def _require_dry_run(
    connection: Connection, wanted: Publishing, text: str, *, enabled: bool, actor: str, now: int
) -> None:
    digest = digest_of(text)
    run = allowing_run(
        connection, rule_id=wanted.rule_id, base=wanted.base, digest=digest, enabled=enabled, now=now
    )
    if run is not None:
        return
    if not wanted.unproven:
        raise DryRunMissing("no dry run of this text against the version that holds ended well")
    audit.append(
        connection,
        at=now,
        actor=actor,
        action="policy.without_dry_run",
        object=wanted.rule_id,
        reason=checked_reason(wanted.reason),
        detail={"hash": digest, "version": wanted.base, "enabled": enabled},
    )
