"""HR's files: brought, looked at row by row, taken over as they were seen, and taken back.

The rules are those of every other way in (server/people/hr_import.py). Nothing is changed by a look; what
stops a file is said with its number, and whoever means it types that number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.responses import Response

from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.console.page import UPLOAD_BYTES, Ask, Console, Page
from server.console.pages.import_choices import (
    ENCODINGS,
    HEADERS_MAX,
    chosen_options,
    stop_words,
    unmatched_rows,
)
from server.console.pages.leaver_words import all_words
from server.console.said_words import said
from server.erasure.undone_imports import undo_import
from server.people.csv_encoding import UnreadableFile
from server.people.file_header import guessed_columns
from server.people.hr_columns import COLUMNS
from server.people.hr_names import names_of
from server.people.hr_view import hr_reading
from server.people.import_drafts import (
    IMPORT_TURN,
    ChangedMeanwhile,
    Draft,
    ImportDrafts,
    Look,
    UnknownDraft,
    apply_draft,
)
from server.people.import_history import import_changes
from server.people.roles import Right
from server.people.undo import CannotUndo, UnknownImport, check_undo, list_imports

ROWS: Final = 100
IMPORTS_SHOWN: Final = 50
WAIT_SECONDS: Final = 2.0
"""Another file may take much longer; a thread that waits for it is missing to others."""
TEMPLATE: Final = (
    "id",
    "name",
    "accounts",
    "devices",
    "department",
    "manager",
    "time zone",
    "start date",
    "notice date",
    "last working day",
    "last hour",
    "leaving type",
)
_TEMPLATE_ZH: Final = (
    "工号",
    "姓名",
    "账号",
    "设备",
    "部门",
    "上级",
    "时区",
    "入职日期",
    "提出离职日期",
    "最后工作日",
    "最后工作时间",
    "离职类型",
)


class Drafts(ImportDrafts):
    """Those of the console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.time_zone = console.config.people.time_zone


def begin(console: Console, ask: Ask) -> Response:
    """GET /leavers/import: where a file is dropped, and what came so far."""
    return _begin(console, ask)


def _begin(console: Console, ask: Ask, *, problem: str | None = None) -> Response:
    with hr_reading(console.database) as connection:
        done = list_imports(connection, IMPORTS_SHOWN)
    status = 200 if problem is None else 422
    return ask.page("leavers/import.html", status=status, done=done, problem=problem, **all_words(ask))


def bring(console: Console, ask: Ask) -> Response:
    """POST /leavers/import: a file, kept until it is taken over or its time is over."""
    file = ask.files.get("file")
    if file is None or not file.content:
        return _begin(console, ask, problem=ask.text("Choose a file first."))
    drafts = console.made(Drafts)
    try:
        with _turn():
            draft = drafts.bring(
                console.database,
                ask.viewer.user,
                file.name,
                file.content,
                now=ask.now,
                time_zone=drafts.time_zone,
            )
    except UnreadableFile as error:
        return _begin(console, ask, problem=said(ask, str(error)))
    return ask.redirect(f"/leavers/import/{draft.key}")


def preview(console: Console, ask: Ask) -> Response:
    """GET /leavers/import/{draft}?from=100&messages=100: what would change, and what is wrong."""
    draft = _draft(console, ask)
    note_view(console, ask, "leavers:import")
    with _turn():
        look = console.made(Drafts).look(console.database, draft, now=ask.now)
    return _preview(console, ask, draft, look)


def _preview(
    console: Console, ask: Ask, draft: Draft, look: Look, *, status: int = 200, problem: str | None = None
) -> Response:
    report = look.report
    first, first_message = _number(ask, "from"), _number(ask, "messages")
    changes = () if report is None else report.changes[first : first + ROWS]
    messages = [] if report is None else [*report.problems, *report.notes]
    with hr_reading(console.database) as connection:
        named = names_of(connection, [each.id for each in changes])
    taken = draft.options.same_people
    return ask.page(
        "leavers/preview.html",
        status=status,
        draft=draft,
        seen=look,
        report=report,
        guessed=guessed_columns(draft.header[:HEADERS_MAX], draft.options.mapping),
        every_column=COLUMNS,
        encodings=ENCODINGS,
        changes=changes,
        named=named,
        first=first,
        messages=messages[first_message : first_message + ROWS],
        first_message=first_message,
        all_messages=len(messages),
        bad=0 if report is None else len(report.problems),
        rows=ROWS,
        unmatched=unmatched_rows(report),
        held=0 if report is None or taken else report.others,
        names=look.names,
        others=look.others[:ROWS],
        stop=stop_words(ask, report),
        changed=ask.query.get("changed") == "yes",
        problem=problem,
        said=lambda message: said(ask, message),
        **all_words(ask),
    )


def read_again(console: Console, ask: Ask) -> Response:
    """POST /leavers/import/{draft}/read: other columns, another encoding, or what is meant."""
    draft = _draft(console, ask)
    console.made(Drafts).change(draft, chosen_options(ask, draft))
    return ask.redirect(f"/leavers/import/{draft.key}")


def apply(console: Console, ask: Ask) -> Response:
    """POST /leavers/import/{draft}/apply: as it was seen, or not at all."""
    draft = _draft(console, ask)
    drafts = console.made(Drafts)
    seen = ask.form.get("version", "")
    try:
        with _turn():
            number = int(seen) if seen.isdecimal() and len(seen) < 18 else -1
            report = apply_draft(console.database, draft, number, actor=ask.viewer.actor, now=ask.now)
    except ChangedMeanwhile:
        return ask.redirect(f"/leavers/import/{draft.key}?changed=yes")
    except UnreadableFile as error:
        return _begin(console, ask, problem=said(ask, str(error)))
    if not report.applied:
        with _turn():
            look = drafts.look(console.database, draft, now=ask.now)
        return _preview(console, ask, draft, look, status=409)
    drafts.drop(draft)
    return ask.redirect(f"/leavers/imports/{report.import_id}?done=yes")


def discard(console: Console, ask: Ask) -> Response:
    """POST /leavers/import/{draft}/discard"""
    console.made(Drafts).drop(_draft(console, ask))
    return ask.redirect("/leavers/import")


def messages(console: Console, ask: Ask) -> Response:
    """GET /leavers/import/{draft}/messages.csv: every message with its line, to mend the file by."""
    draft = _draft(console, ask)
    with _turn():
        look = console.made(Drafts).look(console.database, draft, now=ask.now)
    if look.report is None:
        raise ApiError(404, "not_found", "the file cannot be read: there are no messages")
    kinds = (ask.text("refused"), ask.text("note"))
    rows = [(kind, each) for kind, found in zip(kinds, (look.report.problems, look.report.notes), strict=True)
            for each in found]  # fmt: skip
    head = (ask.text("Kind"), ask.text("Line"), ask.text("Column"), ask.text("Value"), ask.text("Message"))
    written = _csv(
        [head, *((kind, str(e.line), e.column, e.value, said(ask, e.message)) for kind, e in rows)]
    )
    return ask.download(written, "import-messages.csv", "text/csv; charset=utf-8")


def template(_console: Console, ask: Ask) -> Response:
    """GET /leavers/import-template.csv"""
    header = _TEMPLATE_ZH if ask.look.language == "zh" else TEMPLATE
    return ask.download(_csv([header]), "leavers-template.csv", "text/csv; charset=utf-8")


def one_import(console: Console, ask: Ask) -> Response:
    """GET /leavers/imports/{id}?after=N: what it changed, and whether it can be taken back."""
    return _one_import(console, ask)


def _one_import(console: Console, ask: Ask, *, problem: str | None = None) -> Response:
    number = int(ask.path["id"])
    note_view(console, ask, f"import:{number}")
    try:
        with hr_reading(console.database) as connection:
            found = import_changes(connection, number, after=_number(ask, "after"), limit=ROWS)
            named = names_of(connection, [each.id for each in found.changes])
    except UnknownImport:
        raise _unknown() from None
    would, why_not = None, None
    if found.imported.undone_at is None and found.imported.stopped is None:
        try:
            with console.database.read() as connection:
                would = check_undo(connection, number)
        except CannotUndo as error:
            why_not = said(ask, str(error))
    return ask.page(
        "leavers/imported.html",
        status=200 if problem is None else 409,
        found=found,
        named=named,
        would=would,
        why_not=why_not,
        problem=problem,
        done=ask.query.get("done") == "yes",
        **all_words(ask),
    )


def undo(console: Console, ask: Ask) -> Response:
    """POST /leavers/imports/{id}/undo"""
    number = int(ask.path["id"])
    try:
        with _turn(), console.database.begin() as connection:
            undo_import(connection, number, actor=ask.viewer.actor, at=ask.now)
    except UnknownImport:
        raise _unknown() from None
    except CannotUndo as error:
        return _one_import(console, ask, problem=said(ask, str(error)))
    return ask.redirect(f"/leavers/imports/{number}")


def _draft(console: Console, ask: Ask) -> Draft:
    try:
        return console.made(Drafts).get(ask.viewer.user, ask.path["draft"], now=ask.now)
    except UnknownDraft as error:
        raise ApiError(404, "not_found", str(error)) from None


@contextmanager
def _turn() -> Iterator[None]:
    if not IMPORT_TURN.acquire(timeout=WAIT_SECONDS):
        raise ApiError(503, "busy", "another import is being worked on", retry_after=10)
    try:
        yield
    finally:
        IMPORT_TURN.release()


def _number(ask: Ask, name: str) -> int:
    written = ask.query.get(name, "")
    return int(written) if written.isdecimal() and len(written) < 12 else 0


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    """For spreadsheets, which take UTF-8 for what it is by its mark alone. No cell begins a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell for cell in row])
    return text.getvalue().encode("utf-8-sig", "replace")


def _unknown() -> ApiError:
    return ApiError(404, "not_found", "there is no such import")


PAGES = [
    Page("GET", "/leavers/import", Right.FLAG_LEAVERS, begin),
    Page("POST", "/leavers/import", Right.FLAG_LEAVERS, bring, form_limit=UPLOAD_BYTES, uploads=True),
    Page("GET", "/leavers/import-template.csv", Right.FLAG_LEAVERS, template),
    Page("GET", "/leavers/import/{draft}", Right.FLAG_LEAVERS, preview),
    Page("POST", "/leavers/import/{draft}/read", Right.FLAG_LEAVERS, read_again),
    Page("POST", "/leavers/import/{draft}/apply", Right.FLAG_LEAVERS, apply),
    Page("POST", "/leavers/import/{draft}/discard", Right.FLAG_LEAVERS, discard),
    Page("GET", "/leavers/import/{draft}/messages.csv", Right.FLAG_LEAVERS, messages),
    Page("GET", "/leavers/imports/{id:int}", Right.FLAG_LEAVERS, one_import),
    Page("POST", "/leavers/imports/{id:int}/undo", Right.FLAG_LEAVERS, undo),
]
