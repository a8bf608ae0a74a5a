"""Where the stored events of some subjects lie: in which blocks, at which places in them, in the order in
which they came. Sixteen bytes a place, so that a person with millions of events fits into memory.

The index (`subject_events`) says which numbers of which spool; blocks of a spool may overlap, since records
come again, and may be cut differently then.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, exists, select

from event_schema.wire import EVENTS_PER_RECORD_MAX
from server.pipeline.subject_state import BORROWED
from server.store.tables import event_blocks, subject_events

_PAGE = 5_000
_LAST = 2**62
_GAP_MAX = 50 * EVENTS_PER_RECORD_MAX
"""Ranges that lie further apart are asked for one by one: blocks between them are not looked through."""


class Place(NamedTuple):
    """first … last: indexes in the block, of one subject (its number among those asked for) and local day."""

    first: int
    last: int
    subject: int
    day: int


class StoredPlaces:
    """All places found, by block in rising order."""

    def __init__(self) -> None:
        self._blocks = array("q")
        self._firsts = array("B")
        self._lasts = array("B")
        self._subjects = array("H")
        self._days = array("i")

    def add(self, block: int, place: Place) -> None:
        self._blocks.append(block)
        self._firsts.append(place.first)
        self._lasts.append(place.last)
        self._subjects.append(place.subject)
        self._days.append(place.day)

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def events(self) -> int:
        """How many there may be; duplicates in overlapping blocks count again."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def portions(self, blocks: int) -> Iterator[dict[int, list[Place]]]:
        """Places by block, at most so many blocks at once."""
        found: dict[int, list[Place]] = {}
        order = np.argsort(np.frombuffer(self._blocks, dtype=np.int64), kind="stable") if self._blocks else ()
        for number in order:
            block = self._blocks[number]
            if block not in found and len(found) == blocks:
                yield found
                found = {}
            found.setdefault(block, []).append(
                Place(self._firsts[number], self._lasts[number], self._subjects[number], self._days[number])
            )
        if found:
            yield found


def has_events(connection: Connection, subjects: Sequence[str]) -> bool:
    return bool(connection.execute(select(exists().where(subject_events.c.subject.in_(subjects)))).scalar())


def stored_places(
    connection: Connection, subjects: Sequence[str], first_day: int, *, above: int = 0, upto: int = _LAST
) -> StoredPlaces:
    """Of events on local days from `first_day`, in blocks above number `above`, up to `upto`."""
    number_of = {subject: number for number, subject in enumerate(subjects)}
    found = StoredPlaces()
    spools = None if above == 0 else _new_spools(connection, above)
    if spools == {}:
        return found
    where = subject_events.c
    query = (
        select(where.agent, where.epoch, where.first_seq, where.last_seq, where.subject, where.day)
        # What somebody is suspected of is in the index of the account's subject too.
        .where(where.subject.in_(subjects), where.day >= first_day, where.channel.not_like(f"%{BORROWED}"))
        .order_by(where.agent, where.epoch, where.first_seq)
        .execution_options(yield_per=_PAGE)
    )
    ranges: Iterable[Row[tuple[str, str, int, int, str, int]]] = connection.execute(query)
    if spools is not None:
        new = spools
        ranges = (row for row in ranges if row.last_seq >= new.get((row.agent, row.epoch), row.last_seq + 1))
    for run in _runs(ranges):
        _add(connection, found, run, number_of, range(above + 1, upto + 1))
    return found


def _new_spools(connection: Connection, above: int) -> dict[tuple[str, str], int]:
    """The lowest number of each spool in the blocks above."""
    found: dict[tuple[str, str], int] = {}
    columns = (event_blocks.c.agent, event_blocks.c.epoch, event_blocks.c.first_seq)
    for agent, epoch, first_seq in connection.execute(select(*columns).where(event_blocks.c.id > above)):
        found[agent, epoch] = min(first_seq, found.get((agent, epoch), first_seq))
    return found


def _runs(
    ranges: Iterable[Row[tuple[str, str, int, int, str, int]]],
) -> Iterator[list[Row[tuple[str, str, int, int, str, int]]]]:
    """Ranges of one spool that lie close together, by number."""
    run: list[Row[tuple[str, str, int, int, str, int]]] = []
    for row in ranges:
        if run:
            last = run[-1]
            apart = (row.agent, row.epoch) != (last.agent, last.epoch)
            if apart or row.first_seq - last.last_seq > _GAP_MAX or len(run) == _PAGE:
                yield run
                run = []
        run.append(row)
    if run:
        yield run


def _add(
    connection: Connection,
    found: StoredPlaces,
    run: Sequence[Row[tuple[str, str, int, int, str, int]]],
    number_of: dict[str, int],
    wanted: range,
) -> None:
    at = event_blocks.c
    blocks = connection.execute(
        select(at.id, at.first_seq, at.count)
        .where(
            at.agent == run[0].agent,
            at.epoch == run[0].epoch,
            at.first_seq > run[0].first_seq - EVENTS_PER_RECORD_MAX,
            at.first_seq <= max(row.last_seq for row in run),
        )
        .order_by(at.first_seq, at.id)
    ).all()
    start = 0
    for row in run:
        # Ranges rise, so what ends before this one is over. Not row.count: that is a tuple's method.
        while start < len(blocks) and blocks[start][1] + blocks[start][2] <= row.first_seq:
            start += 1
        for index in range(start, len(blocks)):
            block, first_seq, count = blocks[index]
            if first_seq > row.last_seq:
                break
            first, last = max(row.first_seq, first_seq), min(row.last_seq, first_seq + count - 1)
            if first <= last and block in wanted:
                place = Place(first - first_seq, last - first_seq, number_of[row.subject], row.day)
                found.add(block, place)
