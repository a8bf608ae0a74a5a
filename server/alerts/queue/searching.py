"""What the words of a search may mean, found in what the viewer sees: pseudonyms, labels of endpoints, words
of sentences, titles of rules as they are shown. Never in names: whoever searches for one learns nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from server.alerts.queue.filters import QueueFilter
from server.alerts.queue.rows import shipped_ids
from server.people.pseudonyms import label
from server.store.column_types import WHOLE_MAX
from server.store.tables import agents, policy_versions, pseudonyms, subject_events

RULES_MAX: Final = 20
SUBJECTS_MAX: Final = 500
AGENTS_MAX: Final = 50
FLEETS_KEPT: Final = 4
_PSEUDONYM: Final = re.compile(r"[pa]-[0-9a-z]{0,14}")
_AGENT: Final = re.compile(r"h-[0-9a-z]{1,6}")
_ALERT: Final = re.compile(r"#?(\d{1,18})")
_READ_AS: Final = str.maketrans("OIL", "011")

Titles = Callable[[], Mapping[str, str]]
"""Of rules that people wrote, by id, as the viewer sees them."""


class Agents(msgspec.Struct, frozen=True):
    """`subjects`: whoever was seen at one of them, looked up once for all questions about them."""

    names: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


class SearchedWord(msgspec.Struct, frozen=True):
    """One word, and what else than a word it may be."""

    text: str
    subjects: tuple[str, ...] = ()
    agents: Agents = Agents()
    rules: tuple[str, ...] = ()
    alert: int | None = None


class Searched(msgspec.Struct, frozen=True):
    """`agents`: those that the filter's endpoint stands for."""

    words: tuple[SearchedWord, ...] = ()
    agents: Agents = Agents()


def search(connection: Connection, wanted: QueueFilter, key: bytes, titles: Titles) -> Searched:
    """`key`: of the installation's pseudonyms."""
    words = wanted.words()
    agents_of = _Agents(connection, key)
    own = titles() if words else {}
    return Searched(
        tuple(_word(connection, word, agents_of, own) for word in words),
        agents_of(wanted.agent) if wanted.agent else Agents(),
    )


def _word(connection: Connection, word: str, agents_of: _Agents, titles: Mapping[str, str]) -> SearchedWord:
    number = _ALERT.fullmatch(word)
    rules = [rule for rule, title in titles.items() if word in title.casefold() or word == rule]
    if word in shipped_ids():
        rules.append(word)
    return SearchedWord(
        word,
        subjects=_subjects(connection, word) if _PSEUDONYM.fullmatch(word) else (),
        agents=agents_of(word) if _AGENT.fullmatch(word) else Agents(),
        rules=tuple(rules[:RULES_MAX]),
        alert=int(number[1]) if number is not None and int(number[1]) <= WHOLE_MAX else None,
    )


def _subjects(connection: Connection, word: str) -> tuple[str, ...]:
    """Whose pseudonym begins so; O, I and L are read as pseudonyms are."""
    shown = word[:2].upper() + word[2:].upper().translate(_READ_AS)
    at = pseudonyms.c
    starts = at.pseudonym.between(shown, shown + "~")
    query = select(at.subject).where(starts).order_by(at.pseudonym).limit(SUBJECTS_MAX)
    return tuple(connection.execute(query).scalars())


class _Agents:
    """Agents by label."""

    def __init__(self, connection: Connection, key: bytes) -> None:
        self._connection, self._key = connection, key

    def __call__(self, shown: str) -> Agents:
        wanted = shown.upper()
        found = (name for each, name in self._labels() if each.startswith(wanted))
        names = tuple(islice(found, AGENTS_MAX))
        at = subject_events.c
        seen = select(at.subject).where(at.agent.in_(names)).distinct()
        return Agents(names, tuple(self._connection.execute(seen).scalars()) if names else ())

    def _labels(self) -> list[tuple[str, str]]:
        """Each is a hash: those of fleets that were asked for are kept, until an agent comes or goes."""
        counted = select(func.count(), func.max(agents.c.created_at)).select_from(agents)
        version = tuple(self._connection.execute(counted).one())
        with _labels_lock:
            kept = _labels_kept.get(self._key)
        if kept is not None and kept[0] == version:
            return kept[1]
        names = self._connection.execute(select(agents.c.name)).scalars()
        labels = [(label(self._key, "H", name.casefold()), name) for name in names]
        with _labels_lock:
            if len(_labels_kept) >= FLEETS_KEPT:
                _labels_kept.clear()
            _labels_kept[self._key] = version, labels
        return labels


_labels_kept: dict[bytes, tuple[tuple[Any, ...], list[tuple[str, str]]]] = {}
_labels_lock = threading.Lock()


def rule_titles(connection: Connection) -> dict[str, tuple[str, bool]]:
    """By rule, of all that hold and are no exceptions: the title, and whether people wrote it (so that it may
    name somebody)."""
    at = policy_versions.c
    newest = select(func.max(at.id)).where(at.kind != "exception").group_by(at.rule_id)
    query = select(at.rule_id, at.title).where(at.id.in_(newest), at.text.is_not(None)).order_by(at.title)
    shipped = shipped_ids()
    return {row.rule_id: (row.title, row.rule_id not in shipped) for row in connection.execute(query)}
