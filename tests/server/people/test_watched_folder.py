"""HR's nightly exports: each is taken once, moved aside with its report, and never deleted."""

from __future__ import annotations

import ctypes
import io
import json
import logging
import os
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.people.directory import load_directory
from server.people.hr_import import ImportOptions
from server.people.undo import FOLDER_ACTOR as ACTOR
from server.people.undo import folder_state, list_imports
from server.people.watched_folder import WatchedFolder
from server.store.database import Database

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hr"
    made.mkdir(mode=0o750)
    return made


def _watched(database: Database, folder: Path, mapping: Path | None = None) -> WatchedFolder:
    options = ImportOptions(skip_bad_rows=True)
    return WatchedFolder(database, folder, clock=lambda: NOW, options=options, mapping=mapping)


def _ids(database: Database) -> set[str]:
    with database.read() as connection:
        return {person.id for person in load_directory(connection).people()}


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_whole_file_is_taken_and_moved_aside_with_its_report(database: Database, folder: Path) -> None:
    (folder / "staff.csv").write_text("id,last working day\n1,2026-11-30\n2,soon\n")
    watched = _watched(database, folder)
    assert watched.look() == 0, "it may still be growing"
    assert watched.look() == 1
    assert _ids(database) == {"1"}
    report_path = folder / "done" / "20261122T000000-staff.csv.report.json"
    assert _files(folder) == {"done/20261122T000000-staff.csv", str(report_path.relative_to(folder))}
    report = json.loads(report_path.read_text())
    assert (report["added"], report["refused"], report["problems"][0]["line"]) == (1, 1, 3)
    assert stat.S_IMODE(report_path.stat().st_mode) == 0o600
    with database.read() as connection:
        assert [each.imported_by for each in list_imports(connection)] == [ACTOR]
    assert watched.look() == 0


def test_a_file_that_grows_between_two_looks_waits(database: Database, folder: Path) -> None:
    file = folder / "staff.csv"
    file.write_text("id\n1\n")
    watched = _watched(database, folder)
    watched.look()
    file.write_text("id\n1\n2\n")
    assert watched.look() == 0
    assert watched.look() == 1
    assert _ids(database) == {"1", "2"}


def test_what_would_mark_half_the_company_or_cannot_be_read_goes_to_refused(
    database: Database, folder: Path
) -> None:
    rows = "".join(f"{number},2026-11-30\n" for number in range(20))
    (folder / "a.csv").write_text("id,last working day\n" + rows)
    (folder / "b.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    watched = _watched(database, folder)
    watched.look()
    assert watched.look() == 2
    assert _ids(database) == set()
    with database.read() as connection:
        assert [each.stopped is not None for each in list_imports(connection)] == [True, True]
        state = folder_state(connection)
    assert state is not None
    assert (state.import_id, "not a workbook" in (state.stopped or "")) == (2, True)
    reports = {path.name: json.loads(path.read_text()) for path in (folder / "refused").glob("*.json")}
    assert "mark 20 of 20 people" in reports["20261122T000000-a.csv.report.json"]["stopped"]
    assert "not a workbook" in reports["20261122T000000-b.xlsx.report.json"]["stopped"]
    assert {"refused/20261122T000000-a.csv", "refused/20261122T000000-b.xlsx"} <= _files(folder)


def test_two_files_of_one_name_in_a_second_do_not_overwrite_each_other(
    database: Database, folder: Path
) -> None:
    watched = _watched(database, folder)
    for number in (1, 2):
        (folder / "staff.csv").write_text(f"id\n{number}\n")
        watched.look()
        assert watched.look() == 1
    assert {"done/20261122T000000-staff.csv", "done/20261122T000000-2-staff.csv"} <= _files(folder)
    assert _ids(database) == {"1", "2"}


def test_links_pipes_hidden_and_other_files_are_left_alone(database: Database, folder: Path) -> None:
    secret = folder.parent / "secret.csv"
    secret.write_text("id\n9\n")
    (folder / "link.csv").symlink_to(secret)
    os.mkfifo(folder / "pipe.csv")
    (folder / ".staff.csv").write_text("id\n8\n")
    (folder / "staff.csv.part").write_text("id\n7\n")
    (folder / "dir.csv").mkdir()
    watched = _watched(database, folder)
    assert [watched.look(), watched.look()] == [0, 0]
    assert _ids(database) == set()


def test_a_folder_that_everybody_may_write_to_is_not_believed(database: Database, folder: Path) -> None:
    (folder / "staff.csv").write_text("id\n1\n")
    folder.chmod(0o777)
    watched = _watched(database, folder)
    with pytest.raises(OSError, match="everybody may write there"):
        watched.look()


def test_a_mapping_is_read_anew_and_a_wrong_one_leaves_the_file_where_it_is(
    database: Database, folder: Path
) -> None:
    mapping = folder.parent / "hr.toml"
    mapping.write_text("[colums]")
    (folder / "staff.csv").write_text("Pers\n1\n")
    watched = _watched(database, folder, mapping)
    watched.look()
    with pytest.raises(Exception, match="colums"):
        watched.look()
    assert _files(folder) == {"staff.csv"}
    mapping.write_text('[columns]\nid = "Pers"\n')
    assert watched.look() == 1
    assert _ids(database) == {"1"}


@contextmanager
def _bound_by_modes() -> Iterator[None]:
    """Takes from this thread what lets root read every file: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, held) == 0
    less = (ctypes.c_uint32 * 6)(*held)
    less[0] &= ~0b110
    assert libc.capset(header, less) == 0
    try:
        yield
    finally:
        assert libc.capset(header, held) == 0


def test_one_file_that_cannot_be_opened_holds_up_no_other_and_is_taken_once_it_can(
    database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed = folder / "Ada Lovelace.csv"
    closed.write_text("id\n1\n")
    closed.chmod(0)
    watched = _watched(database, folder)
    with _bound_by_modes(), caplog.at_level(logging.INFO):
        watched.look()
        watched.look()
        with database.read() as connection:
            state = folder_state(connection)
        assert state is not None
        assert state.stopped == "cannot be opened: Permission denied"
        (folder / "staff.csv").write_text("id\n2\n")
        for _ in range(3):
            watched.look()
        assert _ids(database) == {"2"}
        with database.read() as connection:
            assert len(list_imports(connection)) == 2, "once, not at every look"
        assert all("Ada" not in str(vars(record)) for record in caplog.records)
        closed.chmod(0o600)
        watched.look()
    assert _ids(database) == {"1", "2"}


def test_a_workbook_whose_packing_is_broken_is_moved_aside_and_the_loop_goes_on(
    database: Database, folder: Path
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", b"<workbook/>" * 40)
    data = bytearray(out.getvalue())
    data[45:60] = b"\xff" * 15
    (folder / "a.xlsx").write_bytes(data)
    (folder / "b.csv").write_text("id\n1\n")
    stop = threading.Event()
    looks = 0

    class Watched(WatchedFolder):
        def look(self) -> int:
            nonlocal looks
            looks += 1
            if looks == 3:
                stop.set()
            return super().look()

    options = ImportOptions()
    Watched(database, folder, clock=lambda: NOW, options=options, look_seconds=0.01).run(stop)
    assert _ids(database) == {"1"}
    assert "refused/20261122T000000-a.xlsx" in _files(folder)


def test_of_a_file_without_a_header_the_report_quotes_it_and_the_record_does_not(
    database: Database, folder: Path
) -> None:
    (folder / "a.csv").write_text("E1,Ada Lovelace,ada\nE2,Bob,bob\n")
    watched = _watched(database, folder)
    watched.look()
    watched.look()
    (report,) = (folder / "refused").glob("*.json")
    assert "Ada Lovelace" in report.read_text()
    with database.read() as connection:
        assert "Ada" not in str(list_imports(connection))


class _Turning(WatchedFolder):
    """Runs its loop for as many looks as one asks for."""

    def look(self) -> int:
        self.left -= 1
        if not self.left:
            self.stop.set()
        return super().look()

    def turn(self, looks: int = 2) -> str | None:
        self.stop, self.left = threading.Event(), looks
        self.run(self.stop)
        return self.fault


def _turning(database: Database, folder: Path, mapping: Path | None = None) -> _Turning:
    options = ImportOptions(skip_bad_rows=True)
    return _Turning(database, folder, clock=lambda: NOW, options=options, mapping=mapping, look_seconds=0.001)


def test_what_is_wrong_with_the_folder_as_a_whole_is_said_until_it_works_again(
    database: Database, folder: Path
) -> None:
    away = folder.parent / "elsewhere"
    watched = _turning(database, folder)
    assert watched.turn() is None
    folder.rename(away)
    assert watched.turn() == "No such file or directory"
    away.rename(folder)
    assert watched.turn() is None
    folder.chmod(0)
    with _bound_by_modes():
        assert watched.turn() == "Permission denied"
        folder.chmod(0o777)
        assert "everybody may write there" in str(watched.turn())
        folder.chmod(0o700)
        assert watched.turn() is None


def test_a_mapping_that_cannot_be_read_is_said_while_a_file_waits_for_it(
    database: Database, folder: Path
) -> None:
    mapping = folder.parent / "hr.toml"
    watched = _turning(database, folder, mapping)
    (folder / "staff.csv").write_text("id\n1\n")
    assert "hr.toml: No such file" in str(watched.turn())
    mapping.write_text("")
    assert watched.turn() is None
    assert _ids(database) == {"1"}


def test_a_folder_out_of_which_nothing_can_be_moved_is_said_and_emptied_once_it_can(
    database: Database, folder: Path
) -> None:
    watched = _turning(database, folder)
    (folder / "staff.csv").write_text("id\n1\n")
    folder.chmod(0o500)
    with _bound_by_modes():
        assert watched.turn(5) == "files that were worked on cannot be moved aside, 1 so far"
        with database.read() as connection:
            assert len(list_imports(connection)) == 1, "once, not at every look"
        folder.chmod(0o700)
        assert watched.turn() is None
    assert _ids(database) == {"1"}
    assert "done/20261122T000000-staff.csv" in _files(folder)
