"""A workbook is read like the CSV that it could be saved as, within bounds; bombs are refused."""

from __future__ import annotations

import io
import re
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
        (bytes(range(256)) * 8 + bytes(4), "neither text nor an XLSX workbook"),
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


def _with_cell(data: bytes, cell: str, written: str) -> bytes:
    """The workbook with another XML of one cell."""
    sheet = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        content = packed.read(sheet).decode()
    replaced, number = re.subn(rf'<c r="{cell}".*?</c>', written, content)
    assert number == 1
    return _with_member(data, sheet, replaced.encode())


def test_a_formula_that_nobody_worked_out_is_a_fault_of_its_row_and_no_empty_cell() -> None:
    data = workbook(
        ["id", "last working day", "note"],
        [1, "=DATE(2027,1,9)", None],
        [2, date(2026, 11, 28), "=A2"],
        ["=1+2", None, None],
    )
    table = read_table(data)
    assert [(each.line, each.column, each.value) for each in table.problems] == [
        (2, "last_working_day", "=DATE(2027,1,9)"),
        (4, "id", "=1+2"),
    ]
    assert "never worked out: open the file in Excel" in table.problems[0].message
    # What is not read may be what it likes.
    assert [row.cells["id"] for row in table.rows] == ["2"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('<c r="B2"><f>DATE(2027,1,9)</f><v>46396</v></c>', "46396"),
        ('<c r="B2" t="str"><f>IF(1,"","x")</f><v></v></c>', ""),
        ('<c r="B2" t="str"><f>"a"</f><v>2027-01-09</v></c>', "2027-01-09"),
    ],
)
def test_what_a_formula_gave_counts_and_so_does_an_empty_text(written: str, value: str) -> None:
    table = read_table(_with_cell(workbook(["id", "last working day"], [1, "x"]), "B2", written))
    assert (table.problems, table.rows[0].cells["last_working_day"]) == ((), value)


def test_a_header_that_nobody_worked_out_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="the header is a formula, and was never worked out"):
        read_table(workbook(["id", '="last"&" working day"'], [1, "x"]))
