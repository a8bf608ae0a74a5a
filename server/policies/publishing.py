"""Takes the shipped rules and those of the company's folder over into the database, as versions.

A file that changed is a new version of its rule; a bad one changes nothing: what runs goes on, and the fault
is kept for `leaver status` and `leaver policy list`. What somebody saved or went back to stands over a file
until the file changes again; and a shipped rule never stands over one that the company changed, or has in its
folder. A file that is gone takes its rule along. What is out of use stays so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, insert, select

from policies.errors import PolicyError
from policies.rule_file import ParsedText, RuleText, good_texts, parse_text, taken_over
from server import audit
from server.policies.versions import (
    Change,
    Origin,
    PolicyVersion,
    append_versions,
    change_of,
    current_versions,
    gone,
)
from server.store.tables import policy_faults, policy_versions

PUBLISHER = "leaver up"
FAULTS_KEPT = 1000
_TOLD = 200
_REASONS: dict[Origin, str] = {"shipped": "as this version of Leaver ships it", "folder": "its file changed"}
_GONE = "its file is gone"


class FoundTexts(msgspec.Struct, frozen=True):
    """What lies in one place now. `errors`: of files that could not be read; these are not gone. `whole`:
    what is not among them is gone."""

    origin: Origin
    name: str
    texts: Sequence[ParsedText]
    errors: Sequence[PolicyError] = ()
    whole: bool = True


class PolicyFault(msgspec.Struct, frozen=True):
    """A row of policy_faults."""

    origin: Origin
    file: str
    line: int
    message: str


class Published(msgspec.Struct, frozen=True):
    """How many rules and exceptions got a new version, and what could not be taken over."""

    changed: int
    gone: int
    faults: tuple[PolicyFault, ...]


def publish(connection: Connection, found: Sequence[FoundTexts], *, now: int) -> Published:
    """In a write transaction that is alone. `found`: the shipped place before the folder; a place that is
    not among them stays as it is."""
    found = [
        msgspec.structs.replace(place, texts=[taken_over(each, now) for each in place.texts])
        for place in found
    ]
    held = current_versions(connection)
    changed = lost = 0
    faults: list[PolicyFault] = []
    for place in found:
        good, errors = _good(place, found, held)
        faults += [
            PolicyFault(place.origin, error.file, error.line, error.message)
            for error in [*place.errors, *errors]
        ]
        last = _last_published(connection, place.origin)
        new = [change for each in good if (change := _change(each, place.origin, held, last)) is not None]
        append_versions(connection, new, actor=PUBLISHER, reason=_REASONS[place.origin], now=now)
        changed += len(new)
        held = current_versions(connection)
        missing = _missing(place, held) if place.whole else []
        if missing and not place.texts and not place.errors:
            # A folder that was not mounted, or is being written anew, looks like this.
            words = f"no rule is left there: {len(missing)} go on; leaver policy disable takes one out"
            faults.append(PolicyFault(place.origin, place.name, 1, words))
            missing = []
        append_versions(connection, missing, actor=PUBLISHER, reason=_GONE, now=now)
        lost += len(missing)
        _tell(connection, place.origin, new, missing, held, now)
        held = current_versions(connection)
    _restore_shipped(connection, found, held, now)
    _keep_faults(connection, faults, now)
    return Published(changed, lost, tuple(faults))


def kept_faults(connection: Connection) -> list[PolicyFault]:
    """As of the last look."""
    columns = (policy_faults.c[name] for name in PolicyFault.__struct_fields__)
    order = (policy_faults.c.origin, policy_faults.c.file, policy_faults.c.line, policy_faults.c.id)
    return [PolicyFault(*row) for row in connection.execute(select(*columns).order_by(*order))]


def _good(
    place: FoundTexts, found: Sequence[FoundTexts], held: dict[str, PolicyVersion]
) -> tuple[list[ParsedText], list[PolicyError]]:
    """Of a place, among all rules that there are: an exception may name one from elsewhere."""
    own = [each for each in place.texts if not each.errors]
    ids = {each.rule_id for each in own}
    around = {
        each.rule_id: each
        for other in found
        for each in other.texts
        if other is not place and each.rule_id not in ids and not each.errors
    }
    # What runs, though its file is bad by now, or somebody saved it: exceptions and correlations name these.
    running = [
        parse_text(RuleText(version.file, version.text))
        for rule_id, version in held.items()
        if rule_id not in ids and rule_id not in around and version.text is not None
    ]
    others = {id(each) for each in (*around.values(), *running)}
    good, errors = good_texts([*around.values(), *running, *own])
    files = {each.text.file for each in place.texts}
    bad = [error for each in place.texts for error in each.errors]
    return [each for each in good if id(each) not in others], [*bad, *(e for e in errors if e.file in files)]


def _change(
    found: ParsedText, origin: Origin, held: dict[str, PolicyVersion], last: dict[str, str]
) -> Change | None:
    """The new version that a good text makes; None where it says nothing new, or does not stand."""
    assert found.rule_id is not None
    rule_id, digest = found.rule_id, found.text.hash
    before = held.get(rule_id)
    there = before is not None and before.text is not None
    if there and last.get(rule_id) == digest:
        return None
    if before is not None and there and before.origin != origin and origin == "shipped":
        return None
    if before is not None and there and before.hash == digest and before.origin == origin:
        return None
    enabled = before.enabled if before is not None else True
    return change_of(found, origin, enabled=enabled)


def _last_published(connection: Connection, origin: Origin) -> dict[str, str]:
    """Hashes by id of what this place said when it was last taken over."""
    query = (
        select(policy_versions.c.rule_id, policy_versions.c.hash, policy_versions.c.text)
        .where(policy_versions.c.saved_by == PUBLISHER, policy_versions.c.origin == origin)
        .order_by(policy_versions.c.id)
    )
    return {row.rule_id: row.hash if row.text is not None else "" for row in connection.execute(query)}


def _missing(place: FoundTexts, held: dict[str, PolicyVersion]) -> list[Change]:
    """What came from this place and is there no more. A bad or unreadable file is there."""
    there = {each.rule_id for each in place.texts}
    files = {each.text.file for each in place.texts} | {error.file for error in place.errors}
    return [
        gone(version)
        for rule_id, version in held.items()
        if version.origin == place.origin
        and version.text is not None
        and rule_id not in there
        and version.file not in files
    ]


def _restore_shipped(
    connection: Connection, found: Sequence[FoundTexts], held: dict[str, PolicyVersion], now: int
) -> None:
    """A shipped rule that the folder had replaced runs again when its file is gone."""
    shipped = next((place for place in found if place.origin == "shipped"), None)
    if shipped is None:
        return
    back = [
        change_of(each, "shipped", enabled=version.enabled)
        for each in shipped.texts
        if each.rule_id is not None
        and each.parsed is not None
        and (version := held.get(each.rule_id)) is not None
        and version.text is None
        and version.origin == "folder"
    ]
    append_versions(connection, back, actor=PUBLISHER, reason="the folder's file is gone", now=now)


def _tell(
    connection: Connection,
    origin: Origin,
    new: Sequence[Change],
    missing: Sequence[Change],
    held: dict[str, PolicyVersion],
    now: int,
) -> None:
    if not new and not missing:
        return
    detail = {
        "origin": origin,
        "changed": len(new),
        "gone": len(missing),
        "versions": {each.rule_id: held[each.rule_id].number for each in new[:_TOLD]},
        "without": [each.rule_id for each in missing[:_TOLD]],
    }
    audit.append(connection, at=now, actor=PUBLISHER, action="policy.publish", object=origin, detail=detail)


def _keep_faults(connection: Connection, faults: Sequence[PolicyFault], now: int) -> None:
    """Written only where they changed: nobody's write is wanted every few seconds."""
    wanted = sorted(faults[:FAULTS_KEPT], key=lambda each: (each.origin, each.file, each.line))
    if [msgspec.structs.astuple(each) for each in kept_faults(connection)] == [
        msgspec.structs.astuple(each) for each in wanted
    ]:
        return
    connection.execute(delete(policy_faults))
    if wanted:
        rows = [msgspec.structs.asdict(each) | {"seen_at": now} for each in wanted]
        connection.execute(insert(policy_faults), rows)
