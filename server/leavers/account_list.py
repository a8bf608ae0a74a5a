"""Accounts as entities: what is declared of them, who owns them now, and those that only events know."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.struct_base import Milliseconds
from server.people.directory import AccountRecord, Directory
from server.people.erased import is_cut
from server.people.facts import AccountKind
from server.people.holders import precedence
from server.store.tables import accounts, subject_agents

_ACCOUNT = "account:"


class AccountView(msgspec.Struct, frozen=True):
    """`host`: of an account that only events know (`declared` is false). `owner`: an id; None: nobody owns it
    now. `known_to`: ids of those who know its password besides. `hosts`: on how many machines it was seen."""

    account: str
    system: str
    host: str | None
    kind: AccountKind | None
    declared: bool
    owner: str | None
    owner_until: Milliseconds | None
    known_to: tuple[str, ...]
    rotated_at: Milliseconds | None
    closed_at: Milliseconds | None
    first_seen_at: Milliseconds | None
    hosts: int


def list_accounts(
    connection: Connection, directory: Directory, *, now: int, unowned: bool
) -> list[AccountView]:
    """Declared ones by name, then those that only events know. now: ms UTC."""
    query = select(accounts.c.system, accounts.c.account, accounts.c.closed_at)
    closed = {
        (row.system, row.account): row.closed_at
        for row in connection.execute(query.where(accounts.c.closed_at.is_not(None)))
    }
    declared = [
        _declared(record, now, closed.get((record.system, record.name))) for record in directory.accounts()
    ]
    declared.sort(key=lambda view: (view.account, view.system))
    found = [*declared, *_seen(connection)]
    return [view for view in found if view.owner is None] if unowned else found


def _declared(record: AccountRecord, now: int, closed_at: int | None) -> AccountView:
    holds = [binding for binding in record.owners if binding.holds_at(now)]
    owner = min(holds, key=precedence, default=None)
    ended = max((b.until for b in record.owners if b.until is not None and b.until <= now), default=None)
    return AccountView(
        account=record.name,
        system=record.system,
        host=None,
        kind=record.kind,
        declared=True,
        owner=None if owner is None else owner.person_id,
        owner_until=ended if owner is None else owner.until,
        known_to=tuple(sorted({binding.person_id for binding in record.knowers if binding.holds_at(now)})),
        rotated_at=record.rotated_at,
        closed_at=closed_at,
        first_seen_at=None,
        hosts=0,
    )


def _seen(connection: Connection) -> list[AccountView]:
    """Accounts of nobody, as events named them, by name and host."""
    subject = subject_agents.c.subject
    query = (
        select(subject, func.min(subject_agents.c.first_time), func.count())
        .where(subject >= _ACCOUNT, subject < _ACCOUNT[:-1] + ";")
        .group_by(subject)
        .order_by(subject)
    )
    found = []
    for name, first, hosts in connection.execute(query):
        account, at, host = name.removeprefix(_ACCOUNT).rpartition("@")
        if is_cut(name) or not at:
            account, host = name.removeprefix(_ACCOUNT), None
        found.append(AccountView(account, "", host, None, False, None, None, (), None, None, first, hosts))
    return found
