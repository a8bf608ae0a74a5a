"""Rows of `scim_users`: looked up, listed, written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, true, update

from server.people.account_names import account_key
from server.scim.user_words import UserWords
from server.store.tables import scim_users

_AT_ONCE = 500


class StoredUser(msgspec.Struct, frozen=True):
    """`person_id`: whom the user is taken for. Times in ms UTC; `version` rises with every change."""

    id: str
    words: UserWords
    person_id: str | None
    version: int
    created_at: int
    changed_at: int


def find_user(connection: Connection, user_id: str) -> StoredUser | None:
    row = connection.execute(_select(scim_users.c.id == user_id)).first()
    return None if row is None else _user(row)


def is_name_taken(connection: Connection, words: UserWords, but: str | None) -> bool:
    """Whether another user has the same userName, as account names compare."""
    named = scim_users.c.user_key == account_key(words.user_name)
    found = connection.execute(select(scim_users.c.id).where(named)).scalar()
    return found is not None and found != but


def users_of(connection: Connection, people: Iterable[str]) -> list[StoredUser]:
    """All of these people's, the oldest first."""
    ids = sorted(set(people))
    found: list[StoredUser] = []
    for start in range(0, len(ids), _AT_ONCE):
        theirs = scim_users.c.person_id.in_(ids[start : start + _AT_ONCE])
        found += [_user(row) for row in connection.execute(_select(theirs))]
    return sorted(found, key=lambda user: (user.created_at, user.id))


def list_users(
    connection: Connection, condition: ColumnElement[bool] | None, *, first: int, count: int
) -> tuple[int, list[StoredUser]]:
    """(how many there are, these of them), in the order in which they came."""
    wanted = true() if condition is None else condition
    total = connection.execute(select(func.count()).select_from(scim_users).where(wanted)).scalar_one()
    ordered = _select(wanted).order_by(scim_users.c.created_at, scim_users.c.id)
    return total, [_user(row) for row in connection.execute(ordered.offset(first).limit(count))]


def write_user(connection: Connection, user: StoredUser, *, actor: str, is_new: bool) -> None:
    words = user.words
    values = {
        "user_key": account_key(words.user_name),
        "external_id": words.external_id,
        "employee_number": words.employee_number,
        "active": words.active,
        "person_id": user.person_id,
        "said": msgspec.json.encode(words).decode(),
        "version": user.version,
        "changed_at": user.changed_at,
        "changed_by": actor,
    }
    if is_new:
        connection.execute(insert(scim_users).values(id=user.id, created_at=user.created_at, **values))
    else:
        connection.execute(update(scim_users).where(scim_users.c.id == user.id).values(values))


def delete_user(connection: Connection, user_id: str) -> None:
    connection.execute(delete(scim_users).where(scim_users.c.id == user_id))


def names_of_other_active(connection: Connection, user: StoredUser, names: Iterable[str]) -> set[str]:
    """Accounts, of `names`, that other users who are active list."""
    wanted = set(names)
    if not wanted:
        return set()
    written = [msgspec.json.encode(name).decode()[1:-1] for name in sorted(wanted)]
    lists_one = or_(
        scim_users.c.person_id == user.person_id,
        *(func.lower(scim_users.c.said).contains(word, autoescape=True) for word in written),
    )
    others = scim_users.c.active.is_(True) & (scim_users.c.id != user.id) & lists_one
    rows = connection.execute(_select(others)).all()
    return wanted & {name for row in rows for name in _user(row).words.account_names()}


def forget_manager_words(connection: Connection, person_id: str, names: Sequence[str]) -> int:
    """Before a person's users are erased: no other user names one of them, or an account of theirs, as
    manager. In how many that was so."""
    own = [user.id for user in users_of(connection, [person_id])]
    gone = {account_key(word) for word in (person_id, *own, *names)}
    others = scim_users.c.person_id.is_distinct_from(person_id)
    changed = 0
    for row in connection.execute(_select(others & scim_users.c.said.contains('"manager":'))).all():
        user = _user(row)
        if user.words.manager is not None and account_key(user.words.manager) in gone:
            said = msgspec.json.encode(msgspec.structs.replace(user.words, manager=None)).decode()
            named = scim_users.c.id == user.id
            connection.execute(update(scim_users).where(named).values(said=said, version=user.version + 1))
            changed += 1
    return changed


def _select(condition: ColumnElement[bool]) -> Any:
    columns = scim_users.c
    return select(
        columns.id,
        columns.said,
        columns.person_id,
        columns.version,
        columns.created_at,
        columns.changed_at,
    ).where(condition)


def _user(row: Row[Any]) -> StoredUser:
    words = msgspec.json.decode(row.said, type=UserWords)
    return StoredUser(row.id, words, row.person_id, row.version, row.created_at, row.changed_at)
