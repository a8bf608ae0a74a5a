"""Rows from any CSV that HR may send: encodings, delimiters, quotes, broken rows."""

from __future__ import annotations

import codecs
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.people.csv_encoding import UnreadableFile
from server.people.csv_table import FILE_BYTES_MAX, read_csv
from server.people.hr_columns import ROWS_MAX, Table

CHINESE = (
    "工号,姓名,账号,部门,上级,时区,离职申请日,最后工作日\n1001,王小明,wangxm,销售部,1000,,2026年11月1日,\n"
)


def _ids(table: Table) -> list[str]:
    return [row.cells["id"] for row in table.rows]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (CHINESE.encode(), "UTF-8"),
        (codecs.BOM_UTF8 + CHINESE.encode(), "UTF-8 with BOM"),
        (CHINESE.encode("gbk"), "GBK/GB18030"),
        (CHINESE.replace("王小明", "㐀𠀀王小明").encode("gb18030"), "GBK/GB18030"),
        (CHINESE.encode("utf-16"), "UTF-16"),
        (CHINESE.replace("\n", "\r\n").encode("gbk"), "GBK/GB18030"),
        (CHINESE.replace("\n", "\r").encode(), "UTF-8"),
    ],
)
def test_encoding_is_found_out_and_said(data: bytes, said: str) -> None:
    table = read_csv(data)
    assert table.format == said
    assert table.columns == (
        "id", "name", "accounts", "department", "manager", "time_zone", "notice_date", "last_working_day",
    )  # fmt: skip
    assert table.rows[0].cells["name"].endswith("王小明")
    assert table.rows[0].cells["department"] == "销售部"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp1251", "shift-jis", "big5"])
def test_other_encoding_is_refused_rather_than_read_as_rare_chinese(encoding: str) -> None:
    names = {
        "cp1251": "Ирина Малыгина",
        "shift-jis": "ﾔﾏﾀﾞﾀﾛｳ",
        "big5": "陳大文",
    }.get(encoding, "Jürgen Müller")
    data = f"id,name\n7,{names}\n".encode(encoding)
    with pytest.raises(UnreadableFile, match=r"line 2 is not UTF-8.*say which encoding"):
        read_csv(data)
    assert read_csv(data, encoding=encoding).rows[0].cells["name"] == names


@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (b"", None, "the file is empty"),
        (b"\n  \n", None, "the file is empty"),
        (b"name,department\nAlice,sales\n", None, "no column for the person's id"),
        (b"id,ID\n1,2\n", None, "both mean id: 'id' and 'ID'"),
        ("id,name\n1,Ä\n".encode("utf-16-le"), None, "NUL|say which encoding"),
        (b"id,name\n1,a\0b\n", None, "line 2 holds a NUL"),
        (b"id\n1\n", "klingon", "'klingon' is unknown"),
        (b"id\n1\n", "undefined", "'undefined' is unknown"),
        (b"id\n1\n", "a\0b", "is unknown"),
        (b"id\n1\n", "base64", "is unknown"),
        ("id,name\n1,Müller\n".encode("latin-1"), "utf-8", "line 2 is not utf-8"),
        (b"x" * (FILE_BYTES_MAX + 1), None, "more than 67108864"),
        (b"id" + b"x" * 70_000 + b"\n1\n", None, "line 1, the header, is over"),
        (b"id\n" + b"1\n" * (ROWS_MAX + 1), None, "more than 200000 rows"),
    ],
)
def test_unreadable_file_says_where_and_why(data: bytes, encoding: str | None, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        read_csv(data, encoding=encoding)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiter_is_found_by_the_header_even_where_cells_hold_others(delimiter: str) -> None:
    text = delimiter.join(["Employee ID", "Full Name", "Last Working Day", '"Room; floor, wing"']) + "\n"
    text += delimiter.join(["7", '"Wang, Alice; x"', "2026-11-28", '"a,b;c\td"']) + "\n"
    table = read_csv(text.encode())
    assert table.delimiter == delimiter
    assert table.ignored_columns[0].startswith("Room")
    assert table.rows[0].cells["name"] == "Wang, Alice; x"


def test_spreadsheets_separator_line_and_blank_lines_are_skipped_but_counted() -> None:
    table = read_csv(b"sep=;\n\nid;name\n\n1;a\n;;\n2;b\n")
    assert [(row.line, row.cells["id"]) for row in table.rows] == [(5, "1"), (7, "2")]


def test_open_quote_spoils_one_row_and_not_the_rest() -> None:
    table = read_csv(b'id,name\n1,a\n2,"never closed\n3,c\n4,"two\nlines"\n5,say "hi"\n')
    assert _ids(table) == ["1", "3", "4", "5"]
    assert table.rows[2].cells["name"] == "two\nlines"
    assert table.rows[3].cells["name"] == 'say "hi"'
    assert [(p.line, p.message) for p in table.problems] == [(3, "a quote is opened and not closed")]


def test_quote_inside_a_quoted_cell_spoils_one_row() -> None:
    table = read_csv(b'id,name\n1,"a"b\n2,"say ""hi"" "\n3,"x" \n')
    assert [(row.cells["id"], row.cells["name"]) for row in table.rows] == [("2", 'say "hi"'), ("3", "x")]
    assert [(p.line, p.message) for p in table.problems] == [(2, "a quote is inside a quoted cell")]


def test_row_that_was_cut_off_or_has_too_many_cells_is_refused() -> None:
    table = read_csv(b"id,name,last day\n1,a,2026-11-28\n2,b\n3,c,,\n4,d,,,extra\n")
    assert _ids(table) == ["1", "3"]
    assert [(p.line, p.message) for p in table.problems] == [
        (3, "2 cells, but the header names 3 columns"),
        (5, "5 cells, but the header names 3 columns"),
    ]


def test_huge_row_is_refused_and_the_next_one_read() -> None:
    table = read_csv(b"id,name\n1," + b"x" * 70_000 + b"\n2,b\n")
    assert _ids(table) == ["2"]
    assert table.problems[0].line == 2


_cell = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12).map(str.strip)


@given(st.lists(st.tuples(_cell.filter(bool), _cell), max_size=8), st.sampled_from([",", ";", "\t"]))
def test_what_a_csv_writer_wrote_reads_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["id", "name"])
    writer.writerows(rows)
    table = read_csv(out.getvalue().encode(), encoding="utf-8")
    assert table.problems == ()
    assert [(row.cells["id"], row.cells["name"]) for row in table.rows] == rows


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_refused(data: bytes) -> None:
    try:
        table = read_csv(b"id,name\n" + data)
    except UnreadableFile as error:
        assert str(error)
    else:
        assert all(row.line >= 2 for row in table.rows)
