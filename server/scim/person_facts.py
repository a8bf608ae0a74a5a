"""What a user's words make of a person: fields that HR left empty, and accounts. Pure.

HR's word stands. A field is filled only where nothing else said it, and changed only where an identity
provider filled it (`PersonFacts.scim_fields`); accounts are bound with the source scim, which stands below
what is declared here (people/holders.py). `active` is no leaving date: it is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from server.people.facts import SCIM, Holding, PersonFacts, sorted_holdings
from server.people.holding_merge import merged_holdings
from server.people.import_plan import is_leaving
from server.scim.user_words import UserWords

FIELDS: Final = ("department", "job_role", "manager_id", "name", "time_zone")


def with_fields(
    person: PersonFacts, words: UserWords, manager_id: str | None, before: UserWords | None
) -> PersonFacts:
    """The person with what the words say, where they may say it. `before`: the same user's earlier words;
    what they did not say is not emptied by not being said."""
    said = {**_said(words), "manager_id": manager_id}
    earlier = {} if before is None else _said(before)
    filled = set(person.scim_fields)
    changed: dict[str, str | None] = {}
    for field in FIELDS:
        value = said[field]
        if field not in filled and getattr(person, field) is not None:
            continue
        if value is None and (earlier.get(field) is None or field == "time_zone"):
            # Everybody has a time zone.
            continue
        changed[field] = value
        filled = filled | {field} if value is not None else filled - {field}
    return msgspec.structs.replace(person, **changed, scim_fields=tuple(sorted(filled)))


def _said(words: UserWords) -> dict[str, str | None]:
    return {
        "name": words.full_name,
        "department": words.department,
        "job_role": words.job_title,
        "manager_id": words.manager,
        "time_zone": words.zone,
    }


def new_person(person_id: str, time_zone: str) -> PersonFacts:
    """Somebody of whom HR has not said anything yet."""
    return PersonFacts(id=person_id, time_zone=time_zone, scim_fields=("time_zone",))


def with_accounts(
    person: PersonFacts, listed: Iterable[str], *, at: int, had_by_others: Callable[[str], bool]
) -> PersonFacts:
    """`listed`: what the person has by identity providers' word, as account_key. What is gone from it ends at
    `at` (ms UTC), unless the person is leaving."""
    own = [held for held in person.accounts if _is_scim(held)]
    others = [held for held in person.accounts if not _is_scim(held)]
    merged = merged_holdings(
        own,
        listed,
        person_id=person.id,
        since=None,
        at=at,
        had_by_others=had_by_others,
        takers={},
        keeps=is_leaving(person),
    )
    bound = (msgspec.structs.replace(held, source=SCIM) for held in merged)
    return msgspec.structs.replace(person, accounts=sorted_holdings((*others, *bound)))


def open_accounts(person: PersonFacts) -> frozenset[str]:
    """What the person has by identity providers' word."""
    return frozenset(held.name for held in person.accounts if _is_scim(held) and held.until is None)


def without_accounts(person: PersonFacts, names: Iterable[str], *, at: int) -> PersonFacts:
    """Somebody else has these now, as another identity says."""
    gone = set(names)
    kept: list[Holding] = []
    for held in person.accounts:
        if not _is_scim(held) or held.name not in gone or held.until is not None:
            kept.append(held)
        elif held.since is None or held.since < at:
            kept.append(msgspec.structs.replace(held, until=at))
    return msgspec.structs.replace(person, accounts=sorted_holdings(kept))


def _is_scim(held: Holding) -> bool:
    return held.source == SCIM and not held.system
