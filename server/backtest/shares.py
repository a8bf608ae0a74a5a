"""Which process of a back-test reads which stored blocks, and whose events it takes.

Each subject is one process's: the one to which the agent belongs from which most of its events came, of those
that few use. So windows of correlations and alerts are whole in one place. A process reads the blocks of all
agents that tell of its subjects; those of a server, which tells of everybody, are read by all of them.
"""

from __future__ import annotations

import zlib
from array import array
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from server.retention import first_local_day
from server.store.tables import event_blocks, subject_events

USERS_MAX: Final = 20
"""What tells of more subjects is no one's machine."""
_PAGE: Final = 10_000


class Share(msgspec.Struct, frozen=True):
    """`blocks`: numbers, rising, as array('q') has them. `shares`: by subject, who takes it; empty: this one
    takes all."""

    number: int
    of: int
    blocks: bytes
    shares: Mapping[str, int]

    def takes(self, subject: str, agent: str) -> bool:
        """`agent`: which told of it."""
        if self.of == 1:
            return True
        found = self.shares.get(subject)
        return (_share_of(agent, self.of) if found is None else found) == self.number

    @property
    def count(self) -> int:
        return len(self.blocks) // 8


def blocks_stored(connection: Connection, first_day: int) -> tuple[int, int, int]:
    """How many blocks hold events of that local day or later, as far as is known; the last one's number; how
    many events they hold."""
    at = event_blocks.c
    sums = (func.count(), func.coalesce(func.max(at.id), 0), func.coalesce(func.sum(at.count), 0))
    row = connection.execute(select(*sums).where(at.last_day >= first_local_day(first_day))).one()
    return row[0], row[1], int(row[2])


def shares_of(connection: Connection, first_day: int, upto: int, of: int) -> list[Share]:
    """The blocks of `blocks_stored` in `of` shares. upto: number of the last block."""
    at = event_blocks.c
    shares = _subjects(connection, first_day, of) if of > 1 else {}
    readers: dict[str, set[int]] = defaultdict(set)
    if of > 1:
        told = select(subject_events.c.agent, subject_events.c.subject).distinct()
        for agent, subject in connection.execute(told.where(subject_events.c.day >= first_day)):
            readers[agent].add(shares[subject])
    found = [array("q") for _ in range(of)]
    query = (
        select(at.id, at.agent)
        .where(at.last_day >= first_local_day(first_day), at.id <= upto)
        .execution_options(yield_per=_PAGE)
    )
    for block, agent in connection.execute(query):
        for number in readers.get(agent) or {_share_of(agent, of)}:
            found[number].append(block)
    return [
        Share(number, of, array("q", sorted(blocks)).tobytes(), shares) for number, blocks in enumerate(found)
    ]


def _subjects(connection: Connection, first_day: int, of: int) -> dict[str, int]:
    """Each subject's share."""
    row = subject_events.c
    told = (
        select(row.subject, row.agent, func.count().label("ranges"))
        .where(row.day >= first_day)
        .group_by(row.subject, row.agent)
    )
    of_agent: dict[str, set[str]] = defaultdict(set)
    of_subject: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for subject, agent, ranges in connection.execute(told):
        of_agent[agent].add(subject)
        of_subject[subject].append((ranges, agent))
    found: dict[str, int] = {}
    for subject, agents in of_subject.items():
        own = [each for each in agents if len(of_agent[each[1]]) <= USERS_MAX]
        found[subject] = _share_of(max(own)[1] if own else subject, of)
    return found


def _share_of(name: str, of: int) -> int:
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % of
