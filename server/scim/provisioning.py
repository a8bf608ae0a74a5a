"""Taking over what an identity provider says of a user: its row, the person's facts, the accounts' state.

Who a user is, the first that fits: the person whose id is the employee number; whom HR, or somebody here,
gave one of the accounts; a new person of that employee number; whoever it was before. Else nobody: then the
account belongs to nobody, which `leaver people accounts --unowned` shows, until HR lists it.
Several users of one person (a second account for administration) add up; the oldest one's fields count. What
a user no longer lists ends, unless the person is leaving; a user that is deleted takes nothing along.
`active: false` shuts the accounts and nothing else: whoever is on leave, or lost a licence, has not left, and
an account that is shut stays the person's, because what still works of it is what must be watched.
An address that another active user lists too stays open; a user's own name is shut with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from sqlalchemy import Connection, select, update

from server import audit
from server.people.account_names import account_key
from server.people.erased import ErasedNames, load_erased
from server.people.facts import LEARNED, SCIM, PersonFacts
from server.people.facts_store import Change, load_facts, write_facts
from server.people.pseudonyms import account_subject, person_subject, pseudonym
from server.scim.person_facts import (
    new_person,
    open_accounts,
    with_accounts,
    with_fields,
    without_accounts,
)
from server.scim.user_store import (
    StoredUser,
    delete_user,
    is_name_taken,
    names_of_other_active,
    users_of,
    write_user,
)
from server.scim.user_words import UserWords, check_words
from server.store.tables import account_bindings, accounts, people, scim_users
from server.store.upsert import insert_missing

LEADERS_MAX = 1000


class NameTaken(Exception):
    """Another user has this userName."""


class WasErased(Exception):
    """The person, or the account, was erased here."""


def provision(
    connection: Connection,
    before: StoredUser | None,
    words: UserWords,
    *,
    at: int,
    actor: str,
    time_zone: str,
) -> StoredUser:
    """In a write transaction that is alone. `before`: as stored; None: the user is new. `time_zone`: for new
    people without one. Raises UnusableWord, NameTaken, WasErased; nothing is changed then."""
    check_words(words)
    if is_name_taken(connection, words, None if before is None else before.id):
        raise NameTaken("another user has this userName")
    erased = load_erased(connection)
    person_id = _whose(connection, before, words, erased)
    if before is None:
        user = StoredUser(uuid.uuid4().hex, words, person_id, 1, at, at)
    else:
        user = StoredUser(before.id, words, person_id, before.version + 1, before.created_at, at)
    changes = _changes(connection, before, user, erased, time_zone)
    write_facts(connection, changes, at=at, actor=actor, way="scim")
    write_user(connection, user, actor=actor, is_new=before is None)
    _keep_accounts(connection, before, user, at)
    if before is not None and before.words.active != words.active:
        _on_record(connection, "scim.open" if words.active else "scim.shut", user, actor, at)
    return user


def deprovision(connection: Connection, user: StoredUser, *, at: int, actor: str) -> None:
    """The user goes and its accounts are shut; person, bindings and events stay. In a write transaction that
    is alone."""
    delete_user(connection, user.id)
    _shut(connection, user, user.words.account_names(), at)
    _on_record(connection, "scim.delete", user, actor, at)


# ---- who it is ----------------------------------------------------------------------------------------


def _whose(
    connection: Connection, before: StoredUser | None, words: UserWords, erased: ErasedNames
) -> str | None:
    number, names = words.employee_number, words.account_names()
    if number is not None and _is_known(connection, number):
        return number
    owner = _declared_owner(connection, account_key(words.user_name), names)
    if owner is not None:
        return owner
    if number is not None:
        if erased.person_at(number) is not None:
            raise WasErased("this person was erased; leaver people import --restore-erased takes them back")
        return number
    if before is not None and before.person_id is not None:
        return before.person_id
    if any(erased.account(name) is not None for name in names):
        raise WasErased("this account was erased with whom it belonged to")
    return None


def _is_known(connection: Connection, person_id: str) -> bool:
    return connection.execute(select(people.c.id).where(people.c.id == person_id)).first() is not None


def _declared_owner(connection: Connection, main: str, names: frozenset[str]) -> str | None:
    """Whom HR or somebody here gave one of these; the user name counts where they are several people's."""
    found = _owners(connection, names, declared_here=True)
    if main in found:
        return found[main]
    return next(iter(found.values())) if len(set(found.values())) == 1 else None


def _owners(connection: Connection, names: Iterable[str], *, declared_here: bool) -> dict[str, str]:
    """Who has accounts, valid everywhere, now: as is declared here, or as providers say."""
    bound = account_bindings.c
    source = bound.source.not_in((SCIM, LEARNED)) if declared_here else bound.source == SCIM
    query = select(bound.account, bound.person_id).where(
        bound.account.in_(sorted(names)),
        bound.system == "",
        bound.relation == "owner",
        bound.valid_until.is_(None),
        source,
    )
    return {row.account: row.person_id for row in connection.execute(query.order_by(bound.id.desc()))}


def _manager(connection: Connection, person_id: str, said: str | None) -> str | None:
    """Whom the words name, unless nobody knows, or managers would go round."""
    if not said:
        return None
    found = connection.execute(select(scim_users.c.person_id).where(scim_users.c.id == said)).scalar()
    if found is None and _is_known(connection, said):
        found = said
    if found is None:
        key = account_key(said)
        known = _owners(connection, [key], declared_here=False) | _owners(
            connection, [key], declared_here=True
        )
        found = known.get(key)
    above = found
    for _ in range(LEADERS_MAX):
        if above is None:
            return found
        if above == person_id:
            return None
        above = connection.execute(select(people.c.manager_id).where(people.c.id == above)).scalar()
    return None


# ---- what changes -------------------------------------------------------------------------------------


def _changes(
    connection: Connection,
    before: StoredUser | None,
    user: StoredUser,
    erased: ErasedNames,
    time_zone: str,
) -> list[Change]:
    """Of this person, of whoever the user was taken for until now, and of those who had its accounts."""
    names, at = user.words.account_names(), user.changed_at
    earlier = None if before is None else before.person_id
    losing = _losing(connection, user.person_id, names)
    involved = {each for each in (user.person_id, earlier, *losing) if each is not None}
    stored = load_facts(connection, sorted(involved))
    listed = {each: set[str]() for each in involved}
    oldest: dict[str, str] = {}
    for other in users_of(connection, involved):
        if other.id != user.id and other.person_id is not None:
            listed[other.person_id] |= other.words.account_names()
            oldest.setdefault(other.person_id, other.id)
    wanted: dict[str, PersonFacts] = {}
    for person_id in losing:
        gone = names - listed[person_id]
        wanted[person_id] = without_accounts(stored[person_id], gone, at=at)
    was_listed = frozenset[str]() if before is None else before.words.account_names()
    if earlier is not None and earlier != user.person_id:
        person = wanted.get(earlier, stored[earlier])
        left = open_accounts(person) - (was_listed - listed[earlier])
        wanted[earlier] = with_accounts(person, left, at=at, had_by_others=lambda _name: True)
    if user.person_id is not None:
        mine = user.person_id
        person = stored.get(mine) or new_person(mine, time_zone)
        first = _first(connection, user, oldest.get(mine))
        if first:
            leader = _manager(connection, mine, user.words.manager)
            person = with_fields(person, user.words, leader, before.words if before is not None else None)
        had = _had(connection, mine, names)
        dropped = was_listed - names - listed[mine] if earlier == mine else frozenset[str]()
        wanted[mine] = with_accounts(
            person,
            names | (open_accounts(person) - dropped),
            at=at,
            had_by_others=lambda name: name in had or erased.account(name) is not None,
        )
    pairs = [(stored.get(person_id), person) for person_id, person in wanted.items()]
    return [(old, new) for old, new in pairs if old != new]


def _first(connection: Connection, user: StoredUser, other: str | None) -> bool:
    """Whether it is the person's oldest user."""
    if other is None:
        return True
    created = connection.execute(select(scim_users.c.created_at).where(scim_users.c.id == other)).scalar_one()
    return (user.created_at, user.id) < (created, other)


def _losing(connection: Connection, person_id: str | None, names: frozenset[str]) -> set[str]:
    """Others who have one of these by a provider's word."""
    return set(_owners(connection, names, declared_here=False).values()) - {person_id}


def _had(connection: Connection, person_id: str, names: frozenset[str]) -> set[str]:
    """Which of these others ever had."""
    bound = account_bindings.c
    query = select(bound.account).where(
        bound.account.in_(sorted(names)),
        bound.system == "",
        bound.relation == "owner",
        bound.person_id != person_id,
        bound.source != LEARNED,
    )
    return set(connection.execute(query).scalars())


# ---- accounts -----------------------------------------------------------------------------------------


def _keep_accounts(connection: Connection, before: StoredUser | None, user: StoredUser, at: int) -> None:
    """Accounts are entities, also those of nobody. One that was closed by hand works again only when the
    provider says that it was opened, not with every other word about the user."""
    words = user.words
    names = words.account_names()
    row = {"system": "", "kind": "personal", "rotated_at": None, "source": SCIM, "changed_at": at}
    insert_missing(connection, accounts, [{**row, "account": name} for name in sorted(names)])
    known = frozenset[str]() if before is None else before.words.account_names()
    _shut(connection, user, known - names, at)
    if not words.active:
        _shut(connection, user, names, at)
        return
    opened = names if before is None or not before.words.active else names - known
    here = (accounts.c.system == "") & accounts.c.account.in_(sorted(opened))
    connection.execute(update(accounts).where(here).values(closed_at=None))


def _shut(connection: Connection, user: StoredUser, names: frozenset[str], at: int) -> None:
    shared = names_of_other_active(connection, user, names) - {account_key(user.words.user_name)}
    here = (accounts.c.system == "") & accounts.c.account.in_(sorted(names - shared))
    connection.execute(update(accounts).where(here, accounts.c.closed_at.is_(None)).values(closed_at=at))


def _on_record(connection: Connection, action: str, user: StoredUser, actor: str, at: int) -> None:
    """The trail is kept for good: it names the pseudonym."""
    name = account_key(user.words.user_name)
    subject = account_subject(name, None) if user.person_id is None else person_subject(user.person_id)
    audit.append(connection, at=at, actor=actor, action=action, object=pseudonym(connection, subject))
