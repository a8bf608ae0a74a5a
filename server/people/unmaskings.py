"""Taking one pseudonym off, for one user and an hour, on the record.

Whoever may (Right.UNMASK) says why; the audit trail keeps it, and this table says who may still see the name.
It holds for that person alone: what else an alert names stays hidden. `hide_again` ends it before its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from event_schema.struct_base import Milliseconds
from server import audit
from server.people.pseudonyms import known_pseudonyms, subject_of, unmask
from server.store.column_types import is_storable
from server.store.tables import account_bindings, person_names, unmaskings

UNMASKED_MS: Final = 60 * 60 * 1000
REASON_CHARACTERS: Final = 1000
LOG_MAX: Final = 200


class Grant(msgspec.Struct, frozen=True):
    """A name that a user may see, and until when."""

    subject: str
    until: Milliseconds
    name: str | None = None
    """None: an account of nobody, or a person without a name."""
    accounts: tuple[str, ...] = ()


class UnmaskingEntry(msgspec.Struct, frozen=True):
    """A row of the log. `reason` was typed: it is masked before it is shown (text_mask.py)."""

    id: int
    actor: str
    subject: str
    at: Milliseconds
    until: Milliseconds
    reason: str
    case_id: int | None


def grant(
    connection: Connection, shown: str, *, actor: str, at: int, reason: str, case_id: int | None = None
) -> Grant:
    """The name behind a pseudonym from now on, for `actor` alone. In a write transaction; at: ms UTC.

    Raises UnknownPseudonym, and ValueError where the reason is empty, too long or not storable.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= REASON_CHARACTERS:
        raise ValueError(f"a reason of 1 to {REASON_CHARACTERS} characters is needed, not {len(reason)}")
    if not is_storable(reason):
        raise ValueError("the reason holds a character that a database cannot keep")
    found = unmask(connection, shown, actor=actor, at=at, reason=reason)
    until = at + UNMASKED_MS
    # The longer one counts: there is one chip with one time.
    _end(connection, found.subject, actor, at)
    row = {"actor": actor, "subject": found.subject, "at": at, "until": until, "reason": reason}
    connection.execute(insert(unmaskings).values(**row, case_id=case_id))
    return Grant(found.subject, until, found.name, found.accounts)


def hide_again(connection: Connection, shown: str, *, actor: str, at: int) -> bool:
    """Before its time is over; False: it was hidden already. In a write transaction.

    Raises UnknownPseudonym."""
    subject = subject_of(connection, shown)
    pseudonym = known_pseudonyms(connection, [subject])[subject]
    ended = _end(connection, subject, actor, at)
    if ended:
        audit.append(connection, at=at, actor=actor, action="pseudonym.hide", object=pseudonym)
    return ended


def _end(connection: Connection, subject: str, actor: str, at: int) -> bool:
    row = unmaskings.c
    live = (row.actor == actor) & (row.subject == subject) & (row.until > at)
    return connection.execute(update(unmaskings).where(live).values(until=at)).rowcount > 0


def live_grants(connection: Connection, actor: str, at: int) -> dict[str, Grant]:
    """By subject: what the user may see now, with the names as they are now. Reads only."""
    row = unmaskings.c
    query = select(row.subject, row.until).where(row.actor == actor, row.until > at, row.at <= at)
    until = {found.subject: found.until for found in connection.execute(query.order_by(row.until))}
    if not until:
        return {}
    ids = {subject.removeprefix("person:") for subject in until if subject.startswith("person:")}
    named = select(person_names).where(person_names.c.person_id.in_(ids))
    names = {found.person_id: found.name for found in connection.execute(named)}
    bound = account_bindings.c
    own = select(bound.person_id, bound.account).where(bound.person_id.in_(ids), bound.relation == "owner")
    held: dict[str, set[str]] = {}
    for person_id, account in connection.execute(own):
        held.setdefault(person_id, set()).add(account)
    return {subject: _grant(subject, ends, names, held) for subject, ends in until.items()}


def _grant(subject: str, until: int, names: dict[str, str], held: dict[str, set[str]]) -> Grant:
    kind, _, rest = subject.partition(":")
    if kind != "person":
        return Grant(subject, until, None, (rest,))
    return Grant(subject, until, names.get(rest), tuple(sorted(held.get(rest, ()))))


def unmask_log(connection: Connection, subjects: Iterable[str], limit: int = LOG_MAX) -> list[UnmaskingEntry]:
    """Who saw these names, the latest first. For whoever may see alerts; reasons are masked by the caller."""
    columns = [unmaskings.c[name] for name in UnmaskingEntry.__struct_fields__]
    query = select(*columns).where(unmaskings.c.subject.in_(list(subjects)))
    rows = connection.execute(query.order_by(unmaskings.c.at.desc(), unmaskings.c.id.desc()).limit(limit))
    return [UnmaskingEntry(*row) for row in rows]
