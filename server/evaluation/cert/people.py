"""HR's file for the walk, from LDAP/YYYY-MM.csv: who there is, in which department and role.

Who is missing from a later month has left. That is the answer that evaluations look for, so it is never
used: a person stands as in the last month up to the end of training, or in the first month that has them,
and nobody has a last day. Users whom no month has are people without a department.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from server.evaluation.cert.layout import BadRow, mail_domain, user_name
from server.evaluation.cert.reading import BadRows, UnreadableFolder

_MONTH: Final = re.compile(r"(\d{4}-\d{2})\.csv", re.IGNORECASE)
_DEPARTMENT: Final = ("department", "functional_unit", "business_unit")
_MONTHS_MAX: Final = 600
_TEXT_CHARACTERS: Final = 128


class LdapPerson(msgspec.Struct, frozen=True):
    user: str
    department: str
    role: str
    domain: str
    """Of the mail address; empty where there is none."""


def read_ldap(folder: Path, until: str, bad: BadRows) -> dict[str, LdapPerson]:
    """By user; empty where there is no LDAP folder. until: "2010-05", the month in which training ends.
    Raises UnreadableFolder."""
    if not folder.is_dir():
        return {}
    months = sorted((match[1], path) for path in folder.iterdir() if (match := _MONTH.fullmatch(path.name)))
    known: dict[str, LdapPerson] = {}
    for month, path in months[:_MONTHS_MAX]:
        for person in _month(path, bad):
            if month <= until or person.user not in known:
                known[person.user] = person
    return known


def _month(path: Path, bad: BadRows) -> Iterable[LdapPerson]:
    name = f"{path.parent.name}/{path.name}"
    try:
        with path.open("r", encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(file)
            names = {each.strip().casefold(): each for each in reader.fieldnames or ()}
            if "user_id" not in names:
                raise UnreadableFolder(f"{path}, line 1: no column user_id")
            for row in reader:
                cells = {column: _text(row.get(names[column])) for column in names}
                try:
                    yield _person(cells)
                except BadRow as error:
                    bad.add(name, reader.line_num, str(error))
    except (OSError, csv.Error) as error:
        raise UnreadableFolder(f"{path}: {error}") from error


def _person(cells: dict[str, str]) -> LdapPerson:
    address = cells.get("email", "")
    return LdapPerson(
        user=user_name(cells["user_id"]),
        department=next((cells[column] for column in _DEPARTMENT if cells.get(column)), ""),
        role=cells.get("role", ""),
        domain=mail_domain(address) if address else "",
    )


def _text(cell: object) -> str:
    """One line of bounded length."""
    return "" if not isinstance(cell, str) else " ".join(cell.split())[:_TEXT_CHARACTERS]


def hr_file(known: dict[str, LdapPerson], users: Iterable[str]) -> bytes:
    """CSV for `leaver people import`: everybody, with the user as id and account."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(("id", "accounts", "department", "role"))
    for user in sorted({*known, *users}):
        person = known.get(user, LdapPerson(user, "", "", ""))
        writer.writerow((user, user, person.department, person.role))
    return lines.getvalue().encode()
