"""The chain of custody: what the audit trail says of a pack's alerts, case, earlier packs and unmaskings.

Rows come with their fingerprints, not with their hashes: a guess at what is masked could be held against
those, also against what another pack tells of the rows around.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, false, or_, select, true

from event_schema.struct_base import Milliseconds
from server import audit as trail
from server.evidence_pack.sight import PackSight
from server.people.pseudonyms import known_pseudonyms, person_subject
from server.people.unmaskings import UNMASKED_MS
from server.store.column_types import WHOLE_MAX
from server.store.tables import alerts, audit, case_alerts, evidence_packs

ROWS_MAX = 50_000
_OF_NAMES = ("pseudonym.unmask", "pseudonym.hide")
_AT_ONCE = 500
_MOVES_MAX = 400
"""Into cases and out of them, the latest: SQLite's conditions may not be nested deeper than 1,000."""


class CustodyRow(msgspec.Struct, frozen=True):
    seq: int
    at: int
    actor: str
    action: str
    object: str
    reason: str | None
    detail: dict[str, Any] | None
    fingerprint: str
    """`server.audit.fingerprint`"""
    masked: bool
    """Something of it was hidden."""


def custody_rows(
    connection: Connection, objects: Sequence[str], sight: PackSight, *, key: bytes, limit: int = ROWS_MAX
) -> list[CustodyRow]:
    """In the order of the trail; at most `limit`, the earliest. `key`: the installation's."""
    found: dict[int, CustodyRow] = {}
    rows = list(_rows(connection, objects, limit))
    # What names somebody who was erased: no mask knows the name any more.
    erased = trail.withheld(connection, [row["seq"] for row in rows])
    for row in rows:
        shows = row["seq"] not in erased
        reason = sight.prose(row["reason"]) if shows and row["reason"] is not None else None
        detail = sight.typed(row["detail"]) if shows and row["detail"] is not None else None
        masked = (reason, detail) != (row["reason"], row["detail"])
        shown = {**row, "reason": reason, "detail": detail, "masked": masked}
        shown["fingerprint"] = trail.fingerprint(key, row["seq"], shown.pop("hash"))
        found[row["seq"]] = CustodyRow(**shown)
    return [found[seq] for seq in sorted(found)][:limit]


class CustodyLine(msgspec.Struct, frozen=True):
    """A row without its hashes. `reason` was typed: it is masked before it is shown."""

    seq: int
    at: Milliseconds
    actor: str
    action: str
    object: str
    reason: str | None


def custody_of_case(
    connection: Connection, case_id: int, alert_ids: Sequence[int], *, limit: int
) -> tuple[list[CustodyLine], bool]:
    """For a page: the latest rows, the latest first, and whether there are older ones."""
    objects = objects_of(connection, case_id, alert_ids, ())
    return _shown(connection, objects, _unmasked(connection, alert_ids), limit)


def custody_of_alert(connection: Connection, alert_id: int, *, limit: int) -> tuple[list[CustodyLine], bool]:
    """As custody_of_case, with the packs that were made of its cases while it was in them: those that are
    kept here, and those that a command wrote into a file."""
    stays = _stays(connection, alert_id)
    packs, row = evidence_packs.c, audit.c
    kept = [(packs.case == each.case) & packs.begun_at.between(each.since, each.until) for each in stays]
    numbers = connection.execute(select(packs.id).where(or_(false(), *kept)).order_by(packs.id)).scalars()
    objects = [f"alert:{alert_id}", *(f"pack:{each}" for each in numbers)]
    written = [(row.object == f"case:{each.case}") & row.at.between(each.since, each.until) for each in stays]
    more = (row.action == "pack.make") & or_(false(), *written)
    return _shown(connection, objects, _unmasked(connection, [alert_id]), limit, more)


class _Stay(msgspec.Struct, frozen=True):
    """Of an alert in a case; ms UTC, inclusive."""

    case: int
    since: int
    until: int = WHOLE_MAX


def _stays(connection: Connection, alert_id: int) -> list[_Stay]:
    """Also in a case that it has left."""
    row = audit.c
    moves = select(row.at, row.action, row.detail).where(
        row.object == f"alert:{alert_id}", row.action.in_(("alert.escalate", "alert.leave_case"))
    )
    over: list[_Stay] = []
    joined: dict[int, int] = {}
    latest = connection.execute(moves.order_by(row.seq.desc()).limit(_MOVES_MAX)).all()
    for at, action, detail in reversed(latest):
        case = int(detail["case"])
        if action == "alert.escalate":
            joined[case] = at
        elif case in joined:
            over.append(_Stay(case, joined.pop(case), at))
    held = select(case_alerts.c.case, case_alerts.c.added_at).where(case_alerts.c.alert == alert_id)
    for case, at in connection.execute(held):
        # Where it was put before the trail told of each alert.
        joined.setdefault(case, at)
    return over + [_Stay(case, since) for case, since in joined.items()]


def _unmasked(connection: Connection, alert_ids: Sequence[int]) -> tuple[list[str], int]:
    """Pseudonyms of whom the alerts tell, and since when a name that somebody takes off stands in them too,
    wherever that is done: as long before the first of them as it stays off."""
    at = alerts.c
    subjects: set[str] = set()
    opened: list[int] = []
    for start in range(0, len(alert_ids), _AT_ONCE):
        some = at.id.in_(alert_ids[start : start + _AT_ONCE])
        columns = (at.subject, at.account_owner, at.suspected_actor, at.traits, at.opened_at)
        for row in connection.execute(select(*columns).where(some)):
            subjects |= people_of(row.subject, (row.account_owner, row.suspected_actor), row.traits)
            opened.append(row.opened_at)
    known = known_pseudonyms(connection, sorted(subjects))
    return sorted(known.values()), min(opened, default=0) - UNMASKED_MS


def people_of(subject: str, ids: Iterable[str | None], traits: Iterable[Any]) -> set[str]:
    """Subjects of all whom an alert tells of."""
    named = {person_subject(each) for each in ids if each}
    led = {trait.get(name) for trait in traits for name in ("leads_to", "through")}
    return {subject} | named | {each for each in led if each}


def _shown(
    connection: Connection,
    objects: Sequence[str],
    unmasked: tuple[Sequence[str], int],
    limit: int,
    more: ColumnElement[bool] | None = None,
) -> tuple[list[CustodyLine], bool]:
    """`more`: rows beside those of the objects."""
    pseudonyms, since = unmasked
    found: list[CustodyLine] = []
    columns = [audit.c[name] for name in CustodyLine.__struct_fields__]
    if more is not None:
        query = select(*columns).where(more).order_by(audit.c.seq.desc()).limit(limit + 1)
        found += [CustodyLine(*row) for row in connection.execute(query)]
    for wanted, condition in (
        (objects, true()),
        (pseudonyms, audit.c.action.in_(_OF_NAMES) & (audit.c.at >= since)),
    ):
        for start in range(0, len(wanted), _AT_ONCE):
            part = audit.c.object.in_(wanted[start : start + _AT_ONCE])
            query = select(*columns).where(part, condition).order_by(audit.c.seq.desc()).limit(limit + 1)
            found += [CustodyLine(*row) for row in connection.execute(query)]
    found.sort(key=lambda row: -row.seq)
    erased = trail.withheld(connection, [row.seq for row in found[:limit]])
    shown = [msgspec.structs.replace(row, reason=None) if row.seq in erased else row for row in found[:limit]]
    return shown, len(found) > limit


def objects_of(
    connection: Connection, case_id: int | None, alert_ids: Sequence[int], pseudonyms: Sequence[str]
) -> list[str]:
    """As the trail calls them."""
    packs: list[int] = []
    if case_id is not None:
        query = select(evidence_packs.c.id).where(evidence_packs.c.case == case_id)
        packs = list(connection.execute(query).scalars())
    own = [] if case_id is None else [f"case:{case_id}"]
    return [
        *own,
        *(f"pack:{each}" for each in packs),
        *(f"alert:{each}" for each in alert_ids),
        *pseudonyms,
    ]


def _rows(connection: Connection, objects: Sequence[str], limit: int) -> Iterator[dict[str, Any]]:
    columns = [audit.c[name] for name in (*CustodyLine.__struct_fields__, "detail", "hash")]
    for start in range(0, len(objects), _AT_ONCE):
        query = (
            select(*columns)
            .where(audit.c.object.in_(objects[start : start + _AT_ONCE]))
            .order_by(audit.c.seq)
            .limit(limit)
        )
        for row in connection.execute(query).mappings():
            yield {str(name): value for name, value in row.items()}
