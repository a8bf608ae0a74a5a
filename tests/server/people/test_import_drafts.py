"""Files between the look at what they would change and the word that it is meant."""

from __future__ import annotations

import pytest

from server.people.csv_encoding import UnreadableFile
from server.people.facts import LeaverFlag
from server.people.file_header import read_header, remember_mapping, remembered_mapping
from server.people.flags import flag_person
from server.people.hr_import import ImportOptions, import_people
from server.people.import_drafts import (
    DRAFT_BYTES_MAX,
    EACH_MAX,
    KEPT_MS,
    ChangedMeanwhile,
    Draft,
    ImportDrafts,
    UnknownDraft,
    apply_draft,
)
from server.people.import_mapping import ImportMapping
from server.store.database import Database
from tests.server.conftest import NOW
from tests.server.people.directories import day

STAFF = b"id,name,accounts,last working day\nE1,Ann,ann,\nE2,Bo,bo,2026-12-01\n"


def _brought(drafts: ImportDrafts, database: Database, user: str = "hr", data: bytes = STAFF) -> Draft:
    return drafts.bring(database, user, "staff.csv", data, now=NOW, time_zone="UTC")


def test_what_was_looked_at_is_what_is_taken_over(database: Database) -> None:
    drafts = ImportDrafts()
    draft = _brought(drafts, database)
    look = drafts.look(database, draft, now=NOW)
    assert look.report is not None
    assert (look.report.added, look.report.applied, look.report.new_leavers) == (2, False, 1)
    assert drafts.look(database, draft, now=NOW + 5) is look
    done = apply_draft(database, draft, look.version, actor="user:hr", now=NOW)
    assert (done.applied, done.import_id, done.added) == (True, 1, 2)


def test_nothing_is_taken_over_that_nobody_saw(database: Database) -> None:
    drafts = ImportDrafts()
    with database.begin() as connection:
        import_people(connection, STAFF, actor="t", at=NOW, options=ImportOptions())
    draft = _brought(drafts, database, data=b"id,last working day\nE1,2026-12-05\n")
    look = drafts.look(database, draft, now=NOW)
    with database.begin() as connection:
        flag_person(connection, "E1", LeaverFlag(day("2026-11-30")), actor="t", at=NOW, reason=None)
    with pytest.raises(ChangedMeanwhile):
        apply_draft(database, draft, look.version, actor="user:hr", now=NOW)
    again = drafts.look(database, draft, now=NOW)
    assert again.version > look.version
    assert apply_draft(database, draft, again.version, actor="user:hr", now=NOW).applied


def test_a_draft_is_of_who_brought_it_and_for_half_an_hour(database: Database) -> None:
    drafts = ImportDrafts()
    draft = _brought(drafts, database)
    with pytest.raises(UnknownDraft):
        drafts.get("other", draft.key, now=NOW)
    assert drafts.get("hr", draft.key, now=NOW + KEPT_MS) == draft
    with pytest.raises(UnknownDraft):
        drafts.get("hr", draft.key, now=NOW + KEPT_MS + 1)


@pytest.mark.databases("sqlite")
def test_they_are_bounded(database: Database) -> None:
    drafts = ImportDrafts()
    keys = [_brought(drafts, database).key for _ in range(EACH_MAX + 1)]
    with pytest.raises(UnknownDraft):
        drafts.get("hr", keys[0], now=NOW)
    assert drafts.get("hr", keys[-1], now=NOW).key == keys[-1]
    with pytest.raises(UnreadableFile):
        _brought(drafts, database, data=b"x" * (DRAFT_BYTES_MAX + 1))
    large = b"id,name\n" + b"E1,a\n" * 6_000_000
    for user in "abcde":
        _brought(drafts, database, user, large)
    assert sum(len(draft.data) for draft in drafts._drafts.values()) <= 128 << 20


@pytest.mark.databases("sqlite")
def test_what_cannot_be_read_says_why_and_is_read_with_a_mapping(database: Database) -> None:
    drafts = ImportDrafts()
    draft = _brought(drafts, database, data=b"Pers.-Nr.,Name\n7,Ann\n")
    assert draft.header == ("Pers.-Nr.", "Name")
    look = drafts.look(database, draft, now=NOW)
    assert look.report is None
    assert look.problem is not None
    mapped = ImportOptions(mapping=ImportMapping(columns={"id": "Pers.-Nr."}))
    changed = drafts.change(draft, mapped)
    assert drafts.get("hr", draft.key, now=NOW) == changed
    report = drafts.look(database, changed, now=NOW).report
    assert report is not None
    assert report.added == 1


def test_a_mapping_is_remembered_by_the_files_header(database: Database) -> None:
    header = read_header(b"Pers.-Nr.;Name\n7;Ann\n")
    mapping = ImportMapping(columns={"id": "Pers.-Nr."})
    with database.begin() as connection:
        assert remembered_mapping(connection, header) is None
        remember_mapping(connection, header, mapping, actor="user:hr", at=NOW)
        assert remembered_mapping(connection, ["pers nr", "NAME"]) == mapping
        other = ImportMapping(columns={"id": "Name"})
        remember_mapping(connection, header, other, actor="user:hr", at=NOW + 1)
        assert remembered_mapping(connection, header) == other
    draft = _brought(ImportDrafts(), database, data=b"Pers.-Nr.;Name\n8;Bo\n")
    assert (draft.remembered, draft.options.mapping) == (True, other)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("data", "header"),
    [
        ("工号,姓名\n7,张三\n".encode("gbk"), ("工号", "姓名")),
        ("\ufeffid;name\n1;x\n".encode(), ("id", "name")),
        (b'[{"id": "1", "x": "2"}]', ("id", "x")),
        (b"Pers.-Nr.;Wer;Letzter Tag\nN1;Nia;24.12.2026\n", ("Pers.-Nr.", "Wer", "Letzter Tag")),
    ],
)
def test_headers_are_read_from_every_kind_of_file(data: bytes, header: tuple[str, ...]) -> None:
    assert read_header(data, is_json=data.startswith(b"[")) == header
