"""The audit trail as somebody may see it: searched, page by page, with names and acts taken out.

Who may not see names (auditors) sees what people typed, and what details and objects hold, without anybody's
name. Who may not see alerts (administrators) sees that something was done about one, by whom and when, but
neither the reason nor the details, and no pseudonym: their own look at a leaver would say whose it is. What
was done to people says the id. A search runs over what its viewer sees, never over what is hidden.

At most ROWS_LOOKED_AT rows are looked at for one page, of a search for words ROWS_READ; what lies before is
for the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select

from event_schema.struct_base import Milliseconds
from server import audit as trail
from server.accounts.audit_words import actor_words, in_english, object_words
from server.people.pseudonyms import known_pseudonyms, label, shown_names, subjects_of
from server.people.roles import Right, Role, may
from server.people.text_mask import masked_prose
from server.store.database import Database
from server.store.tables import audit

ROWS: Final = 100
ROWS_LOOKED_AT: Final = 20_000
ROWS_READ: Final = 3_000
"""Of a search for words: each row is made as its viewer sees it, which the database cannot do."""
ROWS_MASKED: Final = 2_000
"""Of a search that must hide names first. Which rows are masked never hangs on what is hidden in them."""
_AT_ONCE: Final = 1000
_CLOCK_MS: Final = 86_400_000
_CLOCK_ROWS: Final = 200
"""A clock that was set back puts so many rows out of order at most."""
_NOT_OF_PEOPLE: Final = frozenset(
    {"admin_token", "agent", "audit", "installation", "kafka", "model", "seal_key", "session"}
    | {"set_agent_settings", "store", "token", "user"}
)
_OPEN_TO_ADMINISTRATORS: Final = _NOT_OF_PEOPLE | {"erasure", "leavers", "people", "policy"}
"""Families of acts that say nothing of alerts. What is not here is taken to be about one."""
_ABOUT_ALERTS: Final = frozenset({"policy.unmask"})
_NAMELESS: Final = (
    "alert:",
    "audit:",
    "case:",
    "dry_run:",
    "key:",
    "leaver",
    "model:",
    "token:",
    "user:",
    "view:",
)
"""What objects of these kinds are called was given here, or is a user's of the console."""
_AGENT: Final = "agent:"
HIDDEN: Final = "…"
_PSEUDONYM: Final = re.compile(r"(?<![^\W_])[PA]-[0-9A-Z]{5,14}(?![^\W_])", re.IGNORECASE)


class Wanted(msgspec.Struct, frozen=True):
    """What is searched for; empty: anything. Times are ms UTC, `until` is exclusive; `before`: rows with a
    smaller number."""

    action: str = ""
    actor: str = ""
    object: str = ""
    text: str = ""
    since: int | None = None
    until: int | None = None
    before: int | None = None

    @property
    def is_narrow(self) -> bool:
        return any((self.action, self.actor, self.object, self.text, self.since, self.until))


class AuditRow(msgspec.Struct, frozen=True):
    """Without its hash: a guess at what is hidden, of this row or one before, could be held against it. Nor
    are hashes of policies in what those see who may not see names. `withheld`: the viewer's role may not see
    its reason and details, or nobody may, since they name somebody who was erased."""

    seq: int
    at: Milliseconds
    actor: str
    action: str
    object: str
    reason: str | None
    detail: dict[str, Any] | None
    withheld: bool = False


class AuditPage(msgspec.Struct, frozen=True):
    """The newest first. `next_before`: from where to go on; None: that was all. `searched_back_to`: when
    the last row that was looked at was written, where there is more."""

    rows: list[AuditRow]
    next_before: int | None
    searched_back_to: Milliseconds | None


def read_page(
    database: Database, role: Role, wanted: Wanted, *, limit: int = ROWS, most: int | None = None
) -> AuditPage:
    """`most`: rows to look at. Raises StoreUnavailable."""
    if most is None:
        is_read = bool(wanted.text or wanted.object)
        masks = is_read and not may(role, Right.SEE_NAMES)
        most = ROWS_MASKED if masks else ROWS_READ if is_read else ROWS_LOOKED_AT
    at_once = _AT_ONCE if wanted.is_narrow or limit > _AT_ONCE else limit + 1
    found: list[AuditRow] = []
    with database.read() as connection:
        before = _beginning(connection, wanted)
    floor = max(1, before - most)
    while True:
        with database.read() as connection:
            stored = _stored(connection, wanted, floor, before, at_once)
            people = _subjects(connection, stored)
            erased = trail.withheld(connection, [row.seq for row in stored])
        stored = [_without_texts(row) if row.seq in erased else row for row in stored]
        likely = [row for row in stored if _may_fit(row, wanted)]
        for row in _shown(database, likely, people, role):
            if _fits(row, wanted):
                found.append(row)
            if len(found) > limit:
                last = found[limit - 1]
                return AuditPage(found[:limit], last.seq, last.at)
        if stored and _is_before(stored[-1], wanted):
            return AuditPage(found, None, None)
        if len(stored) < at_once:
            break
        before = stored[-1].seq
    with database.read() as connection:
        last_looked_at = select(audit.c.at).where(audit.c.seq == floor)
        at = connection.execute(last_looked_at).scalar()
    is_all = floor == 1 or at is None or (wanted.since is not None and at < wanted.since - _CLOCK_MS)
    return AuditPage(found, None, None) if is_all else AuditPage(found, floor, at)


def _beginning(connection: Connection, wanted: Wanted) -> int:
    """Behind the newest row that is looked at."""
    end = (connection.execute(select(audit.c.seq).order_by(audit.c.seq.desc()).limit(1)).scalar() or 0) + 1
    if wanted.before is not None:
        return min(wanted.before, end)
    return end if wanted.until is None else min(_first_at(connection, wanted.until) + _CLOCK_ROWS, end)


def _without_texts(row: AuditRow) -> AuditRow:
    return msgspec.structs.replace(row, reason=None, detail=None, withheld=True)


def _stored(connection: Connection, wanted: Wanted, floor: int, before: int, limit: int) -> list[AuditRow]:
    """The next rows that may fit by what everybody sees of them; `floor`: the first that is looked at, for
    the database would look at all of them."""
    columns = [audit.c[name] for name in AuditRow.__struct_fields__ if name != "withheld"]
    query = select(*columns).order_by(audit.c.seq.desc()).limit(limit)
    conditions: list[ColumnElement[bool]] = [audit.c.seq < before, audit.c.seq >= floor]
    if wanted.action:
        conditions.append(audit.c.action.startswith(wanted.action, autoescape=True))
    if wanted.actor.isascii() and wanted.actor:
        named = audit.c.actor.icontains(wanted.actor, autoescape=True)
        conditions.append(or_(named, audit.c.actor.startswith(_AGENT)))
    return [AuditRow(*row) for row in connection.execute(query.where(*conditions))]


def _first_at(connection: Connection, moment: int) -> int:
    """About the first row that was written at or after a moment: rows are in order of time, but for a clock
    that was set back."""
    last = connection.execute(select(audit.c.seq).order_by(audit.c.seq.desc()).limit(1)).scalar()
    low, high = 1, (last or 0) + 1
    while low < high:
        middle = (low + high) // 2
        behind = select(audit.c.at).where(audit.c.seq >= middle).order_by(audit.c.seq).limit(1)
        at = connection.execute(behind).scalar()
        if at is not None and at < moment:
            low = middle + 1
        else:
            high = middle
    return low


def _is_before(row: AuditRow, wanted: Wanted) -> bool:
    """Whether all rows behind this one are too old, a clock that was set back by a day left out."""
    return wanted.since is not None and row.at < wanted.since - _CLOCK_MS


def _subjects(connection: Connection, rows: Sequence[AuditRow]) -> dict[str, str]:
    subjects = {row.object for row in rows if row.object.startswith(("person:", "account:"))}
    return known_pseudonyms(connection, sorted(subjects))


def _shown(
    database: Database, rows: Sequence[AuditRow], people: dict[str, str], role: Role
) -> list[AuditRow]:
    sees_names, sees_alerts = may(role, Right.SEE_NAMES), may(role, Right.SEE_ALERTS)
    if sees_names:
        return list(rows) if sees_alerts else _without_pseudonyms(database, map(_without_acts, rows))
    rows = [_without_hash(row) for row in rows]
    texts = {text: "" for row in rows for text in _texts(row)}
    masked = dict(zip(texts, masked_prose(_Console(database), list(texts)), strict=True))
    key, _ = shown_names(database, ())
    return [
        msgspec.structs.replace(
            row,
            actor=_actor(row.actor, key),
            object=people.get(row.object) or _object(row, key) or masked.get(row.object, row.object),
            reason=None if row.reason is None else masked[row.reason],
            detail=None if row.detail is None else _masked(row.detail, masked),
        )
        for row in rows
    ]


def _without_hash(row: AuditRow) -> AuditRow:
    """Of a policy's text, which may name somebody."""
    if row.detail is None or "hash" not in row.detail:
        return row
    return msgspec.structs.replace(row, detail={k: v for k, v in row.detail.items() if k != "hash"})


def _actor(actor: str, key: bytes) -> str:
    """An agent goes by its host, which often has somebody's name."""
    return (
        _AGENT + label(key, "H", actor.removeprefix(_AGENT).casefold()) if actor.startswith(_AGENT) else actor
    )


def _object(row: AuditRow, key: bytes) -> str | None:
    is_agent = row.action.partition(".")[0] == "agent"
    return label(key, "H", row.object.casefold()) if is_agent else None


def _without_pseudonyms(database: Database, rows: Iterable[AuditRow]) -> list[AuditRow]:
    """With ids where something was done to people."""
    shown = list(rows)
    named = {row.seq: row.object.removeprefix("leaver:") for row in shown if _is_of_people(row)}
    with database.read() as connection:
        people = subjects_of(connection, set(named.values()))
    told = {row.seq: people.get(named.get(row.seq, ""), _PSEUDONYM.sub(HIDDEN, row.object)) for row in shown}
    return [
        msgspec.structs.replace(
            row,
            object=told[row.seq],
            reason=None if row.reason is None else _PSEUDONYM.sub(HIDDEN, row.reason),
            detail=None if row.detail is None else _hidden(row.detail),
        )
        for row in shown
    ]


def _is_of_people(row: AuditRow) -> bool:
    return row.action.partition(".")[0] in ("leaver", "leavers", "people")


def _hidden(value: Any) -> Any:
    texts = {text: _PSEUDONYM.sub(HIDDEN, text) for text in _strings(value)}
    return _masked(value, texts)


def _without_acts(row: AuditRow) -> AuditRow:
    family = row.action.partition(".")[0]
    if family in _OPEN_TO_ADMINISTRATORS and row.action not in _ABOUT_ALERTS:
        return row
    # Whose alert or page it was would say of whom there is something to see.
    named = row.object.startswith(("person:", "account:"))
    shown = HIDDEN if named else row.object
    withheld = row.withheld or row.reason is not None or row.detail is not None
    return msgspec.structs.replace(row, object=shown, reason=None, detail=None, withheld=withheld)


def _texts(row: AuditRow) -> list[str]:
    found = [] if row.reason is None else [row.reason]
    if not row.object.startswith(_NAMELESS):
        found.append(row.object)
    return found + ([] if row.detail is None else _strings(row.detail))


def _strings(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for key, each in value.items() for text in (key, *_strings(each))]
        case list():
            return [text for each in value for text in _strings(each)]
        case _:
            return []


def _masked(value: Any, masked: dict[str, str]) -> Any:
    match value:
        case str():
            return masked[value]
        case dict():
            return {masked[key]: _masked(each, masked) for key, each in value.items()}
        case list():
            return [_masked(each, masked) for each in value]
        case _:
            return value


def _may_fit(row: AuditRow, wanted: Wanted) -> bool:
    """By what everybody sees of a row."""
    if wanted.since is not None and row.at < wanted.since:
        return False
    if wanted.until is not None and row.at >= wanted.until:
        return False
    if wanted.action and not row.action.startswith(wanted.action):
        return False
    return _is_by(row, wanted) or row.actor.startswith(_AGENT)


def _is_by(row: AuditRow, wanted: Wanted) -> bool:
    return not wanted.actor or wanted.actor.casefold() in row.actor.casefold()


def _fits(row: AuditRow, wanted: Wanted) -> bool:
    """By what the viewer sees, of a row that may fit."""
    if not _is_by(row, wanted):
        return False
    if wanted.object and wanted.object.casefold() not in _object_text(row):
        return False
    return not wanted.text or wanted.text.casefold() in _all_text(row)


def _object_text(row: AuditRow) -> str:
    """As it is stored and as it is read."""
    return f"{row.object}\n{object_words(row.object, row.action, in_english)}".casefold()


def _all_text(row: AuditRow) -> str:
    detail = "" if row.detail is None else msgspec.json.encode(row.detail).decode()
    said = (actor_words(row.actor, in_english), _object_text(row))
    return "\n".join((row.actor, row.action, *said, row.reason or "", detail)).casefold()


class _Console(msgspec.Struct, frozen=True):
    """What `masked_prose` asks for."""

    database: Database
