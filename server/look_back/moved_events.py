"""Events that are somebody else's by now, or on another local day: what becomes of the index of events.

Kept as numbers in arrays, 28 bytes a range: an account with millions of events may change hands.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select

from server.alerts.event_ranges import EventRange, joined, without
from server.store.tables import subject_events
from server.store.upsert import insert_new


class Key(NamedTuple):
    """All but the numbers of a row of `subject_events`."""

    subject: str
    day: int
    channel: str
    agent: str
    epoch: str


class MovedEvents:
    def __init__(self) -> None:
        self._keys: dict[Key, int] = {}
        self._olds = array("i")
        self._news = array("i")
        self._firsts = array("q")
        self._lasts = array("q")
        self._last_of: dict[tuple[int, int], int] = {}

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def add(self, old: Key, new: Key, seq: int) -> None:
        """One event; those that follow on each other are one range."""
        pair = (self._number(old), self._number(new))
        last = self._last_of.get(pair)
        if last is not None and self._lasts[last] == seq - 1:
            self._lasts[last] = seq
            return
        self._last_of[pair] = len(self._firsts)
        self._olds.append(pair[0])
        self._news.append(pair[1])
        self._firsts.append(seq)
        self._lasts.append(seq)

    def _number(self, key: Key) -> int:
        return self._keys.setdefault(key, len(self._keys))

    def went_to(self) -> dict[str, set[str]]:
        """By the subject that they were of, all that they are of now."""
        keys = list(self._keys)
        found: dict[str, set[str]] = {}
        for old, new in self._last_of:
            found.setdefault(keys[old].subject, set()).add(keys[new].subject)
        return found

    def write(self, connection: Connection) -> None:
        """Brings the index up to date, in the transaction that writes the states."""
        keys = list(self._keys)
        for number, ranges in self._by_key(self._olds):
            kept = without(_stored(connection, keys[number]), ranges)
            _replace(connection, keys[number], kept)
        for number, ranges in self._by_key(self._news):
            _replace(connection, keys[number], joined([*_stored(connection, keys[number]), *ranges]))

    def _by_key(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[EventRange]]]:
        keys = list(self._keys)
        found: defaultdict[int, list[EventRange]] = defaultdict(list)
        for index, number in enumerate(numbers):
            key = keys[number]
            found[number].append(EventRange(key.agent, key.epoch, self._firsts[index], self._lasts[index]))
        yield from found.items()


def _stored(connection: Connection, key: Key) -> list[EventRange]:
    query = select(subject_events.c.first_seq, subject_events.c.last_seq).where(*_here(key))
    return [EventRange(key.agent, key.epoch, *row) for row in connection.execute(query)]


def _replace(connection: Connection, key: Key, ranges: Sequence[EventRange]) -> None:
    connection.execute(delete(subject_events).where(*_here(key)))
    rows = [key._asdict() | {"first_seq": each.first_seq, "last_seq": each.last_seq} for each in ranges]
    insert_new(connection, subject_events, rows)


def _here(key: Key) -> list[ColumnElement[bool]]:
    return [subject_events.c[name] == value for name, value in key._asdict().items()]
