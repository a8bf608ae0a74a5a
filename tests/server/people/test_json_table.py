"""HR's rows as JSON are read as those of a file, and what is no row is named by its place."""

from __future__ import annotations

import json

import pytest

from server.people.csv_encoding import UnreadableFile
from server.people.hr_columns import ROWS_MAX
from server.people.json_table import read_json
from server.store.database import Database
from tests.server.people.hr_files import counts, people_of, take, why

pytestmark = pytest.mark.databases("sqlite")


def test_objects_are_rows_and_keys_are_columns_whatever_they_are_called() -> None:
    rows = [
        {
            "工号": 1001,
            "姓名": "王小明",
            "邮箱": ["wang@corp.example", "wxm@corp.example"],
            "login": "wang",
            "x": {},
        },
        {"工号": "1002", "最后工作日": "2026-11-28", "姓名": None},
    ]
    for data in (rows, {"rows": rows}):
        table = read_json(json.dumps(data).encode())
        assert table.format == "JSON"
        assert table.ignored_columns == ("x",)
        assert [(row.line, row.cells) for row in table.rows] == [
            (1, {"id": "1001", "name": "王小明", "accounts": "wang@corp.example wxm@corp.example wang"}),
            (2, {"id": "1002", "name": "", "last_working_day": "2026-11-28"}),
        ]
        assert table.problems == ()


def test_a_row_with_a_value_that_is_no_cell_is_bad_and_the_others_are_read() -> None:
    bad = [{"id": 1.5}, {"id": True}, {"id": {}}, {"id": [1]}, {"id": "x" * 70_000}]
    table = read_json(json.dumps([*bad, {"id": "ok"}]).encode())
    assert [problem.line for problem in table.problems] == [1, 2, 3, 4, 5]
    assert "text nor a whole number" in table.problems[0].message
    assert "over 65536 characters" in table.problems[4].message
    assert [row.cells["id"] for row in table.rows] == ["ok"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no list of objects"),
        (b"[1]", "no list of objects"),
        (b'{"people": []}', "no list of objects"),
        (b"[" * 100_000, "no list of objects"),
        (b'[{"id": "\xff"}]', "no list of objects"),
        (b"[]", "no rows"),
        (b"[{}]", "no rows"),
        (b'[{"shoe size": "43"}]', "no column for the person's id"),
        (b'[{"id": "1", "Employee ID": "2"}]', "both mean id"),
        (json.dumps([{f"k{n}": ""} for n in range(600)]).encode(), "different keys"),
        (b"[" + b"{}," * ROWS_MAX + b"{}]", "more than 200000 rows"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(data: bytes, what: str) -> None:
    with pytest.raises(UnreadableFile, match=what):
        read_json(data)


def test_a_key_that_an_object_lacks_leaves_what_is_stored(database: Database) -> None:
    first = [{"id": "1", "department": "Sales", "account": "ada"}, {"id": "2", "department": "IT"}]
    assert counts(take(database, json.dumps(first), is_json=True)) == (2, 0, 0, 0)
    second = [{"id": "1", "job title": "Lead"}, {"id": "2", "department": None}, {"department": "Lost"}]
    report = take(database, json.dumps(second), is_json=True)
    assert why(report) == [(3, "id", "the id is missing")]
    found = people_of(database)
    assert (found["1"].department, found["1"].job_role, found["2"].department) == ("Sales", "Lead", None)
