"""A workbook is read like the CSV that it could be saved as, within bounds; bombs are refused."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time
from typing import Any

import openpyxl
import pytest

from server.people import xlsx_table
from server.people.csv_encoding import UnreadableFile
from server.people.hr_file import read_table
from server.people.import_mapping import ImportMapping
from tests.server.people.hr_files import workbook


def _with_member(data: bytes, name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            if member.filename != name:
                new.writestr(member, old.read(member))
        new.writestr(name, content)
    return out.getvalue()


def test_dates_times_and_numbers_are_what_the_cells_show() -> None:
    table = read_table(
        workbook(
            ["工号", "姓名", "最后工作日", "最后工作时间", "优先级", "备注"],
            [1001, "王小明", date(2026, 11, 28), time(17, 30), 2.0, "x"],
            [None, None, None, None, None, None],
            ["0012", "李雷", datetime(2026, 12, 1), None, None, True],  # noqa: DTZ001 - workbooks know no zones
            [1234567890123456789, "x", "2026-12-01 08:00", "9:15", 1.5, None],
        )
    )
    assert (table.format, table.ignored_columns) == ("XLSX", ("备注",))
    assert [row.line for row in table.rows] == [2, 4, 5]
    first, second, third = (row.cells for row in table.rows)
    assert first == {
        "id": "1001",
        "name": "王小明",
        "last_working_day": "2026-11-28",
        "last_hour": "17:30",
        "priority": "2",
    }
    assert (second["id"], second["last_working_day"], second["last_hour"]) == ("0012", "2026-12-01", "")
    # Rounded by the spreadsheet: refused as such later.
    assert (third["id"], third["priority"]) == ("1.23456789012346E+18", "1.5")


def test_a_named_sheet_and_lines_before_the_header() -> None:
    data = workbook(["Report of 2026-11-22"], [], ["id", "Team"], ["1", "Sales"], sheet="Staff")
    mapping = ImportMapping(sheet="Staff", skip_lines=1, columns={"department": "Team"})
    table = read_table(data, mapping=mapping)
    assert [row.cells for row in table.rows] == [{"id": "1", "department": "Sales"}]
    with pytest.raises(UnreadableFile, match="there is no sheet 'staff' in the workbook: 'Sheet', 'Staff'"):
        read_table(data, mapping=ImportMapping(sheet="staff"))


def test_a_cell_far_away_costs_nothing() -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet["A1"], sheet["A2"], sheet["XFD2"], sheet["A900000"] = "id", "1", "far", "2"
    out = io.BytesIO()
    book.save(out)
    table = read_table(out.getvalue())
    assert [row.cells["id"] for row in table.rows] == ["1"]


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _with_member(workbook(["id"], [1]), "xl/sharedStrings.xml", b"<sst>" + b" " * 3_000_000)
    assert len(data) < 20_000
    monkeypatch.setattr(xlsx_table, "UNPACKED_BYTES_MAX", 2_000_000)
    with pytest.raises(UnreadableFile, match="unpacks to more than 2 MB"):
        read_table(data)


def test_a_lie_about_the_size_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(_with_member(workbook(["id"], [1]), "xl/sharedStrings.xml", b"<sst>" + b" " * 3_000_000))
    for at in range(len(data) - 4):
        if data[at : at + 4] == (3_000_005).to_bytes(4, "little"):
            data[at : at + 4] = (100).to_bytes(4, "little")
    monkeypatch.setattr(xlsx_table, "UNPACKED_BYTES_MAX", 2_000_000)
    with pytest.raises(UnreadableFile):
        read_table(bytes(data))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "xl/workbook.xml",
            b'<!DOCTYPE x [<!ENTITY a "aaaa">]><workbook>&a;</workbook>',
            "declares entities",
        ),
        ("xl/workbook.xml", b"<workbook", "not a workbook"),
        ("[Content_Types].xml", b"", "not a workbook"),
    ],
)
def test_xml_that_no_spreadsheet_program_writes_is_refused(name: str, content: bytes, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        read_table(_with_member(workbook(["id"], [1]), name, content))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_part_whose_packing_is_broken_is_said_to_be(method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        packed.writestr("xl/workbook.xml", bytes(range(256)) * 40)
    data = bytearray(out.getvalue())
    start = 30 + len("xl/workbook.xml")
    data[start : start + 60] = b"\xff" * 60
    with pytest.raises(UnreadableFile, match="not a workbook that can be read"):
        read_table(bytes(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 and then nothing", "not a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as .xlsx or CSV"),
        (workbook(), "the sheet is empty"),
        (workbook(["name", "team"], ["x", "y"]), "no column for the person's id"),
    ],
)
def test_what_is_no_roster_is_said_to_be_none(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        read_table(data)


def test_more_rows_than_a_company_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_table, "ROWS_MAX", 3)
    with pytest.raises(UnreadableFile, match="more than 3 rows"):
        read_table(workbook(["id"], *([number] for number in range(5))))
