"""Which subjects 'account:NAME@HOST' an account as it is listed means, and whose they are.

A subject that is too long for a key ends in a hash (pseudonyms.account_subject). Which account and host it
stands for is told by one of its events; where none is left, by trying the hosts that are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, select

from event_schema import ocsf_events
from event_schema.wire import WireError, decode_events
from server.alerts.event_ranges import EventRange
from server.alerts.evidence_blocks import range_blocks
from server.people.account_names import account_key
from server.people.directory import Directory
from server.people.erased import NO_ACCOUNT, SUBJECT_CHARACTERS, account_forms, is_cut
from server.people.holders import Changing
from server.people.pseudonyms import account_subject
from server.store.column_types import key_start
from server.store.tables import (
    activity_days,
    agents,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    judged_days,
    pseudonyms,
    rule_days,
    state_versions,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
    trait_uses,
)

NAMING = (
    pseudonyms.c.subject,
    alerts.c.subject,
    judged_days.c.subject,
    channel_days.c.subject,
    activity_days.c.subject,
    anomaly_days.c.subject,
    rule_days.c.subject,
    correlation_groups.c.subject,
    subject_agents.c.subject,
    subject_places.c.subject,
    trait_uses.c.subject,
    subject_events.c.subject,
    suspect_traits.c.subject,
    state_versions.c.key,
)
"""Where subjects stand."""
_LAST = "\U0010ffff"
"""Sorts behind every other character."""
_EVENTS_LOOKED_AT = 20


def account_subjects(
    connection: Connection, keys: Iterable[str], *, most: int | None = None
) -> dict[str, tuple[str, str]]:
    """All subjects of accounts of which something is kept, and that one of these forms lists: by subject, the
    account and the host, both as account_key. `most`: of each name, in each place where subjects stand."""
    wanted = set(keys)
    # What stands before a backslash may be the host, which subjects have at their end, or a domain.
    names = {name for key in wanted for name in (key, key.partition("\\")[2]) if name}
    found: set[str] = set()
    for name in sorted(names):
        start = key_start(f"account:{name}", SUBJECT_CHARACTERS)
        for column in NAMING:
            # As a range, for which there is an index; LIKE would read all rows.
            within = column.between(start, f"{start}{_LAST}")
            query = select(column).where(within).distinct()
            query = query if most is None else query.order_by(column).limit(most)
            found.update(connection.execute(query).scalars())
    known = {subject: account_of(connection, subject, wanted) for subject in sorted(found)}
    return {
        subject: who
        for subject, who in known.items()
        if who is not None and not wanted.isdisjoint(account_forms(*who))
    }


def account_of(connection: Connection, subject: str, keys: Iterable[str] = ()) -> tuple[str, str] | None:
    """The account and host of a subject; `keys`: forms that may list it. None: cannot be told any more."""
    if not is_cut(subject):
        name, at, host = subject.removeprefix("account:").rpartition("@")
        return (name, host) if at else (host, "")
    for who in (*_of_events(connection, subject), *_tried(connection, keys)):
        if account_subject(*who) == subject:
            return who
    return None


def users_of(directory: Directory, who: tuple[str, str]) -> frozenset[str]:
    """Ids of the people who ever acted by an account on a host as their own."""
    users = directory.users(who[0], who[1] or None)
    each = users.holders if isinstance(users, Changing) else (users,)
    return frozenset(person.id for person in each if person is not None)


def belongs_to_nobody(directory: Directory, who: tuple[str, str]) -> bool:
    """Whether nobody acts by an account on a host as their own any more."""
    users = directory.users(who[0], who[1] or None)
    return (users.holders[-1] if isinstance(users, Changing) else users) is None


def _of_events(connection: Connection, subject: str) -> Iterator[tuple[str, str]]:
    query = select(*(subject_events.c[name] for name in EventRange.__struct_fields__))
    rows = connection.execute(query.where(subject_events.c.subject == subject).limit(_EVENTS_LOOKED_AT)).all()
    for row in rows:
        wanted = EventRange(row.agent, row.epoch, row.first_seq, row.first_seq)
        for block in list(range_blocks(connection, wanted)):
            try:
                event = decode_events(block.record).events[row.first_seq - block.first_seq]
            except WireError:
                continue
            if event is not None:
                user = ocsf_events.account_of(event)
                account = (user.name or user.uid) if user is not None else None
                yield account_key(account or NO_ACCOUNT), account_key(event.device.hostname)


def _tried(connection: Connection, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    hosts = [account_key(name) for name in connection.execute(select(agents.c.name)).scalars()]
    for key in keys:
        first, _, rest = key.partition("\\")
        name, _, last = key.rpartition("@")
        yield from ((name, last), (rest, first), *((key, host) for host in hosts))
