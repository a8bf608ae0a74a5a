"""Why an alert is about whom it is about: the traits of its acts, and whom they lead to. Pure.

`alerts.traits` holds a JSON list of AlertTrait: which of the account, the devices, the addresses, the keys
and the passwords that were used lead to the suspect, how long they were the suspect's, and how many others
ever used them. A person and an account in it are `person:ID`, `account:NAME@HOST`, as in other tables; shown
masked (views.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final, Literal

import msgspec

from server.pipeline.subject_state import SubjectState, SuspectTrait, least, most_of

TRAITS_MAX: Final = 20
TraitKind = Literal[
    "own_account", "unknown_account", "machine", "device", "address", "key", "password", "other"
]
_KINDS: Final[dict[str, TraitKind]] = {
    "host": "machine",
    "device": "device",
    "address": "address",
    "key": "key",
    "knows": "password",
}
_SUBJECT: Final = "person:"


class AlertTrait(msgspec.Struct, frozen=True, omit_defaults=True):
    """`value`: a host, a device's uid, an address, a key; nothing of an account or a password. `leads_to`:
    subject of who left. `through`: the subject whose account it was, where that is somebody else. since,
    until: ms UTC, of their own uses; `others`: how many others ever used it."""

    kind: TraitKind
    value: str | None = None
    leads_to: str | None = None
    through: str | None = None
    since: int | None = None
    until: int | None = None
    others: int | None = None
    events: int = 0


class Blame(msgspec.Struct, frozen=True):
    """account_owner, suspected_actor: ids of people."""

    account_owner: str | None
    suspected_actor: str | None
    traits: tuple[AlertTrait, ...]


def blame(
    state: SubjectState, places: Collection[tuple[str, int]], *, person_id: str | None, events: int
) -> Blame:
    """Of an alert about these (channel, day)s of the subject, with so many events in all. `person_id`: the
    subject's; None: of an account.

    The account's owner is the owner of the account through which most acts went, the subject's own included;
    of equals of the one whose subject sorts first."""
    rows = [row for row in state.suspect_traits.values() if (row.channel, row.day) in places]
    acts = Counter[str]()
    for row in rows:
        if not row.trait:
            acts[row.through] += row.events
    own = events - sum(count for subject, count in acts.items() if subject != state.subject)
    if own > 0:
        acts[state.subject] = own
    most = min(acts, key=lambda subject: (-acts[subject], subject), default=state.subject)
    led_to = {row.person_id for row in rows if row.trait}
    traits = _together(state.subject, rows)
    if acts[state.subject] and (person_id is not None or not traits):
        kind: TraitKind = "own_account" if person_id is not None else "unknown_account"
        traits.append(AlertTrait(kind, events=acts[state.subject]))
    traits.sort(key=lambda trait: (-trait.events, trait.kind, trait.value or "", trait.leads_to or ""))
    return Blame(
        account_owner=person_id if most == state.subject and person_id else _answering(rows, most),
        suspected_actor=person_id or (led_to.pop() if len(led_to) == 1 else None),
        traits=tuple(traits[:TRAITS_MAX]),
    )


def _answering(rows: Iterable[SuspectTrait], through: str) -> str | None:
    """Its owner; of an account that several know, who answers for it."""
    return min((row.owner_id for row in rows if row.through == through and row.owner_id), default=None)


def _together(subject: str, rows: Iterable[SuspectTrait]) -> list[AlertTrait]:
    """A trait of several days and channels is one."""
    found: dict[tuple[str, str, str], AlertTrait] = {}
    for row in rows:
        if not row.trait:
            continue
        known = found.get((row.trait, row.person_id, row.through))
        kind, _, value = row.trait.partition(":")
        found[row.trait, row.person_id, row.through] = AlertTrait(
            _KINDS.get(kind, "other"),
            value=None if kind == "knows" else value,
            leads_to=_SUBJECT + row.person_id,
            through=None if row.through == subject else row.through,
            since=least(row.since, known.since if known else None),
            until=most_of(row.until, known.until if known else None),
            others=most_of(row.others, known.others if known else None),
            events=row.events + (known.events if known else 0),
        )
    return list(found.values())


def without_person(traits: Iterable[AlertTrait], person_id: str) -> tuple[AlertTrait, ...]:
    """What is left of an alert's traits after somebody was erased."""
    gone = _SUBJECT + person_id
    return tuple(
        msgspec.structs.replace(trait, through=None) if trait.through == gone else trait
        for trait in traits
        if trait.leads_to != gone
    )
