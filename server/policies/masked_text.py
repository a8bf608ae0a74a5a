"""Texts of rules and exceptions without names: what fields that name people are compared with, and the ids,
names and accounts of people wherever they stand. Lines that hold ids and days of the text itself stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from event_schema.field_registry import field_registry
from policies.positioned_yaml import read_yaml
from server.people.directory import Directory, load_directory
from server.people.masking import Masker
from server.people.name_words import joined, net
from server.people.pseudonyms import names_to_hide, person_subject, shown_names
from server.store.database import Database

_OWN = re.compile(r"^\s*(?:id|date|modified|until|hash|level|status)\s*:|^\s*- [0-9a-fA-F-]{36}\s*$")
_SHORTEST = 2
_PART = 3


def text_mask(database: Database, texts: Sequence[str]) -> Callable[[str], str]:
    """Made for these texts."""
    whole = "\n".join(texts)
    if not whole.strip():
        return str
    with database.read() as connection:
        directory = load_directory(connection)
        everybody = {person.id for person in directory.people()}
        names = names_to_hide_of_all(connection, everybody)
    concerned = set(_concerned(directory, names, whole.casefold()))
    key, shown = shown_names(database, [person_subject(each) for each in concerned])
    masker = Masker(directory, key, shown, names={each: names.get(each, "") for each in concerned})
    words = {each.casefold(): masker.subject(person_subject(each)) for each in concerned}
    for text in texts:
        for field, value in _naming_values(text):
            words.setdefault(value.casefold(), masker.value(field, value))
    pattern = net({word for word in words if len(word) >= _SHORTEST})
    shown_for = {joined(word): label for word, label in words.items()}

    def mask(text: str) -> str:
        return "\n".join(map(line, text.split("\n")))

    def line(text: str) -> str:
        if _OWN.match(text):
            return text
        if pattern is not None:
            text = pattern.sub(lambda found: shown_for[joined(found[0])], text)
        return masker.text(text)

    return mask


def names_to_hide_of_all(connection: Any, everybody: set[str]) -> dict[str, str]:
    """Names by person id; as many in one query as a database takes."""
    found: dict[str, str] = {}
    ids = sorted(everybody)
    for start in range(0, len(ids), 500):
        found |= names_to_hide(connection, ids[start : start + 500])
    return found


def _concerned(directory: Directory, names: dict[str, str], text: str) -> Iterator[str]:
    """People of whom the text may hold something. `text`: case-folded."""
    words = {*re.findall(r"\w+", text), *re.findall(r"[\w.@\\-]+", text)}
    for person in directory.people():
        name = names.get(person.id, "").casefold()
        parts = {part for part in re.split(r"[\s,._-]+", name) if len(part) >= _PART}
        known = {person.id.casefold(), *parts, *directory.names_of(person.id)}
        # Names that are written without spaces stand within other words.
        if not words.isdisjoint(known) or (name and not name.isascii() and name in text):
            yield person.id


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
