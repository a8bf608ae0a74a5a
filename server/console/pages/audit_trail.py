"""The audit trail: searched, verified, exported. Auditors see no names, administrators no acts."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection
from starlette.datastructures import ImmutableMultiDict
from starlette.responses import Response

from server import audit
from server.accounts.audit_reading import AuditPage, Wanted, read_page
from server.accounts.audit_words import actor_words, detail_words, object_words
from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.console.page import Ask, Console, Page
from server.console.slow_reads import SlowReads
from server.json_times import with_datetimes
from server.people.pseudonyms import shown_names
from server.people.roles import Right, may
from server.store.column_types import is_storable

EXPORT_ROWS: Final = 10_000
TEXT_CHARACTERS: Final = 200
_KEPT_CHARACTERS: Final = 64
_FIELDS: Final = ("action", "actor", "object", "text", "from", "to")


class _Kept(msgspec.Struct, frozen=True):
    """A row whose fingerprint somebody kept. `same`: whether it still has it."""

    row: str
    same: bool


class Verifying:
    """One at a time: it reads the whole trail."""

    def __init__(self, _console: Console) -> None:
        self.lock = threading.Lock()


def show(console: Console, ask: Ask) -> Response:
    """GET /audit"""
    note_view(console, ask, "audit:trail")
    problem = ""
    try:
        wanted = wanted_of(ask.query, ask.zone)
    except ValueError:
        wanted, problem = Wanted(), ask.text("Days are written as 2026-11-20.")
    found = read_page(console.database, ask.viewer.role, wanted)
    return _page(ask, found, problem)


def verify(console: Console, ask: Ask) -> Response:
    """POST /audit/verify: whether the chain holds, or which row is the first that does not; and whether a row
    has the fingerprint that somebody kept."""
    verifying = console.made(Verifying)
    key, _ = shown_names(console.database, ())
    if not verifying.lock.acquire(blocking=False):
        words = ask.text("Somebody is verifying already. Try again in a moment.")
        raise ApiError(503, "busy", words, retry_after=5)
    try:
        with console.database.read() as connection:
            last = audit.head(connection)
            broken_at = audit.verify(connection)
            kept = _kept(connection, key, ask.form)
    finally:
        verifying.lock.release()
    rows, last_fingerprint = (0, "") if last is None else (last[0], audit.fingerprint(key, *last))
    detail = {"rows": rows, "broken_at": broken_at}
    with console.database.begin() as connection:
        audit.append(
            connection,
            at=ask.now,
            actor=ask.viewer.actor,
            action="audit.verify",
            object="audit:trail",
            detail=detail,
        )
    return ask.fragment_of(
        "audit/verified.html", rows=rows, fingerprint=last_fingerprint, broken_at=broken_at, kept=kept
    )


def _kept(connection: Connection, key: bytes, form: ImmutableMultiDict[str, str]) -> _Kept | None:
    row, told = (form.get(name, "").strip()[:_KEPT_CHARACTERS] for name in ("row", "fingerprint"))
    if not row and not told:
        return None
    seq = int(row) if row.isascii() and row.isdigit() and len(row) < 19 else 0
    found = audit.hash_of(connection, seq)
    return _Kept(row, found is not None and audit.fingerprint(key, seq, found) == told.casefold())


def export(console: Console, ask: Ask) -> Response:
    """POST /audit/export: JSON lines of what the filters find, as the viewer sees it; itself on record."""
    given = {name: ask.form.get(name, "") for name in _FIELDS}
    try:
        wanted = wanted_of(ask.form, ask.zone)
    except ValueError:
        raise ApiError(400, "bad_form", ask.text("Days are written as 2026-11-20.")) from None
    with console.made(SlowReads).one():
        found = read_page(console.database, ask.viewer.role, wanted, limit=EXPORT_ROWS, most=5 * EXPORT_ROWS)
    detail = {"rows": len(found.rows), **{name: text for name, text in given.items() if text}}
    with console.database.begin() as connection:
        audit.append(
            connection,
            at=ask.now,
            actor=ask.viewer.actor,
            action="audit.export",
            object="audit:trail",
            detail=detail,
        )
    lines = [msgspec.json.encode(with_datetimes(row)) for row in found.rows]
    if found.next_before is not None:
        lines.append(msgspec.json.encode({"not_all": True, "go_on_before": found.next_before}))
    name = f"audit-{datetime.fromtimestamp(ask.now / 1000, ask.zone):%Y%m%d-%H%M}.jsonl"
    return ask.download(b"\n".join(lines) + b"\n", name, "application/x-ndjson")


def wanted_of(given: ImmutableMultiDict[str, str], zone: ZoneInfo) -> Wanted:
    """Of a query or a form; days are the viewer's. Raises ValueError for what is no day."""
    words = {name: _text(given.get(name, "")) for name in ("action", "actor", "object", "text")}
    since, until = (_day(given.get(name, "")) for name in ("from", "to"))
    before = given.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    return Wanted(
        **words,
        since=None if since is None else _midnight(since, zone),
        until=None if until is None else _midnight(until + timedelta(days=1), zone),
        before=number,
    )


def _text(given: str) -> str:
    return given.strip()[:TEXT_CHARACTERS] if is_storable(given) else ""


def _day(given: str) -> date | None:
    if not given.strip():
        return None
    found = date.fromisoformat(given.strip())
    if not 1970 < found.year < 9999:
        raise ValueError(given)
    return found


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _page(ask: Ask, found: AuditPage, problem: str) -> Response:
    kept = {name: ask.query.get(name, "")[:TEXT_CHARACTERS] for name in _FIELDS}
    filters = {name: text for name, text in kept.items() if text}
    older = urlencode({**filters, "before": str(found.next_before)}, errors="replace")
    return ask.page(
        "audit/trail.html",
        status=400 if problem else 200,
        found=found,
        kept=kept,
        filters=filters,
        older=f"/audit?{older}" if found.next_before is not None else "",
        newest="/audit?" + urlencode(filters, errors="replace") if ask.query.get("before") else "",
        problem=problem,
        actor_words=lambda actor: actor_words(actor, ask.text),
        object_words=lambda row: object_words(row.object, row.action, ask.text),
        detail_words=lambda row: detail_words(row.detail, ask.text),
        only=lambda **given: urlencode(given, errors="replace"),
        sees_names=may(ask.viewer.role, Right.SEE_NAMES),
    )


PAGES = [
    Page("GET", "/audit", Right.SEE_AUDIT, show),
    Page("POST", "/audit/verify", Right.SEE_AUDIT, verify),
    Page("POST", "/audit/export", Right.SEE_AUDIT, export),
]
