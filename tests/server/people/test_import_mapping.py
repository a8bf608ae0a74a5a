"""A mapping file says what an HR system calls things; Purview's headers are known without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.people.csv_encoding import UnreadableFile
from server.people.dates import read_day
from server.people.hr_columns import Problem
from server.people.hr_file import read_table
from server.people.import_mapping import ImportMapping, MappingUnreadable, read_mapping
from server.people.person_rows import PersonRow, person_row

MAPPING = """
skip_lines = 1
encoding = "cp1252"
delimiter = ";"
date_order = "day-first"
[columns]
id = "Pers.-Nr."
accounts = ["Windows", "Notes-Mail"]
last_working_day = "Austritt"
leaving_type = "Grund"
[values.leaving_type]
"Kündigung AN" = "resigned"
"""


def _rows(data: bytes, mapping: ImportMapping | None = None) -> list[PersonRow | Problem]:
    return [person_row(row, mapping) for row in read_table(data, mapping=mapping).rows]


def test_columns_values_dates_and_lines_before_the_header_are_as_the_mapping_says(tmp_path: Path) -> None:
    file = tmp_path / "hr.toml"
    file.write_text(MAPPING, encoding="utf-8")
    text = (
        "Export\nPers.-Nr.;Windows;Notes-Mail;Austritt;Grund;id\n"
        "7;mülli;m@x.example;03/04/2026;Kündigung AN;9\n"
    )
    (row,) = _rows(text.encode("cp1252"), read_mapping(file))
    assert isinstance(row, PersonRow)
    assert (row.id, row.accounts) == ("7", ("m@x.example", "mülli"))
    assert (row.last_day, row.leaving_type) == (read_day("2026-04-03"), "resigned")


def test_a_column_that_the_mapping_names_and_the_file_lacks_is_an_error() -> None:
    mapping = ImportMapping(columns={"id": "Pers.-Nr.", "department": "Abteilung"})
    with pytest.raises(UnreadableFile, match="no column that the mapping names for: department"):
        read_table(b"Pers.-Nr.,department\n1,x\n", mapping=mapping)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[colums]\n", "'colums' is not known; did you mean columns?"),
        ("skiplines = 2", "did you mean skip_lines?"),
        (
            '[columns]\n"last workin day" = "x"',
            "columns: 'last workin day' is not known; did you mean last_working_day?",
        ),
        ("skip_lines = 200", "skip_lines: Expected int <= 100"),
        ('[values.leaving_type]\nx = "gone"', "values.leaving_type: 'gone' is none of resigned, "),
        ('[values.kind]\nx = "temporal"', "values.kind: 'temporal' is none of employee, partner"),
        ('[columns]\nsalary = "Gehalt"', "salary"),
        ("skip_lines = -1", "skip_lines"),
        ('date_order = "ymd"', "date_order"),
        ("x = 1 1\n", "line 1"),
    ],
)
def test_a_wrong_mapping_names_its_file_and_the_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "hr.toml"
    file.write_text(text)
    with pytest.raises(MappingUnreadable) as refused:
        read_mapping(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert words in str(refused.value)


def test_purviews_hr_connector_is_understood() -> None:
    text = (
        b"UserPrincipalName,ResignationDate,LastWorkingDate\n"
        b"PilarP@x.example,2026-11-23T15:18:02Z,2026-11-29T17:18:02Z\n"
    )
    (row,) = _rows(text)
    assert isinstance(row, PersonRow)
    assert (row.id, row.accounts) == ("", ("pilarp@x.example",))
    assert (row.notice_day, row.last_day) == (read_day("2026-11-23"), read_day("2026-11-29"))
    (in_shanghai,) = [
        person_row(each, zone_of=lambda _id, _accounts: "Asia/Shanghai") for each in read_table(text).rows
    ]
    assert isinstance(in_shanghai, PersonRow)
    assert (in_shanghai.notice_day, in_shanghai.last_day) == (read_day("2026-11-23"), read_day("2026-11-30"))


def test_chinese_headers_are_understood_and_the_last_working_day_counts_before_the_end_of_the_contract() -> (
    None
):
    text = (
        "工号,姓名,账号,邮箱,部门,岗位,上级,入职日期,离职日期,最后工作日,最后工作时间,离职类型,用工类型\n"
        "1001,王小明,wangxm,wang@x.cn,销售部,客户经理,1000,2020年3月1日,2026-11-30,2026年11月27日,下午5点30分,主动离职,外包\n"
        "1002,李雷,lilei,,销售部,,1000,,2026-11-30,,,,正式\n"
    )
    first, second = _rows(text.encode("gbk"))
    assert isinstance(first, PersonRow)
    assert isinstance(second, PersonRow)
    assert (first.job_role, first.manager, first.kind) == ("客户经理", "1000", "partner")
    assert (first.accounts, first.start_day) == (("wang@x.cn", "wangxm"), read_day("2020-03-01"))
    assert (first.last_day, first.last_minute) == (read_day("2026-11-27"), 17 * 60 + 30)
    assert (first.leaving_type, second.kind) == ("resigned", "employee")
    assert (second.last_day, second.last_minute) == (read_day("2026-11-30"), None)


@pytest.mark.parametrize(
    ("header", "cell", "column", "words"),
    [
        ("last hour", "25:00", "last_hour", "there is no time 25:00"),
        ("last hour", "soon", "last_hour", "write it as 17:30"),
        ("priority", "10", "priority", "0 to 9"),
        ("leaving type", "eloped", "leaving_type", "a mapping can translate it"),
        ("start date", "2026-12-01", "last_working_day", "is before the start date 2026-12-01"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused_by_column_and_value(
    header: str, cell: str, column: str, words: str
) -> None:
    (row,) = _rows(f"id,last working day,{header}\n1,2026-11-30,{cell}\n".encode())
    assert isinstance(row, Problem)
    assert row.column == column
    assert words in row.message


def test_a_last_hour_without_a_last_day_is_refused() -> None:
    (row,) = _rows(b"id,last working day,last hour\n1,,17:30\n")
    assert isinstance(row, Problem)
    assert "no last working day" in row.message


def test_columns_are_called_in_a_mapping_as_the_documentation_lists_them(tmp_path: Path) -> None:
    file = tmp_path / "hr.toml"
    file.write_text('[columns]\n"last working day" = "Austritt"\n[values."leaving type"]\nx = "resigned"\n')
    found = read_mapping(file)
    assert (found.columns, found.values) == (
        {"last_working_day": "Austritt"},
        {"leaving_type": {"x": "resigned"}},
    )
