"""What the columns of HR files are called, in English, Chinese and in Purview's HR connector; and what
reading a file gives: rows of named cells.

Header names compare without regard to case, spaces and punctuation. `accounts` and `devices` may stand in
several columns (account, UserPrincipalName, e-mail), which add up; of any other, two are an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from server.people.csv_encoding import UnreadableFile

Column = Literal[
    "id",
    "name",
    "accounts",
    "department",
    "job_role",
    "manager",
    "time_zone",
    "priority",
    "devices",
    "since",
    "employment",
    "kind",
    "start_date",
    "notice_date",
    "last_working_day",
    "end_date",
    "last_hour",
    "leaving_type",
]
COLUMNS: Final[tuple[Column, ...]] = get_args(Column)
ADD_UP: Final = frozenset({"accounts", "devices"})
ROWS_MAX: Final = 200_000
ROW_CHARACTERS_MAX: Final = 65_536
COLUMNS_MAX: Final = 512

_ALIASES: Final[dict[Column, str]] = {
    "id": "id personid employeeid employee employeenumber employeeno empid staffid staffnumber workerid "
    "personnelnumber pernr 工号 工號 员工号 员工编号 員工編號 人员编号 职工号 编号",
    "name": "name fullname displayname employeename 姓名 名字 员工姓名 員工姓名 名称",
    "accounts": "accounts account login logins loginname username usernames user useraccount samaccountname "
    "userprincipalname upn emailaddress email mail workemail "
    "账号 帐号 帳號 账户 帐户 用户名 登录名 登录账号 域账号 邮箱 电子邮箱 工作邮箱 企业邮箱",
    "department": "department dept team unit orgunit division 部门 部門 所属部门 所在部门",
    "job_role": "jobrole jobtitle title role position job 岗位 崗位 职位 職位 职务 岗位名称",
    "manager": "manager managerid supervisor supervisorid reportsto lead 上级 上級 直属上级 直接上级 "
    "上级工号 主管 主管工号 经理 汇报对象",
    "time_zone": "timezone tz 时区 時區",
    "priority": "priority 优先级 重点人员级别",
    "devices": "device devices computer computers host hosts hostname laptop assettag "
    "设备 电脑 计算机名 主机名 电脑名",
    "since": "since validfrom effectivedate 生效日期 生效日",
    "employment": "employment employmentid contract contractid contractnumber assignment 合同编号 聘用编号",
    "kind": "kind employmentkind employmenttype workertype employeetype persontype "
    "用工类型 员工类型 人员类型 用工性质",
    "start_date": "startdate hiredate hired joined joiningdate entrydate 入职日期 入职时间 到岗日期",
    "notice_date": "noticedate notice noticegiven resignationdate resigned resignation 离职申请日 離職申請日 "
    "离职申请日期 申请离职日期 提出离职日期 辞职日期",
    "last_working_day": "lastworkingday lastworkingdate lastworkdate lastday "
    "最后工作日 最後工作日 最后工作日期",
    "end_date": "enddate terminationdate leavingdate leavedate exitdate 离职日期 离职日 離職日期",
    "last_hour": "lasthour lasttime lastworkinghour 最后工作时间 最后时间 离职时间",
    "leaving_type": "leavingtype leavetype terminationtype terminationreason exittype reasonforleaving "
    "离职类型 离职原因 離職類型",
}
COLUMN_OF: Final[dict[str, Column]] = {
    alias: column for column, aliases in _ALIASES.items() for alias in aliases.split()
}


class Problem(msgspec.Struct, frozen=True):
    """Why a row was refused, or (a note) what was made of it. `line` counts from 1, the header included;
    0: about the file's columns."""

    line: int
    column: str
    value: str
    message: str


class Row(msgspec.Struct, frozen=True):
    """Cells by column, trimmed. A column that the file does not have is not in it."""

    line: int
    cells: dict[Column, str]


class Table(msgspec.Struct, frozen=True):
    """`format`: the encoding of text, "XLSX" of a workbook; `delimiter`: between cells, of a text."""

    format: str
    delimiter: str
    columns: tuple[Column, ...]
    ignored_columns: tuple[str, ...]
    """Header names that mean nothing here; their cells are not read."""
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    """Rows that could not be split into cells."""


class ColumnNames(msgspec.Struct, frozen=True):
    """Header names (`header_key`) that mean a column besides those that are known; `own`: columns that these
    names alone mean."""

    names: Mapping[str, Column] = {}
    own: frozenset[str] = frozenset()

    def column_of(self, name: str) -> Column | None:
        key = header_key(name)
        if key in self.names:
            return self.names[key]
        found = COLUMN_OF.get(key)
        return None if found in self.own else found

    def understood(self, header: Sequence[str]) -> set[Column]:
        return {column for column in map(self.column_of, header) if column is not None}

    def positions(self, header: Sequence[str]) -> dict[Column, tuple[int, ...]]:
        """Where each column stands. Raises UnreadableFile."""
        found: dict[Column, tuple[int, ...]] = {}
        for index, name in enumerate(header):
            column = self.column_of(name)
            if column is None:
                continue
            if column in found and column not in ADD_UP:
                first = header[found[column][0]].strip()
                raise UnreadableFile(f"two columns both mean {column}", f": {first!r} and {name.strip()!r}")
            found[column] = (*found.get(column, ()), index)
        if "id" not in found and "accounts" not in found:
            shown = ", ".join(repr(name.strip()) for name in header[:12])
            raise UnreadableFile(
                "no column for the person's id or account (id, UserPrincipalName, 工号, …) in the header",
                f": {shown}",
            )
        if self.own - found.keys():
            missing = ", ".join(sorted(self.own - found.keys()))
            raise UnreadableFile(f"the header has no column that the mapping names for: {missing}")
        return found


def header_key(name: str) -> str:
    """How header names compare."""
    return "".join(c for c in name.casefold() if c.isalnum())


def ignored(header: Sequence[str], positions: Mapping[Column, tuple[int, ...]]) -> tuple[str, ...]:
    """Names of columns that are not read."""
    read = {index for indexes in positions.values() for index in indexes}
    return tuple(name.strip() for i, name in enumerate(header) if i not in read and name.strip())


def cells_of(cells: Sequence[str], positions: Mapping[Column, tuple[int, ...]]) -> dict[Column, str]:
    """By column; those that add up are joined by spaces."""
    return {
        column: cells[where[0]].strip()
        if len(where) == 1
        else " ".join(cells[i].strip() for i in where).strip()
        for column, where in positions.items()
    }
