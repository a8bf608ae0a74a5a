"""The directory as it is now, from the one that is kept: where few people changed since, by these alone.

Loading 50,000 people with all their accounts takes a second; an identity provider's first synchronisation
tells of them one by one.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, select

from server.people.directory import Directory, load_directory, people_version, whole_version
from server.people.directory_rows import KnownBindings, load_accounts, load_records, load_traits
from server.people.facts import PersonFacts
from server.store.tables import account_bindings, people_changes, trait_bindings

CHANGED_MAX: Final = 500
_NAMES_MAX: Final = 5_000


def newer_directory(connection: Connection, kept: Directory) -> Directory:
    """As the connection's snapshot has it; `kept` itself where nothing changed."""
    version = people_version(connection)
    if version == kept.version:
        return kept
    if whole_version(connection) > kept.version:
        return load_directory(connection)
    history = people_changes.c
    since = select(history.id, history.person_id, history.before).where(history.id > kept.last_change)
    changed = connection.execute(since.limit(CHANGED_MAX + 1)).all()
    ids = sorted({row.person_id for row in changed})
    before = [msgspec.json.decode(row.before, type=PersonFacts) for row in changed if row.before is not None]
    names = {held.name for person in before for held in person.accounts}
    traits = {held.name for person in before for held in person.traits}
    owned, held_by = account_bindings.c, trait_bindings.c
    names.update(connection.execute(select(owned.account).where(owned.person_id.in_(ids))).scalars())
    traits.update(connection.execute(select(held_by.trait).where(held_by.person_id.in_(ids))).scalars())
    if len(changed) > CHANGED_MAX or len(names) + len(traits) > _NAMES_MAX:
        return load_directory(connection)
    known_as = KnownBindings()
    return kept.with_changes(
        version,
        max((row.id for row in changed), default=kept.last_change),
        load_records(connection, ids),
        list(load_accounts(connection, known_as, sorted(names))),
        dict.fromkeys(traits, ()) | load_traits(connection, known_as, sorted(traits)),
    )
