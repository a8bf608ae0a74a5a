"""What HR's export calls: bring rows, look at what an import did, take it back. Nothing of what anybody did.

Rows come as CSV, XLSX or JSON, in the request's body; what stops an import at the command line stops it here,
and a parameter of the query says that it is meant. The same rows again change nothing, so a call whose answer
was lost is made again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from starlette.responses import Response

from server.api.access import Access, Call, Endpoint
from server.api.errors import ApiError, json_response
from server.api.service import ApiService
from server.erasure.undone_imports import undo_import
from server.json_times import with_datetimes
from server.people.csv_encoding import UnreadableFile
from server.people.hr_import import (
    ImportOptions,
    PreparedImport,
    note_unreadable,
    prepare_import,
    take_over,
)
from server.people.hr_view import hr_reading
from server.people.import_drafts import IMPORT_TURN
from server.people.import_history import CHANGES_MAX, import_changes
from server.people.import_mapping import ImportMapping, MappingUnreadable, read_mapping
from server.people.import_report import ImportReport
from server.people.person_rows import zone_name
from server.people.undo import CannotUndo, UnknownImport, list_imports
from server.store.column_types import WHOLE_MAX

IMPORT_BYTES_MAX = 32 << 20
"""Many times the 50,000 rows of a large company; the memory for bodies is shared with agents."""
LIST_MAX = 1000
BUSY_SECONDS = 10
_JSON = "application/json"
_ROWS = (
    _JSON,
    "text/csv",
    "application/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/octet-stream",
)
Query = TypeVar("Query", bound=msgspec.Struct)


class ImportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the options of `leaver people import`. `mapping`: a file NAME.toml in [people] mappings_folder."""

    dry_run: bool = False
    skip_bad_rows: bool = False
    add_unmatched: bool = False
    same_people: bool = False
    expect_leavers: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    expect_withdrawn: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    expect_accounts: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    ignore_columns: bool = False
    mapping: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")] | None = None
    encoding: Annotated[str, Meta(max_length=64)] | None = None
    time_zone: Annotated[str, Meta(max_length=64)] | None = None


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = 100


class ChangesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[int, Meta(ge=0, le=WHOLE_MAX)] = 0
    limit: Annotated[int, Meta(ge=1, le=CHANGES_MAX)] = CHANGES_MAX


def bring(service: ApiService, call: Call) -> Response:
    """POST /v1/people/imports: an ImportReport; 409 with the same where it was stopped."""
    options = _options(service, call)
    if not IMPORT_TURN.acquire(blocking=False):
        raise ApiError(503, "busy", "another import is being worked on", retry_after=BUSY_SECONDS)
    try:
        report = _imported(service, call, options)
    finally:
        IMPORT_TURN.release()
    stopped = report.stopped is not None and not report.dry_run
    return json_response(report, 409 if stopped else 200)


def list_of_imports(service: ApiService, call: Call) -> Response:
    """GET /v1/people/imports?limit=N: whoever brought them, the latest first."""
    query = _query(call, ListQuery)
    with hr_reading(service.database) as connection:
        found = list_imports(connection, query.limit)
    return json_response(with_datetimes(found))


def one_import(service: ApiService, call: Call) -> Response:
    """GET /v1/people/imports/{id}?after=N&limit=N: what it changed, person by person, a page at a time."""
    query = _query(call, ChangesQuery)
    try:
        with hr_reading(service.database) as connection:
            found = import_changes(connection, call.path_values["id"], after=query.after, limit=query.limit)
    except UnknownImport:
        raise _unknown(call) from None
    return json_response(with_datetimes(found))


def undo(service: ApiService, call: Call) -> Response:
    """POST /v1/people/imports/{id}/undo: as `leaver people imports undo`."""
    try:
        with service.database.begin() as connection:
            done = undo_import(connection, call.path_values["id"], actor=_actor(call), at=service.clock())
    except UnknownImport:
        raise _unknown(call) from None
    except CannotUndo as error:
        raise ApiError(409, "cannot_undo", str(error)) from None
    return json_response(done)


def _imported(service: ApiService, call: Call, options: ImportOptions) -> ImportReport:
    try:
        with service.database.read() as connection:
            prepared = prepare_import(connection, call.body, at=service.clock(), options=options)
            if options.dry_run:
                return take_over(connection, prepared, actor=_actor(call))
    except UnreadableFile as error:
        if not options.dry_run:
            with service.database.begin() as connection:
                note_unreadable(connection, call.body, error.why, actor=_actor(call), at=service.clock())
        raise ApiError(400, "unreadable", str(error)) from None
    return _taken_over(service, prepared, call)


def _taken_over(service: ApiService, prepared: PreparedImport, call: Call) -> ImportReport:
    with service.database.begin() as connection:
        return take_over(connection, prepared, actor=_actor(call))


def _options(service: ApiService, call: Call) -> ImportOptions:
    query = _query(call, ImportQuery)
    settings = service.config.people
    zone = settings.time_zone if query.time_zone is None else zone_name(query.time_zone)
    if zone is None:
        raise ApiError(400, "bad_query", f"time_zone: {query.time_zone} is none of the IANA database")
    return ImportOptions(
        time_zone=zone,
        encoding=query.encoding,
        is_json=call.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON,
        mapping=_mapping(settings.mappings_folder, query.mapping),
        dry_run=query.dry_run,
        skip_bad_rows=query.skip_bad_rows,
        add_unmatched=query.add_unmatched,
        same_people=query.same_people,
        expect_leavers=query.expect_leavers,
        expect_withdrawn=query.expect_withdrawn,
        expect_accounts=query.expect_accounts,
        ignore_columns=query.ignore_columns,
    )


def _mapping(folder: str, name: str | None) -> ImportMapping:
    if name is None:
        return ImportMapping()
    path = Path(folder, f"{name}.toml")
    if not folder or not path.is_file():
        raise ApiError(400, "unknown_mapping", f"there is no mapping {name}: [people] mappings_folder")
    try:
        return read_mapping(path)
    except MappingUnreadable as error:
        raise ApiError(500, "bad_mapping", str(error)) from None


def _query(call: Call, kind: type[Query]) -> Query:
    try:
        return msgspec.convert(call.query, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, "bad_query", f"query: {error}") from None


def _actor(call: Call) -> str:
    return f"token:{call.caller}"


def _unknown(call: Call) -> ApiError:
    return ApiError(404, "unknown_import", f"there is no import {call.path_values['id']}")


HR_ENDPOINTS = [
    Endpoint("POST", "/v1/people/imports", Access.HR_IMPORT, bring, _ROWS, IMPORT_BYTES_MAX),
    Endpoint("GET", "/v1/people/imports", Access.HR_IMPORT, list_of_imports),
    Endpoint("GET", "/v1/people/imports/{id:int}", Access.HR_IMPORT, one_import),
    Endpoint("POST", "/v1/people/imports/{id:int}/undo", Access.HR_IMPORT, undo),
]
