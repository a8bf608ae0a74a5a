"""What people typed, without the names of anybody whom this installation knows.

Reasons, notes, titles of cases: whoever types them may name anybody, also people whom the alert is not about.
So they are held against everybody: names, ids, accounts, machines and devices, those of before too
(`people_changes`) and of whom an undone import took away (`removed_people`) too, and accounts that belong to
nobody known. `[name]` stands in place of each, and never a pseudonym: else whoever may type could ask whose
pseudonym a name has, and nobody would know.

What is known is read once a version of the people; a change of few people adds to it.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final, Protocol

from sqlalchemy import Column, Connection, exists, func, select

from server.people.directory import people_version, whole_version
from server.people.masking import SEVERAL, owned_folders
from server.people.prose_words import Hidden
from server.people.pseudonyms import person_subject
from server.people.removed import all_removed, read_telling
from server.store.database import Database
from server.store.tables import (
    account_bindings,
    accounts,
    agents,
    erasures,
    people,
    people_changes,
    person_names,
    pseudonyms,
    trait_bindings,
)

HIDDEN: Final = SEVERAL
_Others = tuple[int | None, ...]
_AT_ONCE = 500
_CHANGES_MAX = 2_000
_TEXT_CHARACTERS_MAX = 100_000
_PSEUDONYM = re.compile(
    r"(?<![^\W_])(?:([PA]-[0-9A-HJKMNP-TV-Z]{5,14})|[HDUNX]-[0-9A-HJKMNP-TV-Z]{6})(?![^\W_])"
)
"""The group: what the table of pseudonyms holds, if it is one. The others are computed, and kept nowhere."""
_ADDRESS = re.compile(r"[\w.+%-]{1,64}(?=@[\w-]{1,63}\.)")
_ACCOUNT_SUBJECTS = pseudonyms.c.subject.between("account:", "account;")


class HasDatabase(Protocol):
    @property
    def database(self) -> Database: ...


class TextMask:
    """One version of what is hidden. Safe to share between threads once it is made."""

    def __init__(self, hidden: Hidden, given: Callable[[set[str]], set[str]]) -> None:
        """`given`: which of some pseudonyms somebody has."""
        self._hidden = hidden
        self._given = given

    def text(self, text: str, revealed: Container[str] = ()) -> str:
        """`revealed`: subjects whose names the reader may see."""
        cut = text[:_TEXT_CHARACTERS_MAX]
        spans = self._hidden.found(cut, revealed)
        spans = self._without_pseudonyms(cut, spans) if spans else spans
        if "@" in cut:
            # Whose address it is need not be known: before the sign it names somebody.
            local = [found.span() for found in _ADDRESS.finditer(cut)]
            spans = _merged([*spans, *local])
        for folder in owned_folders(cut):
            if not any(start < folder[1] and folder[0] < end for start, end in spans):
                spans.append(folder)
        parts: list[str] = []
        at = 0
        for start, end in sorted(spans):
            parts += (cut[at:start], HIDDEN)
            at = end
        return "".join(parts) + cut[at:]

    def _without_pseudonyms(self, text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """A part of a pseudonym is nobody's name. All of it may be: ids, accounts and machines are called so
        somewhere (P-10234)."""
        shaped = {found.span(): found[1] for found in _PSEUDONYM.finditer(text)}
        within = {
            span: whole
            for span in spans
            for whole in shaped
            if span != whole and whole[0] <= span[0] and span[1] <= whole[1]
        }
        asked = {name for whole in within.values() if (name := shaped[whole]) is not None}
        given = self._given(asked) if asked else set()
        spared = {span for span, whole in within.items() if shaped[whole] is None or shaped[whole] in given}
        return [span for span in spans if span not in spared]


class TextMasks:
    """The current mask of one database, made when somebody asks for it."""

    def __init__(self, database: Database) -> None:
        # The database keeps this object in a table of weak keys: a strong reference would keep both.
        self._database = weakref.ref(database)
        self._lock = threading.Lock()
        self._hidden = Hidden()
        self._version = -1
        self._last_change = 0
        self._others: _Others = ()

    def current(self) -> TextMask:
        database = self._database()
        if database is None:
            raise ReferenceError("the database of this mask is closed")
        with self._lock, database.read() as connection:
            self._renew(connection)
            return TextMask(self._hidden, self._given)

    def _given(self, shown: set[str]) -> set[str]:
        database = self._database()
        if database is None:
            raise ReferenceError("the database of this mask is closed")
        given: set[str] = set()
        with database.read() as connection:
            wanted = sorted(shown)
            for start in range(0, len(wanted), _AT_ONCE):
                some = pseudonyms.c.pseudonym.in_(wanted[start : start + _AT_ONCE])
                given.update(connection.execute(select(pseudonyms.c.pseudonym).where(some)).scalars())
        return given

    def _renew(self, connection: Connection) -> None:
        version = people_version(connection)
        others = _others(connection)
        if version == self._version and others == self._others:
            return
        hidden, changed = self._hidden, None
        if version != self._version or self._version < 0:
            last = connection.execute(select(func.max(people_changes.c.id))).scalar() or 0
            changed = self._changed(connection, last)
            if changed is None:
                hidden = Hidden()
            _add_people(connection, hidden, changed)
            self._last_change = last
        if others != self._others or changed is None:
            _add_others(connection, hidden)
        self._hidden, self._version, self._others = hidden, version, others

    def _changed(self, connection: Connection, last: int) -> list[str] | None:
        """Who changed since; None: too many, or not to be told, read everybody. What is there already stays:
        names of before are hidden too."""
        if self._version < 0 or whole_version(connection) > self._version:
            return None
        since = select(people_changes.c.person_id).where(
            people_changes.c.id > self._last_change, people_changes.c.id <= last
        )
        found = connection.execute(since.distinct().limit(_CHANGES_MAX + 1)).scalars().all()
        return None if len(found) > _CHANGES_MAX else list(found)


_masks: weakref.WeakKeyDictionary[Database, TextMasks] = weakref.WeakKeyDictionary()
_masks_lock = threading.Lock()


def text_mask(database: Database) -> TextMask:
    """Of everybody whom the database knows now."""
    with _masks_lock:
        masks = _masks.get(database)
        if masks is None:
            masks = _masks[database] = TextMasks(database)
    return masks.current()


def masked_prose(console: HasDatabase, texts: Sequence[str], revealed: Container[str] = ()) -> list[str]:
    """The texts without anybody's name, in the same order. `revealed`: subjects (`person:ID`) whose names the
    reader may see (server/people/unmaskings.py)."""
    if not any(texts):
        return list(texts)
    mask = text_mask(console.database)
    return [mask.text(text, revealed) if text else text for text in texts]


def _add_people(connection: Connection, hidden: Hidden, ids: list[str] | None) -> None:
    """Everybody, or these people."""
    parts: list[list[str] | None] = [None]
    if ids is not None:
        parts = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
    for part in parts:
        for person_id, name in _rows(connection, person_names.c.person_id, person_names.c.name, part):
            hidden.add_name(person_subject(person_id), name or "")
        for person_id, _ in _rows(connection, people.c.id, people.c.id, part):
            hidden.add_id(person_subject(person_id), person_id)
        bound = account_bindings.c
        for person_id, account in _rows(connection, bound.person_id, bound.account, part):
            hidden.add_account(person_subject(person_id), account or "")
        held = trait_bindings.c
        for person_id, trait in _rows(connection, held.person_id, held.trait, part):
            hidden.add_id(person_subject(person_id), (trait or "").partition(":")[2])
        changes = people_changes.c
        for person_id, before in _rows(connection, changes.person_id, changes.before, part):
            declared_before(hidden, person_subject(person_id), before)
    # Few: with everybody. Who goes makes all be read anew.
    for person_id, told in all_removed(connection) if ids is None else ():
        hidden.add_id(person_subject(person_id), person_id)
        declared_before(hidden, person_subject(person_id), told)


def _rows(
    connection: Connection, person: Column[str], value: Column[str], ids: list[str] | None
) -> Iterable[tuple[str, str | None]]:
    query = select(person.label("person"), value.label("value"))
    if ids is not None:
        query = query.where(person.in_(ids))
    return [(row.person, row.value) for row in connection.execute(query.distinct())]


def declared_before(hidden: Hidden, whose: str, before: str | None) -> None:
    """Of a row of `people_changes` or `removed_people`: what somebody was called, and had, before it."""
    if before is None:
        return
    facts = read_telling(before)
    if facts.name:
        hidden.add_name(whose, facts.name)
    for account in facts.accounts:
        hidden.add_account(whose, account.name)
    for trait in facts.traits:
        hidden.add_id(whose, trait.name.partition(":")[2])


def _others(connection: Connection) -> _Others:
    """Changes when machines or accounts of nobody come or go. Counts alone would stay where one goes and
    another comes: pseudonyms go only with an erasure."""
    count = select(func.count()).select_from(pseudonyms).where(_ACCOUNT_SUBJECTS)
    machines = select(func.count(), func.max(agents.c.created_at)).select_from(agents)
    return (
        connection.execute(count).scalar(),
        *connection.execute(machines).one(),
        connection.execute(select(func.max(erasures.c.finished_at))).scalar(),
    )


def _add_others(connection: Connection, hidden: Hidden) -> None:
    for subject in connection.execute(select(pseudonyms.c.subject).where(_ACCOUNT_SUBJECTS)).scalars():
        account, _, host = subject.removeprefix("account:").rpartition("@")
        if not account:
            account, host = host, ""
        hidden.add_account(subject, account)
        hidden.add_id("", host)
    owned = exists().where(account_bindings.c.account == accounts.c.account)
    for account in connection.execute(select(accounts.c.account).where(~owned).distinct()).scalars():
        hidden.add_account(f"account:{account}", account)
    for agent in connection.execute(select(agents.c.name)).scalars():
        hidden.add_id("", agent)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
