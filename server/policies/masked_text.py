"""Texts of rules and exceptions without names: what fields that name people are compared with, and the ids,
names and accounts of people wherever they stand. Lines that hold ids and days of the text itself stay.

Only values that are compared show a pseudonym. All else that names somebody shows `[name]`: whoever may type
a reason could ask with it whose pseudonym a name has (people/text_mask.py).

People are called May, Left and Person. A word that stands in rules which Leaver ships, or in the name of a
field, is no name here unless such a field is compared with it: else rules would be unreadable, and whoever
reads "P-9CCSC logs in" would know who that is. Full names are hidden, whatever their words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection

from event_schema.field_registry import field_registry
from policies.positioned_yaml import read_yaml
from policies.rule_file import SHIPPED_RULES
from server.people.directory import Directory, load_directory
from server.people.masking import SEVERAL, Masker
from server.people.name_words import joined, name_words, net
from server.people.pseudonyms import all_names_to_hide, person_subject, shown_names
from server.people.removed import all_removed, read_telling
from server.store.database import Database

_OWN = re.compile(r"^\s*(?:id|date|modified|until|hash|level|status)\s*:|^\s*- [0-9a-fA-F-]{36}\s*$")
_NAMING = re.compile(
    r"^\s*(?:- )?[\"']?(?:"
    + "|".join(re.escape(path) for path, spec in field_registry().items() if spec.names_person)
    + r")(?:\|\w+)*[\"']?\s*:|^\s*- \S+$"
)
"""Lines on which a field that names people may be compared with something."""
_IDENTIFYING = (
    *("actor.user.", "user.", "email.from", "device.", "src_endpoint.", "peripheral_device."),
    *("unmapped.peripheral_device.", "leaver.", "actor.process.auid", "process.auid"),
)
"""How fields begin that name one person, machine or device by all that they say; paths do where a home is."""
_BREAKS = re.compile(r"[\s,._-]+")
_HOME = re.compile(r"(?:/home/|/users/|\\users\\)[^/\\*]", re.IGNORECASE)
_NOT_TOLD = frozenset({"id", "related", "author", "date", "modified", "references", "tests"})
_SHORTEST = 2
_PART = 3


class KnownPeople(msgspec.Struct, frozen=True):
    """Everybody of whom a text may tell. `names`: by person id. `by_word`: who may be meant by a word of a
    text, in lower case; `within`: names that stand within other words, with whose they are. `removed`: words
    that tell of whom an undone import took away."""

    directory: Directory
    names: dict[str, str]
    by_word: dict[str, list[str]]
    within: tuple[tuple[str, str], ...]
    removed: dict[str, frozenset[str]]


def known_people(connection: Connection, directory: Directory | None = None) -> KnownPeople:
    """As of now; reading them takes a while in a large company. `directory`: where somebody keeps it."""
    directory = directory or load_directory(connection)
    names = all_names_to_hide(connection)
    by_word: dict[str, list[str]] = {}
    within: list[tuple[str, str]] = []

    def add(person_id: str, name: str, called: Iterable[str]) -> None:
        parts = {part for part in _BREAKS.split(name) if len(part) >= _PART}
        for word in {person_id.casefold(), *parts, *called}:
            by_word.setdefault(word, []).append(person_id)
        if not name.isascii():
            within.append((name, person_id))

    for person in directory.people():
        add(person.id, names.get(person.id, "").casefold(), directory.names_of(person.id))
    gone: dict[str, frozenset[str]] = {}
    for person_id, stored in all_removed(connection):
        told = read_telling(stored)
        name, called = (told.name or "").casefold(), {each.name for each in told.accounts}
        gone[person_id] = gone.get(person_id, frozenset()) | name_words(name) | called
        add(person_id, name, called)
    return KnownPeople(directory, names, by_word, tuple(within), gone)


def text_mask(
    database: Database, texts: Sequence[str], known: KnownPeople | None = None
) -> Callable[[str], str]:
    """Made for these texts. `known`: of the people's version that holds; None: they are read."""
    shipped = _shipped_texts()
    whole = "\n".join(text for text in texts if text not in shipped)
    if not whole.strip():
        return str
    if known is None:
        with database.read() as connection:
            known = known_people(connection)
    directory = known.directory
    concerned = _concerned(known, whole.casefold())
    key, shown = shown_names(database, [person_subject(each) for each in concerned])
    masker = Masker(directory, key, shown)
    words = {word: SEVERAL for each in concerned for word in _words_of(known, each)}
    compared: dict[str, str] = {}
    for text in texts:
        for field, value in _naming_values(text) if text not in shipped else ():
            told = value.casefold()
            compared.setdefault(told, masker.value(field, value))
            if told not in _words_of_rules():
                words[told] = SEVERAL
    pattern, in_values = net(words), net({**words, **compared})
    elsewhere = {joined(word): each for word, each in words.items()}
    where_compared = {**elsewhere, **{joined(word): each for word, each in compared.items()}}

    def mask(text: str) -> str:
        return text if text in shipped else "\n".join(map(line, text.split("\n")))

    def line(text: str) -> str:
        if _OWN.match(text):
            return text
        is_naming = _NAMING.match(text)
        found_by, shown_for = (in_values, where_compared) if is_naming else (pattern, elsewhere)
        if found_by is None:
            return text
        return found_by.sub(lambda found: shown_for[joined(found[0])], text)

    return mask


def names_people(text: str) -> bool:
    """Whether it compares anything with who somebody is: what it finds is about them. What Leaver ships names
    nobody."""
    return text not in _shipped_texts() and any(
        _HOME.search(value)
        if not field.startswith(_IDENTIFYING)
        # A whole domain is nobody.
        else not value.removeprefix("*").startswith("@")
        for field, value in _naming_values(text)
    )


def _concerned(known: KnownPeople, text: str) -> set[str]:
    """People of whom the text may hold something. `text`: case-folded."""
    named = {person_id for word in _words_in(text) for person_id in known.by_word.get(word, ())}
    # Names that are written without spaces stand within other words.
    return named | {person_id for name, person_id in known.within if name in text}


def _words_of(known: KnownPeople, person_id: str) -> set[str]:
    """By which the person may be told in a text, in lower case."""
    now = {*name_words(known.names.get(person_id, "")), *known.directory.names_of(person_id)}
    told = {*now, *known.removed.get(person_id, ())} - _words_of_rules()
    return {word for word in {person_id.casefold(), *told} if len(word) >= _SHORTEST}


@cache
def _shipped_texts() -> frozenset[str]:
    return frozenset(path.read_text() for path in SHIPPED_RULES.rglob("*.yml"))


@cache
def _words_of_rules() -> frozenset[str]:
    """What the rules say that Leaver ships, but for their examples, and the names of fields; in lower case.
    Words of letters alone: numbers are ids somewhere."""
    told = [line for text in _shipped_texts() for line in _told(text)]
    return frozenset(re.findall(r"[^\W\d_]+", "\n".join([*told, *field_registry()]).casefold()))


def _told(text: str) -> Iterator[str]:
    """A rule's lines without those that people are named in, and hold ids and sample data."""
    key = ""
    for line in text.splitlines():
        key = line.partition(":")[0] if line[:1].isalpha() else key
        if key not in _NOT_TOLD:
            yield line


def _words_in(text: str) -> set[str]:
    return {*re.findall(r"[^\W_]+", text), *re.findall(r"[\w.@\\-]+", text)}


def _naming_values(text: str) -> Iterator[tuple[str, str]]:
    """(field, value) of all that is compared with a field that names people."""
    value = read_yaml(text).value
    if not isinstance(value, dict):
        return
    for key in ("filter", "detection"):
        yield from _in(value.get(key))


def _in(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for inner in value:
            yield from _in(inner)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        field = str(key).partition("|")[0]
        spec = field_registry().get(field)
        if spec is None:
            yield from _in(inner)
        elif spec.names_person:
            values = inner if isinstance(inner, list) else [inner]
            yield from ((field, str(each)) for each in values if each is not None)
