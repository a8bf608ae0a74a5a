"""Declaring an account by hand: its kind, who owns it, who else knows its password, when that changed."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, delete, select, update

from server import audit
from server.people.directory import raise_people_version
from server.people.erased import load_erased
from server.people.facts import LEARNED, AccountKind, Holding, PersonFacts, sorted_holdings
from server.people.facts_store import Change, load_facts, write_facts
from server.people.flags import UnknownPerson
from server.people.look_back_queue import queue_people
from server.people.pseudonyms import account_subject, pseudonym
from server.store.tables import account_bindings, accounts
from server.store.upsert import insert_missing, insert_new

SYSTEM_CHARACTERS = 64


class AccountWords(msgspec.Struct, frozen=True):
    """What is said of an account; None: nothing is. `account` as account_key, `system` in lower case, empty:
    everywhere. `nobody`: it has no owner from now on. `since`: from when the owner and those who know it do
    (ms UTC); None: from now on, or always where nobody owned or knew it. rotated_at: ms UTC."""

    account: str
    system: str = ""
    kind: AccountKind | None = None
    owner: str | None = None
    nobody: bool = False
    knows: tuple[str, ...] = ()
    forgets: tuple[str, ...] = ()
    since: int | None = None
    rotated_at: int | None = None


class UnknownAccount(Exception):
    """Nobody declared this account."""


class DateRefused(Exception):
    """It cannot have been then; the message says why."""


class AccountRefused(Exception):
    """It does not fit what is known of the account; the message says why."""


class Declared(msgspec.Struct, frozen=True):
    """`is_new`: nobody declared this account before; `elsewhere`: systems that have one of this name."""

    is_new: bool
    elsewhere: tuple[str, ...]


class Closed(msgspec.Struct, frozen=True):
    """`changed`: it was otherwise before. `since`: ms UTC; None: it works."""

    changed: bool
    since: int | None


def close_account(
    connection: Connection,
    account: str,
    system: str,
    *,
    when: int | None,
    actor: str,
    at: int,
    reason: str | None,
    moves: bool = True,
) -> Closed:
    """It works no more since `when` (ms UTC); None: it works again. Whose it is stays, so that an act after
    it is known as theirs. `account` as account_key. `moves`: one that is closed already is so since `when`
    now. In a write transaction. Raises UnknownAccount, DateRefused."""
    if when is not None and when > at:
        raise DateRefused("an account is closed now or was before: this day is yet to come")
    here = (accounts.c.system == system) & (accounts.c.account == account)
    stored = connection.execute(select(accounts.c.closed_at).where(here)).first()
    if stored is None:
        raise _unknown(connection, account)
    if stored.closed_at == when or (not moves and when is not None and stored.closed_at is not None):
        return Closed(changed=False, since=stored.closed_at)
    connection.execute(update(accounts).where(here).values(closed_at=when, changed_at=at))
    shown = pseudonym(connection, account_subject(account, None))
    action = "people.reopen_account" if when is None else "people.close_account"
    audit.append(
        connection, at=at, actor=actor, action=action, object=shown, reason=reason, detail={"closed_at": when}
    )
    return Closed(changed=True, since=when)


def _unknown(connection: Connection, account: str) -> UnknownAccount:
    places = [each or "everywhere" for each in _systems(connection, account)]
    known = f", but there is one of {', '.join(places)}" if places else ": leaver people accounts"
    return UnknownAccount(f"no account of this name is declared{known}")


def _systems(connection: Connection, account: str) -> list[str]:
    """Where an account of this name is declared; empty: everywhere."""
    query = select(accounts.c.system).where(accounts.c.account == account).order_by(accounts.c.system)
    return list(connection.execute(query).scalars())


def declare_account(
    connection: Connection, said: AccountWords, *, actor: str, at: int, reason: str | None
) -> Declared:
    """In a write transaction that is alone. Raises UnknownPerson, DateRefused, AccountRefused."""
    if said.rotated_at is not None and said.rotated_at > at:
        raise DateRefused("a password was changed now or before: this day is yet to come")
    named = [*said.knows, *said.forgets, *([said.owner] if said.owner else [])]
    known = load_facts(connection, sorted(set(named)))
    for person_id in named:
        if person_id not in known:
            raise UnknownPerson(f"nobody has the id {person_id}: leaver people list")
    systems = _systems(connection, said.account)
    _check_forgets(connection, said)
    row = {"system": said.system, "account": said.account, "kind": said.kind or "personal"}
    insert_missing(connection, accounts, [{**row, "rotated_at": None, "source": "flag", "changed_at": at}])
    here = (accounts.c.system == said.system) & (accounts.c.account == said.account)
    values: dict[str, object] = {"changed_at": at}
    if said.kind is not None:
        values["kind"] = said.kind
        if connection.execute(select(accounts.c.kind).where(here)).scalar_one() != said.kind:
            # What was done with it may be about the account now, or about its owner.
            queue_people(connection, _owners(connection, said), at=at, way="account")
    if said.rotated_at is not None:
        values["rotated_at"] = said.rotated_at
    connection.execute(update(accounts).where(here).values(values))
    if said.owner is not None or said.nobody:
        _hand_over(connection, said, actor, at)
    _know(connection, said, at)
    raise_people_version(connection)
    # The trail is kept for good: it names the pseudonym.
    shown = pseudonym(connection, account_subject(said.account, None))
    detail = {
        "kind": said.kind,
        "owner_changed": said.owner is not None or said.nobody,
        "knows": len(said.knows),
        "forgets": len(said.forgets),
        "rotated_at": said.rotated_at,
    }
    audit.append(
        connection, at=at, actor=actor, action="people.account", object=shown, reason=reason, detail=detail
    )
    elsewhere = tuple(each for each in systems if each != said.system)
    return Declared(said.system not in systems, elsewhere)


def remove_account(
    connection: Connection, account: str, system: str, *, actor: str, at: int, reason: str | None
) -> None:
    """Takes back that there is such an account: one that was declared by hand, and by nobody else. `account`
    as account_key. In a write transaction that is alone. Raises UnknownAccount, AccountRefused."""
    here = (accounts.c.system == system) & (accounts.c.account == account)
    source = connection.execute(select(accounts.c.source).where(here)).scalar()
    if source is None:
        raise _unknown(connection, account)
    bound = account_bindings.c
    bindings = (bound.system == system) & (bound.account == account)
    others = select(bound.source).where(bindings, bound.source.not_in(("flag", LEARNED))).limit(1)
    if source != "flag" or connection.execute(others).first() is not None:
        raise AccountRefused(
            "HR's file or an identity provider has this account: it goes when they no longer list it;"
            " an account that no longer works is closed (leaver people close-account)"
        )
    said = AccountWords(account, system)
    changes: list[Change] = []
    for before in _owners(connection, said):
        kept = tuple(held for held in before.accounts if not _is(held, said))
        changes.append((before, msgspec.structs.replace(before, accounts=kept)))
    write_facts(connection, changes, at=at, actor=actor, way="account")
    connection.execute(delete(account_bindings).where(bindings))
    connection.execute(delete(accounts).where(here))
    raise_people_version(connection)
    shown = pseudonym(connection, account_subject(account, None))
    audit.append(connection, at=at, actor=actor, action="people.remove_account", object=shown, reason=reason)


def _hand_over(connection: Connection, said: AccountWords, actor: str, at: int) -> None:
    bound = account_bindings.c
    here = (bound.system == said.system) & (bound.account == said.account) & (bound.relation == "owner")
    had = set(connection.execute(select(bound.person_id).where(here, bound.source != LEARNED)).scalars())
    others = sorted(had - {said.owner})
    begins = at if said.since is None else said.since
    changes: list[Change] = []
    for before in load_facts(connection, others).values():
        held = [_until(each, begins) if _is(each, said) else each for each in before.accounts]
        kept = sorted_holdings(each for each in held if each is not None)
        if kept != before.accounts:
            changes.append((before, msgspec.structs.replace(before, accounts=kept)))
    if said.owner is not None:
        before = load_facts(connection, [said.owner])[said.owner]
        if not any(_is(each, said) and each.until is None for each in before.accounts):
            erased = load_erased(connection).account(said.account) is not None
            since = begins if had or erased or said.since is not None else None
            new = Holding(said.account, said.system, since, source="flag")
            changes.append(
                (before, msgspec.structs.replace(before, accounts=sorted_holdings((*before.accounts, new))))
            )
    write_facts(connection, changes, at=at, actor=actor, way="account")


def _owners(connection: Connection, said: AccountWords) -> Collection[PersonFacts]:
    """All who ever owned it."""
    bound = account_bindings.c
    here = (bound.system == said.system) & (bound.account == said.account) & (bound.relation == "owner")
    ids = connection.execute(select(bound.person_id).where(here).distinct()).scalars()
    return load_facts(connection, sorted(ids)).values()


def _is(held: Holding, said: AccountWords) -> bool:
    return (held.system, held.name) == (said.system, said.account)


def _until(held: Holding, at: int) -> Holding | None:
    if held.until is not None:
        return held
    return None if held.since is not None and held.since >= at else msgspec.structs.replace(held, until=at)


def _check_forgets(connection: Connection, said: AccountWords) -> None:
    bound = account_bindings.c
    here = (bound.system == said.system) & (bound.account == said.account) & (bound.relation == "knows")
    current = here & bound.valid_until.is_(None) & (bound.source != LEARNED)
    known = set(connection.execute(select(bound.person_id).where(current)).scalars())
    for person_id in said.forgets:
        if person_id not in known:
            raise AccountRefused(f"nobody said that {person_id} knows its password: nothing to take back")


def _know(connection: Connection, said: AccountWords, at: int) -> None:
    bound = account_bindings.c
    here = (bound.system == said.system) & (bound.account == said.account) & (bound.relation == "knows")
    current = here & bound.valid_until.is_(None) & (bound.source != LEARNED)
    if said.forgets:
        of_these = current & bound.person_id.in_(said.forgets)
        connection.execute(update(account_bindings).where(of_these).values(valid_until=at))
        connection.execute(delete(account_bindings).where(here, bound.valid_from >= bound.valid_until))
    known = set(connection.execute(select(bound.person_id).where(current)).scalars())
    new = [person for person in dict.fromkeys(said.knows) if person not in known]
    insert_new(
        connection,
        account_bindings,
        [
            {
                "system": said.system,
                "account": said.account,
                "person_id": person_id,
                "relation": "knows",
                "valid_from": said.since,
                "valid_until": None,
                "source": "flag",
                "confidence": 1.0,
            }
            for person_id in new
        ],
    )
