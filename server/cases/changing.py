"""What is done to cases. Each in the caller's write transaction, with a line of history and an audit row.

What people type (titles, notes, outcomes' reasons) may name somebody, so it stands in the case's own tables,
where erasure finds it, and not in the audit trail, from which nothing is ever taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from server import audit
from server.cases.reading import alert_ids_of, cases_of_alerts, get_case
from server.cases.records import (
    ALERTS_MAX,
    HISTORY_MAX,
    OWNER_CHARACTERS,
    TEXT_CHARACTERS,
    TITLE_CHARACTERS,
    TOLD_MAX,
    Case,
    CaseChanged,
    CaseRefused,
    Joined,
    Outcome,
    Verb,
    checked_text,
)
from server.store.tables import alerts, case_alerts, case_history, cases

_AT_ONCE = 500
_ALWAYS = frozenset({Verb.CLOSE, Verb.REOPEN, Verb.PACK, Verb.DOWNLOAD})


def open_case(connection: Connection, title: str, *, actor: str, at: int, owner: str | None = None) -> int:
    """Its number. Raises CaseRefused."""
    title = checked_text("a title", title, TITLE_CHARACTERS)
    owner = _checked_owner(owner)
    row = {"title": title, "status": "open", "owner": owner, "opened_at": at, "opened_by": actor}
    made = insert(cases).values(**row, updated_at=at, version=1).returning(cases.c.id)
    case_id = int(connection.execute(made).scalar_one())
    _note(connection, case_id, Verb.OPEN, actor=actor, at=at, text=title, after=owner)
    audit.append(connection, at=at, actor=actor, action="case.open", object=f"case:{case_id}")
    return case_id


def open_or_join_case(
    connection: Connection,
    alert_ids: Iterable[int],
    *,
    actor: str,
    at: int,
    case_id: int | None = None,
    title: str | None = None,
    owner: str | None = None,
) -> Joined:
    """Alerts into a case that is there, or into a new one with this title. An alert that cannot go there is
    listed with the reason, the others go. Raises UnknownCase, CaseRefused, also where none of them can."""
    wanted = _checked_ids(alert_ids)
    free, refused = _sorted_out(connection, wanted, case_id)
    if case_id is not None:
        case = _open(connection, case_id, None)
        free = _as_many_as_fit(connection, case.id, free, refused)
    if not free:
        raise CaseRefused("; ".join(list(refused.values())[:5]))
    opened = case_id is None
    if case_id is None:
        case_id = open_case(connection, title or f"Alert {free[0]}", actor=actor, at=at, owner=owner)
    _put_in(connection, case_id, free, actor=actor, at=at)
    _touch(connection, case_id, at, count=not opened)
    return Joined(case_id, opened, tuple(free), refused)


def add_alerts(
    connection: Connection,
    case_id: int,
    alert_ids: Iterable[int],
    *,
    actor: str,
    at: int,
    version: int | None = None,
) -> Joined:
    """As open_or_join_case, into a case that is there."""
    _open(connection, case_id, version)
    return open_or_join_case(connection, alert_ids, actor=actor, at=at, case_id=case_id)


def remove_alerts(
    connection: Connection,
    case_id: int,
    alert_ids: Iterable[int],
    *,
    actor: str,
    at: int,
    version: int | None = None,
) -> tuple[int, ...]:
    """Which of them were in it, and are not now. Raises UnknownCase, CaseRefused."""
    _open(connection, case_id, version)
    held = set(alert_ids_of(connection, case_id))
    gone = [each for each in _checked_ids(alert_ids) if each in held]
    if not gone:
        raise CaseRefused(f"none of these alerts is in case {case_id}", "not_in_it")
    for start in range(0, len(gone), _AT_ONCE):
        part = case_alerts.c.alert.in_(gone[start : start + _AT_ONCE])
        connection.execute(delete(case_alerts).where(case_alerts.c.case == case_id, part))
    _note(connection, case_id, Verb.REMOVE, actor=actor, at=at, alerts=gone)
    _touch(connection, case_id, at)
    _audit_alerts(connection, "case.remove", case_id, gone, actor=actor, at=at)
    _audit_each(connection, "alert.leave_case", case_id, gone, actor=actor, at=at)
    return tuple(gone)


def add_note(connection: Connection, case_id: int, text: str, *, actor: str, at: int) -> None:
    """Also to a closed case. Raises UnknownCase, CaseRefused."""
    text = checked_text("a note", text, TEXT_CHARACTERS)
    get_case(connection, case_id)
    number = _note(connection, case_id, Verb.NOTE, actor=actor, at=at, text=text)
    _touch(connection, case_id, at, count=False)
    audit.append(
        connection,
        at=at,
        actor=actor,
        action="case.note",
        object=f"case:{case_id}",
        detail={"entry": number, "characters": len(text)},
    )


def rename(
    connection: Connection, case_id: int, title: str, *, actor: str, at: int, version: int | None = None
) -> None:
    """Raises UnknownCase, CaseRefused."""
    title = checked_text("a title", title, TITLE_CHARACTERS)
    case = _open(connection, case_id, version)
    if case.title == title:
        return
    connection.execute(update(cases).where(cases.c.id == case_id).values(title=title))
    number = _note(connection, case_id, Verb.RENAME, actor=actor, at=at, text=title)
    _touch(connection, case_id, at)
    detail = {"entry": number}
    audit.append(
        connection, at=at, actor=actor, action="case.rename", object=f"case:{case_id}", detail=detail
    )


def assign(
    connection: Connection,
    case_id: int,
    owner: str | None,
    *,
    actor: str,
    at: int,
    version: int | None = None,
) -> None:
    """None: nobody's. Raises UnknownCase, CaseRefused."""
    owner = _checked_owner(owner)
    case = _open(connection, case_id, version)
    if case.owner == owner:
        return
    connection.execute(update(cases).where(cases.c.id == case_id).values(owner=owner))
    _note(connection, case_id, Verb.ASSIGN, actor=actor, at=at, before=case.owner, after=owner)
    _touch(connection, case_id, at)
    audit.append(
        connection,
        at=at,
        actor=actor,
        action="case.assign",
        object=f"case:{case_id}",
        detail={"before": case.owner, "after": owner},
    )


def close_case(
    connection: Connection,
    case_id: int,
    outcome: Outcome,
    reason: str,
    *,
    actor: str,
    at: int,
    version: int | None = None,
) -> None:
    """Its alerts stay as they are: each has a verdict of its own. Raises UnknownCase, CaseRefused."""
    reason = checked_text("a reason", reason, TEXT_CHARACTERS)
    _open(connection, case_id, version)
    values: dict[str, Any] = {"status": "closed", "outcome": outcome.value, "reason": reason}
    values |= {"closed_at": at, "closed_by": actor}
    connection.execute(update(cases).where(cases.c.id == case_id).values(values))
    number = _note(
        connection, case_id, Verb.CLOSE, actor=actor, at=at, text=reason, before="open", after=outcome.value
    )
    _touch(connection, case_id, at)
    audit.append(
        connection,
        at=at,
        actor=actor,
        action="case.close",
        object=f"case:{case_id}",
        detail={"outcome": outcome.value, "entry": number},
    )


def reopen_case(
    connection: Connection, case_id: int, reason: str, *, actor: str, at: int, version: int | None = None
) -> None:
    """What it was closed with stays in its history. Raises UnknownCase, CaseRefused."""
    reason = checked_text("a reason", reason, TEXT_CHARACTERS)
    case = _as_seen(get_case(connection, case_id), version)
    if case.status != "closed":
        raise CaseRefused(f"case {case_id} is open", "open")
    values: dict[str, Any] = dict.fromkeys(("outcome", "reason", "closed_at", "closed_by"))
    connection.execute(update(cases).where(cases.c.id == case_id).values(values | {"status": "open"}))
    number = _note(
        connection, case_id, Verb.REOPEN, actor=actor, at=at, text=reason, before=case.outcome, after="open"
    )
    _touch(connection, case_id, at)
    audit.append(
        connection,
        at=at,
        actor=actor,
        action="case.reopen",
        object=f"case:{case_id}",
        detail={"before": case.outcome, "entry": number},
    )


def note_pack(
    connection: Connection,
    case_id: int,
    verb: Verb,
    pack: int,
    *,
    actor: str,
    at: int,
    text: str | None = None,
) -> None:
    """That a pack was made or downloaded; the audit row is the caller's."""
    _note(connection, case_id, verb, actor=actor, at=at, text=text, after=str(pack))
    _touch(connection, case_id, at, count=False)


def _checked_ids(alert_ids: Iterable[int]) -> list[int]:
    wanted = list(dict.fromkeys(alert_ids))
    if not 1 <= len(wanted) <= ALERTS_MAX:
        raise CaseRefused(f"1 to {ALERTS_MAX} alerts at once, not {len(wanted)}")
    return wanted


def _checked_owner(owner: str | None) -> str | None:
    return None if owner is None else checked_text("an owner", owner, OWNER_CHARACTERS)


def _sorted_out(
    connection: Connection, wanted: Sequence[int], case_id: int | None
) -> tuple[list[int], dict[int, str]]:
    """(those that may go into the case, why the others may not)."""
    there: set[int] = set()
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(alerts.c.id).where(alerts.c.id.in_(wanted[start : start + _AT_ONCE]))
        there.update(connection.execute(query).scalars())
    held = cases_of_alerts(connection, wanted)
    free: list[int] = []
    refused: dict[int, str] = {}
    for each in wanted:
        if each not in there:
            refused[each] = f"there is no alert {each}"
        elif each in held:
            known = "this case" if held[each] == case_id else f"case {held[each]}"
            refused[each] = f"alert {each} is in {known} already"
        else:
            free.append(each)
    return free, refused


def _as_many_as_fit(
    connection: Connection, case_id: int, free: list[int], refused: dict[int, str]
) -> list[int]:
    room = max(0, ALERTS_MAX - len(alert_ids_of(connection, case_id)))
    why = f"case {case_id} has {ALERTS_MAX} alerts, the most it may have"
    refused.update(dict.fromkeys(free[room:], why))
    return free[:room]


def _put_in(connection: Connection, case_id: int, free: list[int], *, actor: str, at: int) -> None:
    rows = [{"alert": each, "case": case_id, "added_at": at, "added_by": actor} for each in free]
    connection.execute(insert(case_alerts), rows)
    _note(connection, case_id, Verb.ADD, actor=actor, at=at, alerts=free)
    _audit_alerts(connection, "case.add", case_id, free, actor=actor, at=at)
    _audit_each(connection, "alert.escalate", case_id, free, actor=actor, at=at)


def _audit_alerts(
    connection: Connection, action: str, case_id: int, ids: Sequence[int], *, actor: str, at: int
) -> None:
    detail = {"alerts": list(ids[:TOLD_MAX]), "count": len(ids)}
    audit.append(connection, at=at, actor=actor, action=action, object=f"case:{case_id}", detail=detail)


def _audit_each(
    connection: Connection, action: str, case_id: int, ids: Sequence[int], *, actor: str, at: int
) -> None:
    """By alert too: its custody tells of the case, in which it may be no more."""
    detail = {"case": case_id}
    acts = [
        audit.Act(at=at, actor=actor, action=action, object=f"alert:{each}", detail=detail) for each in ids
    ]
    audit.append_all(connection, acts)


def _open(connection: Connection, case_id: int, version: int | None) -> Case:
    case = _as_seen(get_case(connection, case_id), version)
    if case.status != "open":
        raise CaseRefused(
            f"case {case_id} was closed as {case.outcome} by {case.closed_by}: reopen it first",
            "closed",
            outcome=case.outcome,
            who=case.closed_by,
        )
    return case


def _as_seen(case: Case, version: int | None) -> Case:
    if version is not None and case.version != version:
        raise CaseChanged(f"case {case.id} was changed meanwhile: look at it again", "changed")
    return case


def _touch(connection: Connection, case_id: int, at: int, *, count: bool = True) -> None:
    """`count`: as a change that others must have seen before theirs."""
    changed = {"updated_at": at, "version": cases.c.version + (1 if count else 0)}
    connection.execute(update(cases).where(cases.c.id == case_id).values(changed))


def _note(
    connection: Connection,
    case_id: int,
    verb: Verb,
    *,
    actor: str,
    at: int,
    text: str | None = None,
    before: str | None = None,
    after: str | None = None,
    alerts: Sequence[int] = (),
) -> int:
    held = select(func.count()).where(case_history.c.case == case_id)
    # What ends a case is never refused for this.
    if verb not in _ALWAYS and connection.execute(held).scalar_one() >= HISTORY_MAX:
        raise CaseRefused(f"case {case_id} has {HISTORY_MAX} entries, the most it may have")
    row = {"case": case_id, "at": at, "actor": actor, "verb": verb.value, "text": text, "before": before}
    made = insert(case_history).values(**row, after=after, alerts=list(alerts)).returning(case_history.c.id)
    return int(connection.execute(made).scalar_one())
