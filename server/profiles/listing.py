"""The list of people: everybody of the directory who was seen doing something or is leaving, and accounts of
nobody that an alert is about. By pseudonym; nothing in it is looked for by name.

What is slow to work out for a whole company is kept for a while (`PeopleIndex`); open alerts are read anew
each time. A page is found by where the page before ended, so that it does not shift when somebody comes in.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.channels import CHANNELS
from event_schema.leaver_fields import PersonStatus
from server.people.directory import Directory
from server.people.kept_directory import HasDatabase, KeptDirectory
from server.people.pseudonyms import person_subject, shown_names
from server.profiles.standing_now import StandingNow, standing_now
from server.retention import DAY_MS
from server.store.database import Database
from server.store.tables import alerts, channel_days, subject_agents

PAGE_ROWS: Final = 100
SEEN_DAYS: Final = 30
TEXT_CHARACTERS: Final = 100
_KEPT_MS: Final = 60_000
_ACCOUNT: Final = "account:"
_READ_AS = str.maketrans("OIL", "011")
_PSEUDONYM = re.compile(r"[PA]-[0-9A-Z]{0,14}", re.IGNORECASE)

PeopleSort = Literal["risk", "last_day"]
PeopleStatus = Literal["all", "leaving", "left", "active"]


class PersonLine(msgspec.Struct, frozen=True):
    """A row. `score`: the highest of the open alerts. `seen`: the latest act of SEEN_DAYS, ms UTC."""

    pseudonym: str
    is_account: bool
    department: str | None
    standing: StandingNow
    open_alerts: int = 0
    score: int | None = None
    seen: int | None = None


class PeopleFilter(msgspec.Struct, frozen=True):
    text: str = ""
    status: PeopleStatus = "all"
    alerted: bool = False
    """Only with an open alert."""
    sort: PeopleSort = "risk"
    after: str = ""
    """Where the page before ended: its last row's `place`."""


class PeoplePage(msgspec.Struct, frozen=True):
    """`total`: of all pages. `after`: what the next page asks for; None: this is the last one."""

    rows: tuple[PersonLine, ...]
    total: int
    everybody: int
    after: str | None


class _Known(msgspec.Struct, frozen=True):
    """A subject as it is kept."""

    subject: str
    line: PersonLine
    text: str


def read_people_filter(values: dict[str, str]) -> PeopleFilter:
    """Of an address; what cannot be read counts as not asked for."""
    status, sort = values.get("status", ""), values.get("sort", "")
    return PeopleFilter(
        text=" ".join(values.get("text", "").split())[:TEXT_CHARACTERS],
        status=next((each for each in get_args(PeopleStatus) if each == status), "all"),
        alerted=values.get("alerted") == "1",
        sort=next((each for each in get_args(PeopleSort) if each == sort), "risk"),
        after=values.get("after", "")[:64],
    )


class PeopleIndex:
    """Everybody who can be on the list, worked out once a minute or when the people changed."""

    def __init__(self, owner: HasDatabase) -> None:
        self._owner = owner
        self._directory = KeptDirectory(owner)
        self._lock = threading.Lock()
        self._made: tuple[int, int, frozenset[str]] | None = None
        self._known: list[_Known] = []
        self._people: tuple[Directory, int, dict[str, StandingNow]] | None = None

    @property
    def directory(self) -> KeptDirectory:
        return self._directory

    def page(self, wanted: PeopleFilter, *, now: int) -> PeoplePage:
        """now: ms UTC."""
        database = self._owner.database
        with database.read() as connection:
            directory = self._directory.current(connection)
            alerted = open_alerts_by_subject(connection)
        others = frozenset(subject for subject in alerted if subject.startswith(_ACCOUNT))
        made = (directory.version, now // _KEPT_MS, others)
        with self._lock:
            if self._made != made:
                self._known = self._make(database, directory, alerted, others, now)
                self._made = made
            known = self._known
        return _page(database, known, alerted, wanted, now)

    def _make(
        self,
        database: Database,
        directory: Directory,
        alerted: Iterable[str],
        others: Iterable[str],
        now: int,
    ) -> list[_Known]:
        standings = self._standings(directory, now)
        with database.read() as connection:
            seen = set(connection.execute(select(subject_agents.c.subject).distinct()).scalars())
        seen.update(alerted)
        people = [
            person
            for person in directory.people()
            if standings[person.id].is_leaving or person_subject(person.id) in seen
        ]
        # People who are declared, and accounts that an open alert is about, are given one; nobody else is.
        _, shown = shown_names(database, [*(person_subject(person.id) for person in people), *others])
        found = []
        for person in people:
            subject = person_subject(person.id)
            line = PersonLine(shown[subject], False, person.department, standings[person.id])
            found.append(_Known(subject, line, _words(line)))
        for subject in others:
            line = PersonLine(shown[subject], True, None, StandingNow())
            found.append(_Known(subject, line, _words(line)))
        return found

    def _standings(self, directory: Directory, now: int) -> dict[str, StandingNow]:
        """Of everybody, kept for a quarter of an hour: no time zone's day begins in between."""
        slot = now // (DAY_MS // 96)
        kept = self._people
        if kept is None or kept[0] is not directory or kept[1] != slot:
            found = {person.id: standing_now(directory, person, now) for person in directory.people()}
            kept = self._people = (directory, slot, found)
        return kept[2]


def open_alerts_by_subject(connection: Connection) -> dict[str, tuple[int, int]]:
    """How many open alerts, and the highest score, by subject. One that was merged into another counts with
    it, and its score may be the highest."""
    row = alerts.c
    whole = func.count().filter(row.merged_into.is_(None))
    query = select(row.subject, whole, func.max(row.score)).where(row.status == "open").group_by(row.subject)
    return {subject: (count, score) for subject, count, score in connection.execute(query)}


def _page(
    database: Database,
    known: Sequence[_Known],
    alerted: dict[str, tuple[int, int]],
    wanted: PeopleFilter,
    now: int,
) -> PeoplePage:
    words = _asked(wanted.text)
    chosen = [
        each
        for each in known
        if all(word in each.text for word in words)
        and (not wanted.alerted or each.subject in alerted)
        and _stands(each.line, wanted.status)
    ]
    keyed = sorted(((_key(each, alerted, wanted.sort), each) for each in chosen), key=lambda pair: pair[0])
    start = 0
    if (place := _read_place(wanted.after)) is not None:
        start = bisect_right(keyed, place, key=lambda pair: pair[0])
    rows = keyed[start : start + PAGE_ROWS]
    more = start + PAGE_ROWS < len(keyed)
    with database.read() as connection:
        seen = last_seen(connection, [each.subject for _, each in rows], now)
    lines = []
    for _, each in rows:
        count, score = alerted.get(each.subject, (0, None))
        lines.append(
            msgspec.structs.replace(each.line, open_alerts=count, score=score, seen=seen.get(each.subject))
        )
    return PeoplePage(tuple(lines), len(keyed), len(known), _place(rows[-1][0]) if more and rows else None)


_Key = tuple[int, int, str]


def _key(each: _Known, alerted: dict[str, tuple[int, int]], sort: PeopleSort) -> _Key:
    count, score = alerted.get(each.subject, (0, 0))
    left = each.line.standing.days_left
    if sort == "risk":
        return -score, -count, each.line.pseudonym
    if left is None:
        return 2, 0, each.line.pseudonym
    # Who is still here by how soon, then who left by how long ago.
    return (0, left, each.line.pseudonym) if left >= 0 else (1, -left, each.line.pseudonym)


def _place(key: _Key) -> str:
    return f"{key[0]}~{key[1]}~{key[2]}"


def _read_place(text: str) -> _Key | None:
    found = re.fullmatch(r"(-?\d{1,9})~(-?\d{1,9})~([PA]-[0-9A-Z]{1,14})", text, re.ASCII)
    return None if found is None else (int(found[1]), int(found[2]), found[3])


def _stands(line: PersonLine, wanted: PeopleStatus) -> bool:
    status = line.standing.status
    match wanted:
        case "all":
            return True
        case "leaving":
            return status is PersonStatus.NOTICE
        case "left":
            return status is PersonStatus.LEFT
        case "active":
            return status is PersonStatus.ACTIVE


def _words(line: PersonLine) -> str:
    return f"{line.pseudonym} {line.department or ''}".casefold()


def _asked(text: str) -> list[str]:
    return [
        (word[:2].upper() + word[2:].upper().translate(_READ_AS)).casefold()
        if _PSEUDONYM.fullmatch(word)
        else word.casefold()
        for word in text.split()
    ]


def last_seen(connection: Connection, subjects: Sequence[str], now: int) -> dict[str, int]:
    """Time of the latest act of the last SEEN_DAYS, by subject (at most PAGE_ROWS)."""
    day = channel_days.c
    query = (
        select(day.subject, func.max(day.last_time))
        .where(
            day.subject.in_(list(subjects)),
            # Named, so that the key finds the days without passing over all that is older.
            day.channel.in_(sorted(CHANNELS)),
            day.day >= now // DAY_MS - SEEN_DAYS,
        )
        .group_by(day.subject)
    )
    return {row[0]: row[1] for row in connection.execute(query)} if subjects else {}
